import numpy as np
import pytest

from stages.measure.halves import complementary_halves
from stages.measure.metrics import LAYER_SCORES
from stages.measure.refits import refit, subset_scores
from stages.measure.scores.kmeans import Search
from tests.measure.synthetic import blobs, embedded

REFITTED = [name for name, score in LAYER_SCORES.items() if score.refit]
HALVES_SEARCH = Search(15, 3)


def overlapping(sizes=(12, 15, 20, 13)):
    return blobs(list(sizes), 30, spread=3)


def own_score(name, X, y, search):
    """The catalogue's score of an embedding that holds nothing else."""
    return LAYER_SCORES[name].score(embedded(X, y, search=search, few_shot_seed=7)).value


@pytest.mark.parametrize("name", REFITTED)
def test_of_all_classes_a_score_is_the_catalogues(name):
    X, y = overlapping()
    search = Search(20, 3, seed=5)
    found = subset_scores(embedded(X, y, few_shot_seed=7), np.ones((1, len(y)), bool), [search], [name]).item()
    assert found == pytest.approx(own_score(name, X, y, search), rel=1e-12)


@pytest.mark.parametrize("name", REFITTED)
def test_a_subset_scores_as_an_embedding_that_holds_nothing_else(name):
    X, y = overlapping()
    rng = np.random.default_rng(3)
    subsets = np.stack([np.ones(len(y), bool), y != 1, rng.random(len(y)) < 0.6])
    single = [Search(starts=1, seed=4)] * 3  # the search in a rotation of all images may end elsewhere
    found = subset_scores(embedded(X, y, few_shot_seed=7), subsets, single, [name])[:, 0]
    for value, subset in zip(found, subsets, strict=True):
        codes = np.unique(y[subset], return_inverse=True)[1]
        assert value == pytest.approx(own_score(name, X[subset], codes, single[0]), rel=1e-9)


def test_rows_are_all_classes_but_each_one_and_halves():
    X, y = overlapping()
    halves = complementary_halves(y.astype(str), 6, seed=0)
    split = embedded(X, y, search=Search(10, 2))
    found = refit(split, halves, ["knn_purity", "nmi"], Search(5, 1))
    assert found.metrics == ("knn_purity", "nmi")
    assert (found.without.shape, found.halves.shape) == ((4, 2), (6, 2))
    np.testing.assert_array_equal(found.of("nmi")[0], found.without[:, 1])
    np.testing.assert_array_equal(found.of("knn_purity")[1], found.halves[:, 0])
    third = subset_scores(split, (y != 2)[None], [Search(10, 2)], ["knn_purity", "nmi"])
    np.testing.assert_array_equal(found.without[2], third[0])
    last = subset_scores(split, halves[5:], [Search(5, 1)], ["knn_purity", "nmi"])
    np.testing.assert_array_equal(found.halves[5], last[0])


def test_of_three_classes_none_is_left_out():
    X, y = overlapping((12, 15, 20))
    found = refit(embedded(X, y), np.empty((0, 47), bool), ["nmi"], HALVES_SEARCH)
    assert found.without.shape == (0, 1)
    assert found.halves.shape == (0, 1)


def test_a_score_that_a_half_cannot_have_is_nan():
    X, y = overlapping((6, 6, 6, 6))
    halves = complementary_halves(y.astype(str), 2, seed=0)
    found = refit(embedded(X, y), halves, ["few_shot_accuracy_5", "few_shot_accuracy_1"], HALVES_SEARCH)
    assert np.isfinite(found.without).all()
    assert np.isnan(found.halves[:, 0]).all()  # three images of a class leave no query beside five of support
    assert np.isfinite(found.halves[:, 1]).all()
