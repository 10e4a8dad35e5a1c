import numpy as np
import pytest

from stages.measure.neighbours import distance_sums, scan, squared_distance_blocks
from tests.measure.synthetic import blobs


def gathered(X, k, **options):
    return scan(X, np.zeros(len(X), np.int64), k, kept=k, **options).nearest


def slow_neighbours(X, k):
    """One distance at a time; itself excluded, equal distances by index."""
    X = X.astype(np.float64)
    found = []
    for i in range(len(X)):
        others = [(float(((X[i] - X[j]) ** 2).sum()), j) for j in range(len(X)) if j != i]
        found.append([j for _, j in sorted(others)[:k]])
    return np.array(found)


def test_points_on_a_line():
    X = np.array([[0], [1], [3], [7]], np.float32)
    assert gathered(X, 3).tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]]


@pytest.mark.parametrize("k", [1, 4, 29])
@pytest.mark.parametrize("width", [1, 3, 40])
def test_neighbours_equal_a_slow_search(width, k):
    X, _ = blobs([10, 12, 8], width)
    assert np.array_equal(gathered(X, k), slow_neighbours(X, k))


def test_equal_distances_come_by_index():
    X = np.random.default_rng(0).integers(0, 3, size=(60, 3)).astype(np.float32)  # a grid: most distances are tied
    assert np.array_equal(gathered(X, 59), slow_neighbours(X, 59))


def test_a_duplicate_is_a_neighbour_and_itself_is_not():
    X, _ = blobs([6], 300, seed=3)
    X = np.concatenate([X, X + 0, X])  # every row three times
    nearest = gathered(X, 2)
    n = len(X)
    for i in range(n):
        assert nearest[i].tolist() == sorted(j for j in range(n) if j % 6 == i % 6 and j != i)


def test_all_points_equal_gives_the_lowest_indices():
    assert gathered(np.full((4, 5), 0.1, np.float32), 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    assert gathered(np.zeros((3, 2), np.float32), 2).tolist() == [[1, 2], [0, 2], [0, 1]]


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


def test_matches_compare_classes_nearest_first():
    X = np.array([[0], [1], [3], [7]], np.float32)
    found = scan(X, np.array([0, 0, 1, 0]), 3, kept=2)
    assert found.nearest.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert found.sums is None
    assert found.matches.tolist() == [
        [True, False, True],
        [True, False, True],
        [False, False, False],
        [False, True, True],
    ]


@pytest.mark.parametrize("block_bytes", [1, 32 * 30 * 7, 2**26])
def test_sums_of_distances_equal_a_slow_sum(block_bytes):
    X, y = blobs([10, 12, 8], 5)
    groups = np.random.default_rng(0).uniform(size=(30, 2))
    slow = [
        [sum(groups[j, g] * np.linalg.norm(a.astype(float) - b) for j, b in enumerate(X)) for g in (0, 1)] for a in X
    ]
    found = scan(X, y, 3, groups=groups, block_bytes=block_bytes)
    assert np.allclose(found.sums, slow, rtol=1e-12)
    assert np.array_equal(found.matches, scan(X, y, 3).matches)
    assert np.array_equal(distance_sums(X, groups, block_bytes=block_bytes), found.sums)
