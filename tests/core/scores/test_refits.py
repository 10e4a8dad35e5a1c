import numpy as np
import pytest

from stages.core.scores import embedded_split
from stages.core.scores.agreement import normalized_mutual_information
from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.embedded_split import EmbeddedSplit, Settings
from stages.core.scores.halves import complementary_halves
from stages.core.scores.kmeans import Search, inertia_of
from stages.core.scores.probe import held_out_scores
from stages.core.scores.refits import class_groups, refit, subset_scores
from tests.measure.synthetic import blobs, embedded

REFITTED = [name for name, score in LAYER_SCORES.items() if score.refit and not score.without]
HALVES_SEARCH = Search(15, 3)


def overlapping(sizes=(12, 15, 20, 13)):
    return blobs(list(sizes), 30, spread=3)


def own_score(name, X, y, search, own_groups=None):
    """The catalogue's score of an embedding that holds nothing else."""
    split = embedded(X, y, search=search, few_shot_seed=7, own_groups=own_groups)
    return LAYER_SCORES[name].score(split).value


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


def test_an_images_neighbours_in_a_subset_are_of_other_groups():
    X, y = overlapping()
    groups, subset = np.arange(len(y)) // 15, y > 0
    found = subset_scores(embedded(X, y, own_groups=groups), subset[None], [HALVES_SEARCH], ["map_at_r"]).item()
    alone = own_score("map_at_r", X[subset], y[subset] - 1, HALVES_SEARCH, own_groups=groups[subset])
    assert found == pytest.approx(alone, rel=1e-9)


def test_rows_are_all_classes_but_each_one_and_halves():
    X, y = overlapping()
    halves = complementary_halves(y.astype(str), 6, seed=0)
    split = embedded(X, y, search=Search(10, 2))
    found = refit(split, class_groups(list("abcd")), halves, ["knn_purity", "nmi"], Search(5, 1))
    assert {name: values.shape for name, values in found.items()} == {"knn_purity": (10,), "nmi": (10,)}
    third = subset_scores(split, (y != 2)[None], [None], ["knn_purity", "nmi"])
    np.testing.assert_array_equal([values[2] for values in found.values()], third[0])
    last = subset_scores(split, halves[5:], [Search(5, 1)], ["knn_purity", "nmi"])
    np.testing.assert_array_equal([values[4 + 5] for values in found.values()], last[0])


def test_images_of_one_group_alone_have_no_scores():
    X, y = overlapping()
    one = Settings(**vars(embedded(X, y).settings) | {"own_groups": np.where(y == 1, 0, 1)})
    found = refit(
        EmbeddedSplit(X, y, one), class_groups(list("abcd")), np.empty((0, 60), bool), ["nmi", "map_at_r"], one.search
    )
    assert [np.isnan(values).tolist() for values in found.values()] == [[False, True, False, False]] * 2


def naive_probe_without(X, y, group):
    """Remove the classes' columns from the scores of the probe, and their images, one by one."""
    scores, right = held_out_scores(X, y, C=1.0, folds=3, seed=0), []
    for image, label in zip(scores.tolist(), y.tolist(), strict=True):
        if label not in group:
            left = {c: score for c, score in enumerate(image) if c not in group}
            right.append(max(left, key=left.__getitem__) == label)
    return np.mean(right)


@pytest.mark.parametrize("classes", [4, 9, 23])  # 23: in groups of one and of two
def test_the_probe_is_scored_without_classes_by_removing_their_columns(classes):
    X, y = blobs([6, 9, 7] * 8, 12, spread=3)
    X, y = X[y < classes], y[y < classes]
    groups = class_groups([f"{c:02}" for c in range(classes)])
    halves = complementary_halves(y.astype(str), 2, seed=0)
    found = refit(embedded(X, y), groups, halves, ["probe_accuracy", "map_at_r"], HALVES_SEARCH)
    assert {name: len(values) for name, values in found.items()} == {
        "probe_accuracy": len(groups),  # nothing is fitted to halves
        "map_at_r": len(groups) + 2,
    }
    expected = [naive_probe_without(X, y, group.tolist()) for group in groups]
    np.testing.assert_array_equal(found["probe_accuracy"], expected)
    assert max(expected) > LAYER_SCORES["probe_accuracy"].compute(embedded(X, y)).value  # some class confuses


def test_the_probe_is_fitted_once_for_its_score_and_all_that_it_is_without(monkeypatch):
    X, y = overlapping()
    calls, inner = [], embedded_split.held_out_scores
    monkeypatch.setattr(embedded_split, "held_out_scores", lambda *a, **b: calls.append(1) or inner(*a, **b))
    split = embedded(X, y)
    LAYER_SCORES["probe_accuracy"].score(split)
    refit(split, class_groups(list("abcd")), np.empty((0, len(y)), bool), ["probe_accuracy"], HALVES_SEARCH)
    assert len(calls) == 1


@pytest.mark.parametrize("score", [score for score in LAYER_SCORES.values() if score.refit])
def test_only_what_is_fitted_again_is_fitted_to_halves(score):
    assert score.on_halves == (score.without is None)


