from dataclasses import fields

import numpy as np
import pytest

from stages.core.scores import neighbours
from stages.core.scores.neighbours import Scan, chance_order, others, scan, subset_scans


def grid_and_subsets(N=60, seed=0):
    """Points on a small grid, so that many distances are equal and some points coincide."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 4, size=(N, 3)).astype(np.float32), rng.integers(0, 4, size=N)
    subsets = np.stack([np.ones(N, bool), y != 2, rng.random(N) < 0.5, np.isin(y, [1, 3])])
    return X, y, subsets


def alone(X, y, subset, own_groups, monkeypatch):
    """The same from the subset's own distances, those that are equal in the order that they have among all images."""
    rows, row_of = np.flatnonzero(subset), np.cumsum(subset) - 1

    def within(_, row):
        order = chance_order(len(X), rows[row])
        return row_of[order[subset[order]]]

    monkeypatch.setattr(neighbours, "chance_order", within)
    codes = np.unique(y[subset], return_inverse=True)[1]
    own_groups = None if own_groups is None else own_groups[subset]
    k = min(int(np.bincount(codes).max()), int(others(codes, own_groups)[1].min()))
    groups = {"class_distances": np.eye(codes.max() + 1)[codes]}
    found = scan(X[subset], codes, k, kept=2, groups=groups, own_groups=own_groups)
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("block_bytes", [2**10, 2**13, 2**26])
def test_every_subset_has_the_neighbours_of_its_own_distances(block_bytes, grouped, monkeypatch):
    X, y, subsets = grid_and_subsets()
    own_groups = np.random.default_rng(1).choice(4, len(y), p=[0.7, 0.1, 0.1, 0.1]) if grouped else None
    monkeypatch.setattr(neighbours, "SUBSETS_BLOCK_BYTES", block_bytes)
    how = {"distances_to_classes": True, "own_groups": own_groups}
    for subset, found in zip(subsets, list(subset_scans(X, y, subsets, **how)), strict=True):
        expected = alone(X, y, subset, own_groups, monkeypatch)
        for name in {field.name for field in fields(Scan)} - {"sums"}:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
        np.testing.assert_allclose(found.sums["class_distances"], expected.sums["class_distances"], rtol=1e-12)


def test_two_images_are_the_smallest_subset():
    X, y = np.array([[0], [1], [5]], np.float32), np.array([0, 1, 1])
    (found,) = subset_scans(X, y, np.array([[False, True, True]]))
    np.testing.assert_array_equal(found.nearest, [[1], [0]])
    np.testing.assert_array_equal(found.n_matches, [1, 1])
    np.testing.assert_array_equal(found.precisions, [1, 1])
    assert found.sums == {}
