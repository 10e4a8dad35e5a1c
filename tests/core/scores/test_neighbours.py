import tracemalloc

import numpy as np
import pytest

from stages.core.scores.neighbours import chance_order, distance_sums, others, scan, squared_distance_blocks
from tests.measure.synthetic import blobs


def gathered(X, k, **options):
    return scan(X, np.arange(len(X)), k, kept=k, **options).nearest


def slow_neighbours(X, k):
    """One distance at a time; itself excluded, equal distances in the order of chance."""
    X, ranks = X.astype(np.float64), [np.argsort(chance_order(len(X), i)) for i in range(len(X))]
    found = []
    for i in range(len(X)):
        others = [(float(((X[i] - X[j]) ** 2).sum()), ranks[i][j], j) for j in range(len(X)) if j != i]
        found.append([j for _, _, j in sorted(others)[:k]])
    return np.array(found)


def test_points_on_a_line():
    X = np.array([[0], [1], [3], [7]], np.float32)
    assert gathered(X, 3).tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]]


@pytest.mark.parametrize("k", [1, 4, 29])
@pytest.mark.parametrize("width", [1, 3, 40])
def test_neighbours_equal_a_slow_search(width, k):
    X, _ = blobs([10, 12, 8], width)
    assert np.array_equal(gathered(X, k), slow_neighbours(X, k))


def test_equal_distances_come_in_an_order_of_chance():
    X = np.random.default_rng(0).integers(0, 3, size=(60, 3)).astype(np.float32)  # a grid: most distances are tied
    assert np.array_equal(gathered(X, 59), slow_neighbours(X, 59))


def test_a_duplicate_is_a_neighbour_and_itself_is_not():
    X, _ = blobs([6], 300, seed=3)
    X = np.concatenate([X, X + 0, X])  # every row three times
    nearest = gathered(X, 2)
    n = len(X)
    for i in range(n):
        assert sorted(nearest[i]) == [j for j in range(n) if j % 6 == i % 6 and j != i]


@pytest.mark.parametrize("values", [np.zeros, np.ones])
@pytest.mark.parametrize("share", [1, 0.4])
def test_a_dead_layer_scores_chance_though_images_are_sorted_by_class(values, share):
    y = np.repeat(np.arange(5), 60)
    X = blobs([60] * 5, 4, spread=1e9)[0]  # noise
    X[np.random.default_rng(0).uniform(size=300) < share] = values(4)
    found = scan(X, y, 60)
    assert found.n_matches.mean() / 60 == pytest.approx(59 / 299, abs=0.02)
    assert found.precisions.mean() == pytest.approx(59 / 299, abs=0.02)
    assert found.average_precisions.mean() < 0.07  # in the order of their index 0.23


def test_a_constant_feature_however_large_changes_no_neighbour():
    X, _ = blobs([20, 20], 6)
    for constant in (1e3, 1e6, 1e9, 1e15):
        beside = np.hstack([X, np.full((40, 1), constant, np.float32)])
        assert np.array_equal(gathered(beside, 39), slow_neighbours(X, 39))
        whole = np.concatenate([block for _, block in squared_distance_blocks(beside)])
        np.testing.assert_allclose(whole, ((X[:, None].astype(float) - X) ** 2).sum(axis=2), rtol=1e-6)


def test_a_large_offset_does_not_blur_the_distances():
    X, _ = blobs([20, 20], 6)
    shifted = (X + 4096).astype(np.float32)
    assert np.array_equal(gathered(shifted, 10), slow_neighbours(shifted, 10))


@pytest.mark.parametrize("block_bytes", [1, 32 * 30 * 7, 32 * 30 * 30])
def test_blocks_do_not_change_the_result(block_bytes):
    X, _ = blobs([10, 12, 8], 5)
    sizes = [rows.stop - rows.start for rows, _ in squared_distance_blocks(X, block_bytes=block_bytes)]
    assert sum(sizes) == 30
    assert max(sizes) == {1: 1, 32 * 30 * 7: 7, 32 * 30 * 30: 30}[block_bytes]
    assert np.array_equal(gathered(X, 12, block_bytes=block_bytes), gathered(X, 12))


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e7, 1e9])
@pytest.mark.parametrize("k", [1, 29, 58])
def test_an_image_far_away_does_not_blur_the_others(factor, k):
    X, _ = blobs([20, 20, 20], 4)
    X[7] *= np.float32(factor)
    X[30:33] = X[50]
    assert np.array_equal(gathered(X, k), slow_neighbours(X, k))


