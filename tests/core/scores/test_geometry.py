import warnings

import numpy as np
import pytest
from skdim.id import TwoNN
from sklearn.metrics import silhouette_samples

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.geometry import (
    class_collapse,
    fitted_rate,
    rate_influences,
    silhouettes,
    spread_factor,
    two_nearest_dimension,
)
from tests.measure.synthetic import blobs, embedded


def dimension(X):
    split = embedded(X, np.arange(len(X)) % 2)
    return two_nearest_dimension(X, split.scan.nearest)


def manifold(count, dimensions, width, seed=0):
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, dimensions)) @ random.normal(size=(dimensions, width))).astype(np.float32)


@pytest.mark.parametrize(("count", "dimensions", "width"), [(200, 2, 10), (203, 5, 60), (60, 1, 3), (150, 7, 300)])
def test_dimension_equals_scikit_dimensions(count, dimensions, width):
    X = manifold(count, dimensions, width)
    expected = TwoNN().fit(X.astype(np.float64)).dimension_
    assert dimension(X)[0] == pytest.approx(expected, rel=1e-6)


def test_duplicates_are_dropped_and_counted():
    X = manifold(100, 3, 8)
    X = np.concatenate([X, X[:7]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it drops them
        expected = TwoNN().fit(X.astype(np.float64)).dimension_
    value, contributions, dropped = dimension(X)
    assert dropped == 14
    assert value == pytest.approx(expected, rel=1e-6)
    assert (contributions[[0, 6, 100, 106]] == value).all()
    assert contributions.mean() == pytest.approx(value, rel=1e-12)
    assert LAYER_SCORES["intrinsic_dimension"].score(embedded(X, np.arange(107) % 2)).left_out == 14


def test_the_dimension_of_a_manifold_is_found():
    for dimensions in (1, 2, 4):
        random = np.random.default_rng(0)
        flat = random.uniform(size=(1500, dimensions)) @ random.normal(size=(dimensions, 20))
        assert dimension(flat.astype(np.float32))[0] == pytest.approx(dimensions, rel=0.1)


@pytest.mark.parametrize("X", [np.ones((6, 3)), np.arange(20).reshape(20, 1), np.array([[0.0], [1], [5]])])
def test_too_few_ratios_have_no_dimension(X):
    """All duplicates; all ratios 1 but at the ends, which are discarded; three images, of which two are kept."""
    value, contributions, _ = dimension(X.astype(np.float32))
    if len(X) == 3:
        logs = np.log([5, 4, 1.25])
        assert value == pytest.approx(fitted_rate(logs))
        return
    assert np.isnan(value)
    assert np.isnan(contributions).all()


def test_two_images_have_no_dimension():
    assert np.isnan(dimension(np.array([[0], [1]], np.float32))[0])


def weighted_rate(logs, weights, cells=200):
    """The fitted rate of a weighted sample: ratio of integrals over the quantile function, each value cut in cells."""
    order = np.argsort(logs)
    edges = np.concatenate([[0], np.cumsum(weights[order])]) / weights.sum()
    u = (np.arange(len(logs) * cells) + 0.5) / (len(logs) * cells) * 0.9
    Q = logs[order][np.minimum(np.searchsorted(edges, u, side="right") - 1, len(logs) - 1)]
    return (-np.log1p(-u) * Q).sum() / (Q**2).sum()


def test_influences_are_the_derivatives_with_respect_to_weights():
    logs = np.random.default_rng(0).exponential(1 / 4, 500)
    rate, step = weighted_rate(logs, np.ones(500)), 0.5
    influences = rate_influences(logs, rate)
    for image in range(0, 500, 50):
        changed = [np.ones(500) + sign * step * (np.arange(500) == image) for sign in (1, -1)]
        derivative = (weighted_rate(logs, changed[0]) - weighted_rate(logs, changed[1])) / (2 * step) * 500
        assert influences[image] == pytest.approx(derivative, abs=0.02 * influences.std())


def test_one_ratio_that_is_kept_is_no_slope():
    assert np.isnan(fitted_rate(np.array([0.3, 0.7])))
    assert fitted_rate(np.array([0.3, 0.5, 0.7])) > 0


def test_influences_are_those_of_leaving_a_ratio_out():
    logs = np.random.default_rng(1).exponential(1 / 5, 300)
    rate = fitted_rate(logs)
    left_out = np.array([299 * (rate - fitted_rate(np.delete(logs, i))) for i in range(300)])
    influences = rate_influences(logs, rate)
    assert influences.sum() == pytest.approx(0, abs=1e-9)
    assert np.corrcoef(influences, left_out)[0, 1] > 0.999
    assert influences.std() == pytest.approx(left_out.std(), rel=0.03)


@pytest.mark.parametrize("copies", [0, 100])
def test_contributions_spread_as_the_dimension_does_over_fresh_images(copies):
    samples = [manifold(250, 4, 6, seed) for seed in range(120)]
    found = [dimension(np.concatenate([X, X[:copies]])) for X in samples]
    across = np.std([value for value, *_ in found], ddof=1)
    expected = np.mean([contributions.std() / np.sqrt(250 + copies) for _, contributions, _ in found])
    assert expected == pytest.approx(across, rel=0.2)  # the deviation across is itself known to 7 %


def test_the_factor_counts_every_linked_pair_once():
    influences = np.array([1.0, 2, -1, 3])
    nearest = np.array([[1, 2], [0, 2], [1, 0], [1, 0]])  # links 01, 02, 12, 13, 03
    products = 1 * 2 - 1 * 1 - 2 * 1 + 2 * 3 + 1 * 3
    assert spread_factor(influences, nearest) == pytest.approx(np.sqrt(1 + 2 * products / 15))
    assert spread_factor(np.array([1.0, -1, 1, -1]), nearest) == 1


def slow_collapse(X, y, weights=None):
    X, w = X.astype(np.float64), np.ones(len(X)) if weights is None else weights
    mean = np.average(X, axis=0, weights=w)
    within = between = 0.0
    for c in np.unique(y):
        m = np.average(X[y == c], axis=0, weights=w[y == c])
        within += np.trace(((X[y == c] - m).T * w[y == c]) @ (X[y == c] - m))
        between += w[y == c].sum() * np.trace(np.outer(m - mean, m - mean))
    return within / between


@pytest.mark.parametrize(("sizes", "width"), [([10, 12, 8], 3), ([5, 30], 300)])
def test_collapse_equals_the_ratio_of_traces(sizes, width):
    X, y = blobs(sizes, width)
    value, contributions = class_collapse(X + 100, y)
    assert value == pytest.approx(slow_collapse(X + 100, y), rel=1e-9)
    assert contributions.mean() == pytest.approx(value, rel=1e-12)


def test_collapse_contributions_are_the_derivatives_with_respect_to_weights():
    X, y = blobs([10, 12, 8], 5)
    value, contributions = class_collapse(X, y)
    for image in range(30):
        step = 1e-4 * (np.arange(30) == image)
        derivative = 30 * (slow_collapse(X, y, 1 + step) - slow_collapse(X, y, 1 - step)) / 2e-4
        assert contributions[image] - value == pytest.approx(derivative, rel=1e-5, abs=1e-7)


def test_collapse_by_hand():
    """Points -3, -1 | 1, 3: variance 1 within, means at -2 and 2: 4 between."""
    assert class_collapse(np.array([[-3], [-1], [1], [3]], np.float32), np.array([0, 0, 1, 1]))[0] == 0.25
    assert class_collapse(np.array([[-2], [-2], [1], [1]], np.float32), np.array([0, 0, 1, 1]))[0] == 0


@pytest.mark.parametrize("X", [np.full((4, 2), 0.1), np.array([[0, 0], [1, 1], [0, 0], [1, 1]])])
def test_coinciding_class_means_have_no_collapse(X):
    value, contributions = class_collapse(X.astype(np.float32), np.array([0, 0, 1, 1]))
    assert np.isnan(value)
    assert np.isnan(contributions).all()


def test_chance_of_collapse_is_the_ratio_of_means_over_shuffled_classes():
    X, y = blobs([10, 12, 8], 20)
    random = np.random.default_rng(0)
    total = ((X - X.mean(axis=0)) ** 2).sum(axis=1).mean()
    between = [total / (1 + class_collapse(X, random.permutation(y))[0]) for _ in range(2000)]
    chance = LAYER_SCORES["collapse"].score(embedded(X, y)).chance
    assert chance == 27 / 2
    assert (total - np.mean(between)) / np.mean(between) == pytest.approx(chance, rel=0.03)


@pytest.mark.parametrize(("sizes", "width"), [([10, 12, 8], 3), ([20, 1, 15], 40), ([2, 30], 1)])
def test_silhouettes_equal_scikit_learns(sizes, width):
    X, y = blobs(sizes, width)
    split = embedded(X, y)
    expected = silhouette_samples(X.astype(np.float64), y)
    assert silhouettes(split.class_distances, y) == pytest.approx(expected, abs=1e-9)


def test_silhouettes_by_hand():
    """Points 0, 2 | 5, 6: a = 2, 2 | 1, 1 and b = 5.5, 3.5 | 4, 5."""
    X, y = np.array([[0], [2], [5], [6]], np.float32), np.array([0, 0, 1, 1])
    found = silhouettes(embedded(X, y).class_distances, y)
    assert found == pytest.approx([3.5 / 5.5, 1.5 / 3.5, 3 / 4, 4 / 5])


def test_duplicates_and_single_images_are_neither_near_nor_far():
    X, y = np.ones((5, 3), np.float32), np.array([0, 0, 1, 1, 2])
    assert silhouettes(embedded(X, y).class_distances, y).tolist() == [0] * 5