def test_of_three_classes_none_is_left_out():
    X, y = overlapping((12, 15, 20))
    found = refit(embedded(X, y), class_groups(list("abc")), np.empty((0, 47), bool), ["nmi"], HALVES_SEARCH)
    assert found["nmi"].shape == (0,)


def test_a_score_that_a_half_cannot_have_is_nan():
    X, y = overlapping((6, 6, 6, 6))
    halves = complementary_halves(y.astype(str), 2, seed=0)
    found = refit(
        embedded(X, y),
        class_groups(list("abcd")),
        halves,
        ["few_shot_accuracy_5", "few_shot_accuracy_1"],
        HALVES_SEARCH,
    )
    by_five = [False] * 4 + [True] * 2  # in a half, three images of a class leave no query beside five of support
    assert np.isnan(found["few_shot_accuracy_5"]).tolist() == by_five
    assert np.isfinite(found["few_shot_accuracy_1"]).all()


def test_more_than_twenty_classes_are_left_out_in_twenty_random_groups():
    names = [f"class {number:02}" for number in range(47)]
    groups = class_groups(names)
    assert sorted(np.concatenate(groups).tolist()) == list(range(47))
    assert sorted(len(group) for group in groups) == [2] * 13 + [3] * 7
    assert any(np.diff(group).max() > 1 for group in groups)
    for group, again in zip(groups, class_groups(names), strict=True):
        np.testing.assert_array_equal(group, again)
    assert any((group != other).any() for group, other in zip(groups, class_groups(names[::-1]), strict=True))
    assert [group.tolist() for group in class_groups(names[:20])] == [[number] for number in range(20)]
    assert class_groups(names[:3]) == []


@pytest.mark.parametrize(("classes", "search"), [(8, Search(20, 3)), (23, Search(20, 3)), (8, Search(1, 1, 3))])
def test_without_classes_clusters_are_found_from_those_of_all_as_well_as_from_nothing(classes, search):
    X, y = blobs([12] * classes, 12, spread=1.5)
    split, inertias = embedded(X, y, search=search), []
    for group in class_groups([f"{c:02}" for c in range(classes)]):
        part = split.part(~np.isin(y, group), needs=["clusterings"])
        assert len(np.unique(part.clusters)) == classes - len(group)
        alone = embedded(part.X, part.y, search=search).clusterings[0]
        inertias.append([inertia_of(part.X, part.clusters), alone.inertia])
    near, alone = np.sum(inertias, axis=0)
    assert near <= 1.01 * alone


def test_well_separated_classes_keep_their_clusters_without_each():
    X, y = blobs([9, 12, 7, 10, 11], 8, spread=0.1)
    found = refit(embedded(X, y), class_groups(list("abcde")), np.empty((0, len(y)), bool), ["nmi"], HALVES_SEARCH)
    np.testing.assert_allclose(found["nmi"], 1)


def test_clusters_without_a_class_count_half_as_they_are_and_half_as_fitted_again():
    X, y = blobs([9, 12, 7, 10, 11], 3, spread=1.5)
    split, groups = embedded(X, y), class_groups(list("abcde"))
    found = refit(split, groups, np.empty((0, len(y)), bool), ["nmi", "knn_purity"], HALVES_SEARCH)
    again, kept = [], []
    for group in groups:
        part = split.part(~np.isin(y, group), needs=["clusterings"])
        again.append(normalized_mutual_information(part.y, part.clusters))
        kept.append(normalized_mutual_information(part.y, split.clusters[~np.isin(y, group)]))
    assert not np.allclose(again, kept)
    np.testing.assert_allclose(found["nmi"], np.mean([again, kept], axis=0), rtol=1e-12)


def test_a_class_in_two_clusters_leaves_one_that_other_images_take():
    """Two classes share a cluster, and the third has two: without it, the first two are told apart."""
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [3, 0], [50, 0], [80, 0]])
    y = np.repeat([0, 1, 2, 2], 10)
    X = (centres[np.repeat(np.arange(4), 10)] + 0.1 * random.standard_normal((40, 2))).astype(np.float32)
    whole = embedded(X, y, search=Search(20, 2))
    assert len(np.unique(whole.clusters[y == 2])) == 2
    part = whole.part(y != 2, needs=["clusterings"])
    assert len({*zip(part.y.tolist(), part.clusters.tolist(), strict=True)}) == 2


def test_a_group_of_classes_is_left_out_as_one():
    X, y = overlapping((12, 15, 20, 13))
    groups = [np.array([0, 2]), np.array([1]), np.array([3])]
    found = refit(embedded(X, y), groups, np.empty((0, len(y)), bool), ["knn_purity", "silhouette"], HALVES_SEARCH)
    subset = np.isin(y, [1, 3])
    for name, values in found.items():
        assert values[0] == pytest.approx(
            own_score(name, X[subset], (y[subset] == 3).astype(int), HALVES_SEARCH), rel=1e-9
        )
