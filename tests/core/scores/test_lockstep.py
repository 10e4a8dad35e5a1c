import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from stages.core.scores import lockstep
from stages.core.scores.lockstep import ELEMENTS, lloyd, search, seed_centres


def overlapping(N=150, C=16, parts=6, seed=0):
    """Overlapping clusters: Lloyd stops in many different places."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(parts, C))[np.arange(N) % parts] + rng.normal(size=(N, C)) * np.linspace(2, 0.5, C)
    return (X - X.mean(axis=0)).astype(np.float32)


@pytest.mark.parametrize(("N", "C", "K"), [(60, 5, 2), (150, 16, 6), (300, 40, 20)])
def test_every_start_ends_where_scikit_learns_lloyd_does(N, C, K):
    X = overlapping(N, C)
    centres = seed_centres(X, K, np.random.default_rng(1).random((8, 1 + (K - 1) * 3)))
    labels, inertia = lloyd(X, centres)
    for own, value, start in zip(labels, inertia, centres, strict=True):
        fitted = KMeans(K, init=start, n_init=1, tol=0).fit(X.astype(np.float64))
        assert adjusted_rand_score(own, fitted.labels_) == 1
        assert value == pytest.approx(fitted.inertia_, rel=1e-5)


def test_clusters_are_numbered_as_they_appear():
    labels, _ = search(overlapping(), 6, range(5))
    assert labels.dtype == np.int32
    for own in labels:
        assert own[np.sort(np.unique(own, return_index=True)[1])].tolist() == list(range(6))


@pytest.mark.parametrize(("N", "C", "K"), [(60, 5, 2), (150, 16, 6), (300, 40, 20)])
def test_a_start_ends_where_scikit_learns_of_the_same_seed_does(N, C, K):
    X = overlapping(N, C)
    labels, inertia = search(X, K, range(20))
    for seed, (own, value) in enumerate(zip(labels, inertia, strict=True)):
        fitted = KMeans(K, n_init=1, random_state=seed, tol=0).fit(X)
        assert adjusted_rand_score(own, fitted.labels_) == 1
        assert value == pytest.approx(fitted.inertia_, rel=1e-5)
    assert len(set(inertia.round(3))) > 1


def test_a_start_depends_on_its_seed_alone(monkeypatch):
    X = overlapping(N=1500)
    assert 40 * 6 * len(X) > ELEMENTS  # several blocks of starts
    labels, inertia = search(X, 6, range(40))
    np.testing.assert_array_equal(search(X, 6, [7, 33, 2])[0], labels[[7, 33, 2]])
    np.testing.assert_array_equal(search(X, 6, range(40))[1], inertia)
    monkeypatch.setattr(lockstep, "ELEMENTS", 1)  # as if one start filled the cache: blocks of four are seeded
    np.testing.assert_array_equal(search(X, 6, range(40))[0], labels)


def test_centres_are_drawn_as_far_rows_are_likelier():
    X = np.array([[0], [1], [3]], np.float32)
    numbers = np.random.default_rng(0).random((20_000, 2))  # one candidate for the second centre: plain k-means++
    centres = seed_centres(X, 2, numbers)[..., 0]
    first, counts = np.unique(centres[:, 0], return_counts=True)
    assert first.tolist() == [0, 1, 3]
    np.testing.assert_allclose(counts / 20_000, 1 / 3, atol=0.015)
    second = centres[centres[:, 0] == 0, 1]
    assert np.mean(second == 3) == pytest.approx(9 / 10, abs=0.015)  # squared distances 1 and 9
    assert not (second == 0).any()


def test_of_several_candidates_the_one_that_lowers_the_inertia_most_is_taken():
    X = np.array([[0], [0.1], [10], [10.1], [10.2], [30]], np.float32)
    numbers = np.concatenate([[0.0], np.linspace(0.001, 0.999, 50)])[None]  # first row, then nearly every candidate
    chosen = seed_centres(X, 2, numbers)[0, 1, 0]
    inertia = [np.minimum(X**2, (X - x) ** 2).sum() for x in X[:, 0]]
    assert chosen == X[np.argmin(inertia), 0]


@pytest.mark.parametrize("left_over", [0, 1e-9, np.nan])
def test_an_empty_cluster_takes_the_farthest_row(left_over):
    X = np.array([[0], [1], [2], [10]], np.float32)
    centres = np.array([[[1], [2.2], [50]]], np.float32)  # no row is nearest to 50; row 10 is farthest from its centre
    freed = [np.full((1, 3, 2), left_over, np.float32) for _ in range(7)]
    del freed  # numpy gives this memory to the next arrays of that size, as it is
    labels, inertia = lloyd(X, centres)
    fitted = KMeans(3, init=centres[0], n_init=1).fit(X)
    assert adjusted_rand_score(labels[0], fitted.labels_) == 1
    assert len(set(labels[0])) == 3
    assert inertia[0] == pytest.approx(fitted.inertia_) == pytest.approx(0.5)


def test_a_row_between_two_equal_centres_belongs_to_the_first():
    X = np.array([[-1], [0], [1], [1]], np.float32)
    labels, inertia = lloyd(X, np.array([[[-1], [1]], [[1], [-1]]], np.float32))
    assert labels.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert inertia.tolist() == pytest.approx([0.5, 2 / 3])


def test_a_row_that_equals_a_centre_is_not_drawn():
    X = np.full((101, 1), 100, np.float32)
    X[90] = 101  # the rounding of a hundred squared lengths is more than its squared distance
    assert sorted(seed_centres(X, 2, np.array([[0.0, 0.3]])).ravel()) == [100, 101]


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_fewer_distinct_rows_than_clusters_leave_clusters_empty(distinct):
    X = np.repeat(overlapping(distinct, 7), 7, axis=0)
    labels, inertia = search(X, 5, range(10))
    assert [len(set(own)) for own in labels] == [distinct] * 10
    np.testing.assert_allclose(inertia, 0, atol=1e-4)


def test_inertia_is_the_exact_difference_of_numbers_beyond_single_precision():
    """Two clusters far from the origin: what the squared lengths and the means leave is 30 of 128 million."""
    cluster = np.array([1001] * 40 + [1002] * 24, np.float32)
    X = np.concatenate([cluster, -cluster])[:, None]
    labels, inertia = lloyd(X, np.array([[[1000], [-1000]]], np.float32))
    assert (inertia.tolist(), labels[0].tolist()) == ([30.0], [0] * 64 + [1] * 64)
