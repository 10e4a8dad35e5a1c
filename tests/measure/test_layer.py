import numpy as np

from stages.measure.layer import unit_rows
from tests.measure.synthetic import blobs, embedded


def test_rows_get_length_one_and_zeros_stay():
    X = np.array([[3, 4], [0, 0], [-2, 0], [1e-30, 0], [3e30, 4e30]], np.float32)
    assert np.allclose(unit_rows(X), [[0.6, 0.8], [0, 0], [-1, 0], [1, 0], [0.6, 0.8]])
    assert unit_rows(X).dtype == np.float32


def test_embeddings_are_taken_as_they_are_without_normalization():
    X, y = blobs([5, 5], 3)
    assert embedded(X, y).X is X


def test_shared_results_are_computed_once():
    X, y = blobs([9, 7], 3)
    split = embedded(X, y)
    assert not split.clustered
    assert split.clusterings is split.clusterings
    assert split.clustered
    assert split.matches is split.matches
    assert split.peers.tolist() == [8 if c == 0 else 6 for c in y]
