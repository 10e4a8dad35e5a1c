import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from stages.core.scores.kmeans import (
    Clustering,
    Search,
    class_means,
    cluster,
    compare_clusterings,
    inertia_of,
    leading_columns,
    polish,
    rotate,
    searched_partitions,
)


def hard(N=120, D=200, parts=6, seed=0):
    """Overlapping clusters in many dimensions, far from the origin: Lloyd stops in many different places."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(parts, D))
    return (100 + centres[np.arange(N) % parts] + 2.5 * rng.normal(size=(N, D))).astype(np.float32)


def polished_clusterings(rotated, clusters, search):
    return polish(rotated, searched_partitions(rotated, clusters, search), search)


def distances(X):
    X = X.astype(np.float64)
    return np.linalg.norm(X[:, None] - X, axis=2)


@pytest.mark.parametrize("D", [7, 40, 200])
def test_a_rotation_keeps_distances_and_sorts_columns_by_variance(D):
    X = hard(40, D)
    rotated = rotate(X)
    assert rotated.shape == (40, min(40, D))
    assert rotated.dtype == np.float32
    np.testing.assert_allclose(distances(rotated), distances(X), rtol=1e-5, atol=1e-4)
    assert (np.diff(rotated.astype(np.float64).var(axis=0)) < 1e-6).all()
    np.testing.assert_allclose(rotated.mean(axis=0, dtype=np.float64), 0, atol=1e-5)


def test_inertia_is_the_same_in_the_rotation_and_on_any_rows():
    X, labels = hard(), np.arange(120) % 6
    some = np.arange(120) % 3 > 0
    rotated = rotate(X)
    assert inertia_of(rotated, labels) == pytest.approx(inertia_of(X, labels), rel=1e-6)
    assert inertia_of(rotated[some], labels[some]) == pytest.approx(inertia_of(X[some], labels[some]), rel=1e-6)


def test_inertia_of_a_hand_worked_case():
    X = np.array([[0, 0], [2, 0], [5, 1], [5, 5]], np.float32)
    assert inertia_of(X, np.array([3, 3, 1, 1])) == pytest.approx(2 * 1 + 2 * 4)
    np.testing.assert_array_equal(class_means(X, np.array([3, 3, 1, 1])), [[5, 3], [1, 0]])


def test_a_single_start_is_scikit_learns_on_the_embedding_as_it_is():
    X = hard()
    plain = KMeans(n_clusters=6, random_state=42, n_init="auto").fit(X)
    found = cluster(X, 6, Search(starts=1, seed=42))
    np.testing.assert_array_equal(found.labels, plain.labels_)
    assert found.inertia == pytest.approx(plain.inertia_, rel=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_the_search_beats_as_many_fresh_starts(seed):
    X = hard(seed=seed)
    fresh = min(KMeans(6, random_state=start, n_init=1).fit(X).inertia_ for start in range(50))
    assert cluster(X, 6, Search()).inertia < fresh * (1 + 1e-6)


def test_many_clusters_are_searched_in_more_columns():
    """Pairs of clusters stand apart in a column each, the last pair in the 17th alone."""
    rng, y = np.random.default_rng(0), np.arange(34 * 6) % 34
    axes = np.diag([*np.linspace(40, 30, 16), 10])
    X = (np.concatenate([axes, -axes])[y] + rng.normal(0, 0.5, (len(y), 17))).astype(np.float32)
    first = searched_partitions(rotate(X), 34, Search(starts=50))[0]
    assert not set(first[y == 16]) & set(first[y == 33])


def test_the_columns_of_a_search_grow_with_the_clusters_up_to_eighty():
    """So that twice the classes are searched in the same columns as ever where there are at most 20 classes."""
    assert [leading_columns(clusters) for clusters in (5, 20, 40, 41, 300)] == [16, 40, 80, 80, 80]


def test_the_least_inertia_wins_and_partitions_are_distinct_and_polished():
    rotated = rotate(hard())
    found = polished_clusterings(rotated, 6, Search(starts=20, polished=5))
    inertias = [each.inertia for each in found]
    assert len(found) == 5
    assert inertias == sorted(inertias)
    for each in found:
        again = KMeans(6, init=class_means(rotated, each.labels), n_init=1).fit(rotated)
        np.testing.assert_array_equal(again.labels_, each.labels)
    assert cluster(hard(), 6, Search(20, 5)).inertia == inertias[0]


def test_partitions_that_polishing_leads_to_the_same_place_are_one():
    rotated = rotate(hard(parts=3, D=60))
    found = polished_clusterings(rotated, 3, Search(starts=20, polished=20))
    tables = {tuple(sorted(np.unique(each.labels + 3 * other.labels).size for other in found)) for each in found}
    assert len(found) < 20
    assert all((np.unique(a.labels + 3 * b.labels).size == 3) == (a is b) for a in found for b in found), tables


def test_few_starts_of_a_search_are_at_most_its_own():
    assert Search(50, 5, 7).reduced == Search(5, 1, 7)
    assert Search(1, 1, 42).reduced == Search(1, 1, 42)
    assert Search(50, 5, 7).capped(15, 3) == Search(15, 3, 7)
    assert Search(1).single
    assert not Search(2).single


def test_relabelled_partitions_are_polished_once():
    X = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    assert len(polished_clusterings(rotate(X), 3, Search(starts=10, polished=5))) == 1


def test_the_search_depends_on_its_seed_alone():
    X = hard()
    first, again, other = (cluster(X, 6, Search(2, 1, seed)) for seed in (0, 0, 5))
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_more_starts_are_never_worse_before_polishing():
    few = rotate(hard(parts=15))[:, :16]  # no further column: polishing changes nothing
    found = [polished_clusterings(few, 15, Search(starts, 1))[0].inertia for starts in (2, 5, 20)]
    assert found == sorted(found, reverse=True)
    assert found[2] < found[0]


def test_a_subset_of_rows_takes_the_rotation_of_all():
    X, rows = hard(), np.arange(120) % 2 == 0
    given = cluster(X[rows], 6, Search(), rotated=rotate(X)[rows])
    assert given.inertia == pytest.approx(cluster(X[rows], 6, Search()).inertia, rel=2e-3)
    assert given.inertia == pytest.approx(inertia_of(X[rows], given.labels), rel=1e-6)


@pytest.mark.parametrize("search", [Search(starts=1), Search(starts=4)])
@pytest.mark.parametrize("distinct", [1, 2])
def test_fewer_distinct_rows_than_clusters_give_as_many_clusters(search, distinct):
    X = np.repeat(np.eye(3, dtype=np.float32)[:distinct], 4, axis=0)
    found = cluster(X, 3, search)
    assert len(np.unique(found.labels)) == distinct
    assert found.inertia == pytest.approx(0, abs=1e-10)
    assert isinstance(found, Clustering)


def test_clusterings_are_compared_with_the_classes_and_with_the_first():
    y = np.array([0, 0, 1, 1, 2, 2])
    first, other = np.array([1, 1, 0, 0, 0, 2], np.int32), np.array([0, 0, 1, 1, 2, 2], np.int32)
    X = np.array([[0], [2], [4], [6], [8], [9]], np.float32)
    found = compare_clusterings(y, [Clustering(X, first), Clustering(X, other)])
    assert [(row["rank"], row["inertia"], row["clusters"]) for row in found] == [(0, 10, 3), (1, 4.5, 3)]
    assert [row["nmi"] for row in found] == pytest.approx([normalized_mutual_info_score(y, first), 1])
    assert [row["agreement"] for row in found] == pytest.approx([1, adjusted_mutual_info_score(first, other)])