def test_duplicates_come_before_images_near_them_however_far_others_are():
    X = np.array([[1.001], [1], [1], [1], [1e15]], np.float32)
    assert np.array_equal(gathered(X, 2), slow_neighbours(X, 2))
    assert sorted(gathered(X, 3)[0]) == [1, 2, 3]


def test_neighbours_in_reach_are_compared_nearest_first():
    X = np.array([[0], [1], [3], [7]], np.float32)
    found = scan(X, np.array([0, 0, 1, 0]), 2, kept=2)
    # of the same class: [yes, no, yes], [yes, no, yes], [no, no, no], [no, yes, yes]
    assert found.nearest.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert found.n_matches.tolist() == [1, 1, 0, 1]
    assert found.precisions.tolist() == [1 / 2, 1 / 2, 0, 1 / 2]  # R = 2, and 0 of the third
    assert found.average_precisions.tolist() == [1 / 2, 1 / 2, 0, 1 / 4]
    assert found.sums == {}


@pytest.mark.parametrize("k", [1, 11, 29])
def test_comparisons_equal_a_slow_loop(k):
    X, y = blobs([10, 12, 7, 1], 5, spread=2)
    found, slow = scan(X, y, k, block_bytes=32 * 30 * 7), slow_neighbours(X, 29)
    for i, nearest in enumerate(slow):
        same, R = (y[nearest] == y[i]).tolist(), int((y == y[i]).sum()) - 1
        assert found.n_matches[i] == sum(same[:k])
        assert found.precisions[i] == pytest.approx(sum(same[:R]) / max(R, 1))
        ranks = [sum(same[: r + 1]) / (r + 1) for r in range(R) if same[r]]
        assert found.average_precisions[i] == pytest.approx(sum(ranks) / max(R, 1))


def test_memory_grows_with_images_and_not_with_their_neighbours():
    X, y = blobs([1500, 1500], 2)
    tracemalloc.start()
    scan(X, y, 1500, block_bytes=2**19)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20  # 3000 x 1500 matches would be 4.3 MiB


@pytest.mark.parametrize("block_bytes", [1, 32 * 30 * 7, 2**26])
def test_sums_of_distances_equal_a_slow_sum(block_bytes):
    X, y = blobs([10, 12, 8], 5)
    groups = np.random.default_rng(0).uniform(size=(30, 2))
    slow = [
        [sum(groups[j, g] * np.linalg.norm(a.astype(float) - b) for j, b in enumerate(X)) for g in (0, 1)] for a in X
    ]
    found = scan(X, y, 3, groups={"two": groups, "one": groups[:, :1]}, block_bytes=block_bytes)
    assert np.allclose(found.sums["two"], slow, rtol=1e-12)
    assert np.allclose(found.sums["one"], np.array(slow)[:, :1], rtol=1e-12)
    assert np.array_equal(found.n_matches, scan(X, y, 3).n_matches)
    assert np.allclose(distance_sums(X, groups), slow, rtol=1e-12)


def test_no_image_of_its_own_group_is_an_images_neighbour():
    """By hand, image by image: groups of very unequal size, some with images of several classes."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 5, (40, 3)).astype(np.float32), rng.integers(0, 3, 40)
    own_groups = rng.choice(5, 40, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    k = min(np.bincount(y).max(), min((own_groups != group).sum() for group in own_groups))
    found = scan(X, y, k, kept=2, own_groups=own_groups, block_bytes=2**10)
    ranks = [np.argsort(chance_order(40, i)) for i in range(40)]
    for i in range(40):
        allowed = [j for j in range(40) if own_groups[j] != own_groups[i]]
        ordered = sorted(allowed, key=lambda j: (((X[i] - X[j]) ** 2).sum(), ranks[i][j]))
        same = [y[j] == y[i] for j in ordered]
        R = sum(same)
        assert found.nearest[i].tolist() == ordered[:2]
        assert found.n_matches[i] == sum(same[:k])
        assert found.precisions[i] == pytest.approx(sum(same[:R]) / R if R else 0)
        averages = [sum(same[: r + 1]) / (r + 1) for r in range(R) if same[r]]
        assert found.average_precisions[i] == pytest.approx(sum(averages) / R if R else 0)
        assert [counts[i] for counts in others(y, own_groups)] == [R, len(allowed)]


def test_a_group_of_one_image_each_keeps_nothing_but_the_image_out():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 5, (40, 3)).astype(np.float32), rng.integers(0, 3, 40)
    plain, grouped = scan(X, y, 10, kept=3), scan(X, y, 10, kept=3, own_groups=np.arange(40))
    for name in ("nearest", "n_matches", "precisions", "average_precisions"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(grouped, name))
