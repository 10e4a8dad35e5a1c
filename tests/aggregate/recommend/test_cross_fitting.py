import numpy as np
import pytest
from scipy.stats import ttest_1samp

from stages.aggregate.recommend.cross_fitting import mean_regret, regret


def test_a_case_by_hand():
    """Half 0 finds the second layer best, which has 0.4 on half 1; half 1 the first, which has 0.5 on half 0."""
    halves = np.array([[[0.5, 0.9, 0.2]], [[0.6, 0.4, 0.3]]])
    assert regret(halves, [(0, 0)]) == pytest.approx((0.55, 0.45))
    assert regret(halves, [(0, 0), (0, 2)]) == pytest.approx((0.4, 0.45))


def test_the_best_checkpoint_is_chosen_with_the_layer():
    halves = np.array([[[0.1, 0.2], [0.7, 0.3]], [[0.1, 0.2], [0.6, 0.9]]])  # best: (1, 0), then (1, 1)
    assert regret(halves, [(0, 1)]) == pytest.approx((0.2, (0.6 + 0.3) / 2))
    assert regret(halves[:, :1], [(0, 1)]) == pytest.approx((0.2, 0.2))


def test_the_maximum_is_not_optimistic():
    """Layers that do not differ have no regret on average, whichever is chosen."""
    halves = np.random.default_rng(0).normal(size=(4000, 1, 9))
    value, best = regret(halves, [(0, 4)])
    assert abs(best - value) < 0.05 < np.mean(halves.max(axis=2))


def test_the_interval_is_students_t_over_pairs():
    known = mean_regret([0.01, 0.04, 0.02, 0.0])
    expected = ttest_1samp([0.01, 0.04, 0.02, 0.0], 0).confidence_interval(0.95)
    assert (known.value, known.low, known.high) == pytest.approx((0.0175, expected.low, expected.high))
    assert (mean_regret([0.1, 0.3]).value, mean_regret([0.1, 0.3]).low) == (pytest.approx(0.2), None)
