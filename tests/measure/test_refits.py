import numpy as np
import pytest

from stages.measure.embedded_split import EmbeddedSplit, Settings
from stages.measure.halves import complementary_halves
from stages.measure.metric_names import FROM_CLUSTERS, REFITTED
from stages.measure.metrics import METRICS
from stages.measure.refits import (
    CLUSTER_SCORES,
    EMBEDDING_SCORES,
    NEIGHBOUR_SCORES,
    RefitSettings,
    refit,
    subset_scores,
)
from stages.measure.scores.kmeans import Search
from tests.measure.synthetic import blobs

SETTINGS = RefitSettings(Search(), Search(15, 3), few_shot_seed=0)


def overlapping(sizes=(12, 15, 20, 13)):
    return blobs(list(sizes), 30, spread=3)


def own_score(name, X, y, search):
    """The catalogue's score of an embedding that holds nothing else."""
    settings = Settings("none", min(int(np.bincount(y).max()), len(y) - 1), search, 1.0, 3, 0, few_shot_seed=7)
    return METRICS[name].score(EmbeddedSplit(X, y, settings)).value


def test_names_are_those_that_params_are_checked_with():
    assert tuple(CLUSTER_SCORES) == FROM_CLUSTERS
    assert (*CLUSTER_SCORES, *NEIGHBOUR_SCORES, *EMBEDDING_SCORES) == REFITTED


@pytest.mark.parametrize("name", REFITTED)
def test_of_all_classes_a_score_is_the_catalogues(name):
    X, y = overlapping()
    search = Search(20, 3, seed=5)
    found = subset_scores(X, y, np.ones((1, len(y)), bool), [search], [name], few_shot_seed=7).item()
    assert found == pytest.approx(own_score(name, X, y, search), rel=1e-12)


@pytest.mark.parametrize("name", REFITTED)
def test_a_subset_scores_as_an_embedding_that_holds_nothing_else(name):
    X, y = overlapping()
    rng = np.random.default_rng(3)
    subsets = np.stack([np.ones(len(y), bool), y != 1, rng.random(len(y)) < 0.6])
    single = [Search(starts=1, seed=4)] * 3  # the search in a rotation of all images may end elsewhere
    found = subset_scores(X, y, subsets, single, [name], few_shot_seed=7)[:, 0]
    for value, subset in zip(found, subsets, strict=True):
        codes = np.unique(y[subset], return_inverse=True)[1]
        assert value == pytest.approx(own_score(name, X[subset], codes, single[0]), rel=1e-9)


def test_rows_are_all_classes_but_each_one_and_halves():
    X, y = overlapping()
    halves = complementary_halves(y.astype(str), 6, seed=0)
    settings = RefitSettings(Search(10, 2), Search(5, 1), few_shot_seed=1)
    found = refit(X, y, halves, ["knn_purity", "nmi"], settings)
    assert found.metrics == ("knn_purity", "nmi")
    assert (found.without.shape, found.halves.shape) == ((4, 2), (6, 2))
    np.testing.assert_array_equal(found.of("nmi")[0], found.without[:, 1])
    np.testing.assert_array_equal(found.of("knn_purity")[1], found.halves[:, 0])
    third = subset_scores(X, y, (y != 2)[None], [Search(10, 2)], ["knn_purity", "nmi"], few_shot_seed=1)
    np.testing.assert_array_equal(found.without[2], third[0])
    last = subset_scores(X, y, halves[5:], [Search(5, 1)], ["knn_purity", "nmi"], few_shot_seed=1)
    np.testing.assert_array_equal(found.halves[5], last[0])


def test_of_three_classes_none_is_left_out():
    X, y = overlapping((12, 15, 20))
    found = refit(X, y, np.empty((0, 47), bool), ["nmi"], SETTINGS)
    assert found.without.shape == (0, 1)
    assert found.halves.shape == (0, 1)


def test_a_score_that_a_half_cannot_have_is_nan():
    X, y = overlapping((6, 6, 6, 6))
    halves = complementary_halves(y.astype(str), 2, seed=0)
    found = refit(X, y, halves, ["few_shot_accuracy_5", "few_shot_accuracy_1"], SETTINGS)
    assert np.isfinite(found.without).all()
    assert np.isnan(found.halves[:, 0]).all()  # three images of a class leave no query beside five of support
    assert np.isfinite(found.halves[:, 1]).all()
