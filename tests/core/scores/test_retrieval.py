import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.retrieval import chance_of_average_precision, precisions
from tests.measure.synthetic import blobs, embedded


@pytest.mark.parametrize(("sizes", "width"), [([20, 12, 8], 6), ([5, 30], 40), ([2, 2, 2], 2)])
def test_scores_equal_those_of_pytorch_metric_learning(sizes, width):
    X, y = blobs(sizes, width)
    split = embedded(X, y)
    names = {"r_precision": "r_precision", "map_at_r": "mean_average_precision_at_r"}
    calculator = AccuracyCalculator(
        include=tuple(names.values()),
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    )
    expected = calculator.get_accuracy(torch.from_numpy(X.astype(np.float64)), torch.from_numpy(y))
    for ours, theirs in names.items():
        assert LAYER_SCORES[ours].score(split).value == pytest.approx(expected[theirs], abs=1e-6)


def test_precisions_by_hand():
    """R = 2 for class 0, whose images see (hit, miss), (miss, hit), (hit, hit); R = 0 for class 1's single image."""
    peers = np.array([2, 2, 2, 0])
    matches = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 0]], bool)
    at_R, averages = precisions(matches, peers)
    assert at_R.tolist() == [0.5, 0.5, 1, 0]
    assert averages.tolist() == [0.5, 0.25, 1, 0]


def test_order_counts_within_the_first_r_only():
    peers = np.array([2, 2, 2, 0])
    early, late = np.array([[1, 0, 1]] * 4, bool), np.array([[0, 1, 1]] * 4, bool)
    (same, higher), (as_early, lower) = precisions(early, peers), precisions(late, peers)
    assert same.tolist() == as_early.tolist()
    assert higher[0] > lower[0]


def test_chance_is_the_mean_over_random_orders():
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [3, 8, 14])
    peers = np.bincount(y)[y] - 1
    draws = []
    for _ in range(1000):
        order = np.array([random.permutation(np.delete(y, i)) for i in range(25)])
        draws.append(precisions(order == y[:, None], peers)[1].mean())
    chance = chance_of_average_precision(peers, np.full(len(peers), 24)).mean()
    assert chance == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / np.sqrt(1000))
    assert chance > 0.2


def test_a_single_image_has_no_chance_and_two_images_are_certain():
    assert chance_of_average_precision(np.array([0, 1, 1]), np.array([2, 2, 2])).tolist() == [0, 0.5, 0.5]
    assert chance_of_average_precision(np.array([1, 1]), np.array([1, 1])).tolist() == [1, 1]
