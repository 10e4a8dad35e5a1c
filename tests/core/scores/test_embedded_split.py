from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans

from stages.core.scores import arrays
from stages.core.scores import embedded_split as layer
from stages.core.scores.catalogue import LAYER_SCORES, needs_of
from stages.core.scores.embedded_split import EmbeddedSplit, centred, unit_rows
from stages.core.scores.kmeans import Search
from tests.measure.synthetic import blobs, embedded, settings


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
    assert split.clusterings is split.clusterings
    assert split.scan is split.scan
    assert split.n_same_class.tolist() == [8 if c == 0 else 6 for c in y]


def test_neighbours_reach_as_far_as_retrieval_needs():
    X, y = blobs([9, 7], 3)
    shallow, deep = embedded(X, y, neighbours=2), embedded(X, y, neighbours=12)
    assert shallow.scan.n_matches.max() == 2 < deep.scan.n_matches.max()
    assert np.array_equal(shallow.scan.average_precisions, deep.scan.average_precisions)
    assert shallow.scan.nearest.shape == (16, 3)
    assert embedded(X[:3], y[:3] * 0, neighbours=1).scan.nearest.shape == (3, 2)


@pytest.fixture
def passes(monkeypatch):
    """Names of the passes over all distances, as they are made."""
    made = []
    for name in ("scan", "distance_sums"):
        inner = getattr(layer, name)
        monkeypatch.setattr(layer, name, lambda *a, name=name, inner=inner, **k: made.append(name) or inner(*a, **k))
    return made


def test_scores_from_distances_share_one_pass(passes):
    X, y = blobs([9, 7], 3)
    split = EmbeddedSplit(X, y, settings(y), needs=needs_of(LAYER_SCORES))
    values = {name: metric.score(split).value for name, metric in LAYER_SCORES.items()}
    assert passes == ["scan"]
    assert values["silhouette"] == LAYER_SCORES["silhouette"].score(embedded(X, y)).value


@pytest.mark.parametrize("name", LAYER_SCORES)
def test_a_score_computes_the_distances_it_needs_and_no_others(name, passes):
    X, y = blobs([9, 7], 3)
    split = EmbeddedSplit(X, y, settings(y), needs=needs_of([name]))
    LAYER_SCORES[name].score(split)
    needs = LAYER_SCORES[name].needs
    summed = {"class_distances", "cluster_distances"} & set(needs)
    assert passes == (["scan"] if "neighbours" in needs else ["distance_sums"] if summed else [])
    assert ("clusterings" in needs) == ("clusterings" in vars(split))
    if "neighbours" in needs:
        assert split.scan.sums == {}


def test_a_part_is_scored_like_the_whole_with_its_own_classes_and_k():
    X, y = blobs([10, 6, 8], 5)
    whole = embedded(X, y, search=Search(5, 2, 1), folds=4, probe_seed=9)
    rows = np.flatnonzero(y != 0)
    part = whole.part(rows, needs=["clusterings"])
    assert np.array_equal(part.y, y[rows] - 1)
    assert np.array_equal(part.X, X[rows])
    settings = part.settings
    assert (settings.neighbours, settings.search, settings.folds, settings.probe_seed) == (8, Search(5, 2, 1), 4, 9)
    assert part.needs == ["clusterings"]
    assert np.array_equal(part.rotated, whole.rotated[rows])


def test_neighbours_of_other_groups_have_their_own_chance_and_ceiling_and_stay_so_in_a_part():
    """Two classes of four images; each class has two groups, one of three images and one of one."""
    X, y = blobs([4, 4], 3)[0], np.repeat([0, 1], 4)
    groups = np.array([0, 0, 0, 1, 2, 2, 2, 3])
    split = EmbeddedSplit(X, y, replace(embedded(X, y).settings, neighbours=4, own_groups=groups))
    purity = LAYER_SCORES["knn_purity"].score(split)
    assert purity.chance == pytest.approx((3 * (1 / 5) + 3 / 7) / 4)
    assert purity.ceiling == pytest.approx((3 * (1 / 4) + 3 / 4) / 4)
    assert LAYER_SCORES["nn1_accuracy"].score(split).ceiling == 1
    part = split.part(np.array([0, 3, 4, 5, 7]))
    assert part.settings.own_groups.tolist() == [0, 1, 2, 2, 3]
    assert part.settings.neighbours == 3
    assert part.n_same_class.tolist() == [1, 1, 1, 1, 2]
    assert split.leaves_neighbours(np.array([2, 3]))
    assert not split.leaves_neighbours(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="at least two groups"):
        split.part(np.array([0, 1, 2]))


def test_a_part_may_be_searched_less_hard():
    X, y = blobs([4, 4], 3)
    part = embedded(X, y).part(np.arange(8), search=Search(1, 1, 5))
    assert (part.settings.search, part.settings.neighbours) == (Search(1, 1, 5), 4)
    assert np.array_equal(part.clusters, KMeans(2, random_state=5, n_init=1).fit(X).labels_)


def test_rows_at_the_mean_are_zero_and_others_keep_their_difference():
    X = np.array([[4096.5, 1], [4096, 1], [4095.5, 1]], np.float32)
    assert centred(X).tolist() == [[0.5, 0], [0, 0], [-0.5, 0]]
    constant = np.full((7, 3), 0.1, np.float32)
    assert np.array_equal(embedded(constant, np.array([0, 0, 0, 1, 1, 1, 1])).centred_directions, np.zeros((7, 3)))


def test_centring_by_blocks_of_rows_equals_centring_at_once(monkeypatch):
    X, _ = blobs([10, 12], 5)
    monkeypatch.setattr(arrays, "ROWS_PER_BLOCK", 7)
    assert np.allclose(centred(X), X - X.mean(axis=0, dtype=np.float64), atol=1e-6)
