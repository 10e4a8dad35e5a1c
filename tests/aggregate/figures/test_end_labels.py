import numpy as np
import pytest

from stages.aggregate.figures.end_labels import spread


def test_spread_moves_only_what_overlaps():
    assert spread([0.1, 0.5, 0.9], 0.1, 0, 1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.1, 0, 1) == pytest.approx([0.45, 0.55])
    assert spread([0.0, 0.01, 0.9], 0.1, 0, 1) == pytest.approx([0.0, 0.1, 0.9])


def test_spread_keeps_order_and_distance():
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = spread(sorted(rng.random(8)), 0.1, 0, 1)
        assert np.diff(moved).min() >= 0.1 - 1e-9
        assert min(moved) >= 0
        assert max(moved) <= 1 + 1e-9
