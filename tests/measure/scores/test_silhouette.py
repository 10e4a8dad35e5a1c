import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from stages.measure.scores.silhouette import silhouettes
from tests.measure.synthetic import blobs, embedded


@pytest.mark.parametrize(("sizes", "width"), [([10, 12, 8], 3), ([20, 1, 15], 40), ([2, 30], 1)])
def test_silhouettes_equal_scikit_learns(sizes, width):
    X, y = blobs(sizes, width)
    split = embedded(X, y)
    expected = silhouette_samples(X.astype(np.float64), y)
    assert silhouettes(split.class_distances[0], y) == pytest.approx(expected, abs=1e-9)


def test_silhouettes_by_hand():
    """Points 0, 2 | 5, 6: a = 2, 2 | 1, 1 and b = 5.5, 3.5 | 4, 5."""
    X, y = np.array([[0], [2], [5], [6]], np.float32), np.array([0, 0, 1, 1])
    found = silhouettes(embedded(X, y).class_distances[0], y)
    assert found == pytest.approx([3.5 / 5.5, 1.5 / 3.5, 3 / 4, 4 / 5])


def test_duplicates_and_single_images_are_neither_near_nor_far():
    X, y = np.ones((5, 3), np.float32), np.array([0, 0, 1, 1, 2])
    assert silhouettes(embedded(X, y).class_distances[0], y).tolist() == [0] * 5
