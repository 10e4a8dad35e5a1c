import numpy as np
import pytest
from scipy.stats import t as student

from stages.core.inference.contrasts import Inference, contenders
from stages.core.inference.gain import ties
from stages.core.inference.layer_comparison import (
    best_against,
    best_of_two,
    best_score,
    losses_at_most,
    score_contrasts,
    unshown_levels,
)
from stages.core.inference.scopes import fold_inference
from tests.aggregate.refit_frames import best_of, layer_estimates


def independent(mean, sd=0.02, df=40):
    return Inference(np.array(mean, float), sd**2 * np.eye(len(mean)), df)


def test_layers_tie_unless_another_is_shown_to_be_better():
    assert ties(independent([0.2, 0.6, 0.62, 0.5])).tolist() == [False, True, True, False]
    assert ties(independent([0.2, 0.6, 0.62, 0.5], sd=0.3)).all()
    assert ties(independent([0.5])).tolist() == [True]


def test_scores_of_no_variance_tie_where_they_are_equal():
    assert ties(independent([0.5, 0.5, 0.5], sd=0)).all()


def test_another_control_and_candidates():
    found = independent([0.3, 0.5, 0.8, 0.1])
    middle = best_against(found, control=1, candidates=np.array([True, False, False, True]))
    assert middle.high <= 0
    assert best_against(found, control=1).high == pytest.approx(middle.high, abs=0.2)  # all before it: the first alone
    assert best_against(found, control=0) is None
    assert best_against(independent([0.5])) is None


def test_an_estimate_of_the_best_lies_within_its_bounds_and_below_the_largest():
    flat = independent([0.5, 0.51, 0.49, 0.5])
    best = best_of(flat)
    assert best.low < best.value < 0.51 < best.high
    assert best.high == pytest.approx(0.51 + student.ppf(0.975, 40) * 0.02)
    lead = best_against(flat)
    assert lead.low < lead.value < 0.01 < lead.high


def test_layers_that_may_be_the_best_share_their_errors():
    """Two of three contenders have at least the three errors' root mean square; a layer that is worse has its own."""
    errors = np.array([0.01, 0.03, 0.02, 0.005, 0.0])
    found = Inference(np.array([0.5, 0.51, 0.5, 0.1, 0.5]), np.diag(errors**2), 40)
    shared = np.sqrt((0.01**2 + 0.03**2 + 0.02**2) / 3)
    contrasts = score_contrasts(found, np.ones(5))
    np.testing.assert_allclose(np.sqrt(contrasts.variance), [shared, 0.03, shared, 0.005, np.nan], rtol=1e-12)
    halved = score_contrasts(found, np.array([2.0, 1, 1, 1, 1]))  # the first layer's error counts half
    unit = np.sqrt((0.005**2 + 0.03**2 + 0.02**2) / 3)
    np.testing.assert_allclose(np.sqrt(halved.variance)[:3], [2 * unit, 0.03, unit], rtol=1e-12)
    at_limit = score_contrasts(found, np.array([np.nan, 1, 1, 1, 1]))
    assert np.sqrt(at_limit.variance[0]) == 0.01
    assert score_contrasts(independent([0.2, 0.4], sd=0), np.ones(2)) is None


def test_the_best_layers_estimate_has_its_own_error_and_its_lower_end_the_shared_one():
    found = Inference(np.array([0.5, 0.51]), np.diag([0.02**2, 0.01**2]), 40)
    both, shared = found.contrasts(np.eye(2)), np.sqrt((0.02**2 + 0.01**2) / 2)
    best = best_score(found, score_contrasts(found, np.ones(2)))
    assert best.value == pytest.approx(0.51 - both.quantile(0.5) * 0.01)
    assert best.low == pytest.approx(0.51 - both.quantile(0.975) * shared)
    assert best.high == pytest.approx(0.51 + student.ppf(0.975, 40) * 0.01)


def test_a_layer_that_stands_alone_has_the_interval_of_one():
    peak = independent([0.1, 0.9, 0.1, 0.2])
    best, alone = best_of(peak), layer_estimates(peak)[1]
    assert (best.low, best.high, best.value) == pytest.approx((*alone.interval(), 0.9))
    assert best_against(peak).value == pytest.approx(0.7)
    assert contenders(peak, np.array([True, False, True, True])).tolist() == [False, False, False, True]


def test_a_layer_is_left_out_of_an_estimate_at_95_percent_and_of_a_bound_at_99():
    """A layer 0.06 below the best, 2.1 standard errors of a difference, is out of the first and in the second."""
    error = 0.02 * np.sqrt(2)
    lead = best_against(independent([0.54, 0.6, 0.3]))
    assert lead.value == pytest.approx(0.3)
    assert lead.low < 0.3 - 1.9 * error < 0.3 - student.ppf(0.95, 40) * error


def test_the_best_layers_of_two_networks_are_compared():
    found = independent([0.2, 0.6, 0.9, 0.5, 0.8])
    estimate = best_of_two(found, 3)
    assert estimate.value == pytest.approx(0.1)
    assert estimate.standard_error == pytest.approx(0.02 * np.sqrt(2))
    assert best_of_two(independent([0.2, 0.4], sd=0), 1) is None


def test_the_flatter_network_is_not_better_for_having_more_layers_to_choose_from():
    """Nine equal layers against one as good: the largest of nine errors is no difference."""
    rng, false, plain = np.random.default_rng(0), [], []
    for _ in range(200):
        mean = 0.02 * rng.normal(size=10)
        estimate = best_of_two(independent(mean), 9)
        false.append(estimate.interval()[0] > 0)
        plain.append(mean[:9].max() - mean[9] - student.ppf(0.975, 40) * 0.02 * np.sqrt(2) > 0)
    assert np.mean(false) <= 0.05 < np.mean(plain)


def test_losses_are_bounded_for_all_layers_at_once():
    rng, truth, held = np.random.default_rng(1), np.array([0.5, 0.55, 0.6, 0.6]), []
    loss = truth.max() - truth
    for _ in range(200):
        found = losses_at_most(independent(truth + 0.05 * rng.normal(size=4), sd=0.05))
        held.append((found >= loss).all())
    assert np.mean(held) >= 0.93
    wide, narrow = (losses_at_most(independent(truth, sd=sd)) for sd in (0.05, 0.005))
    assert (narrow < wide).all()
    assert np.isnan(losses_at_most(independent(truth, sd=0))).all()


def test_nothing_is_said_of_scores_at_their_limit():
    """Two layers are right on every image of every part: nothing tells how far they may be apart on others."""
    at_limit = Inference(np.array([0.6, 1.0, 1.0]), np.diag([0.02**2, 0, 0]), 40)
    assert best_against(at_limit) is None
    assert ties(at_limit).tolist() == [False, True, True]
    losses = losses_at_most(at_limit)
    assert losses[0] > 0.4
    assert np.isnan(losses[1:]).all()
    below = Inference(np.array([0.6, 0.9, 1.0]), np.diag([0.02**2, 0, 0]), 40)
    assert best_against(below) is None


def test_a_layer_and_its_copy_lose_nothing_to_each_other():
    root = 0.02 * np.array([[1, 0, 0], [0, 1, 1]])
    losses = losses_at_most(Inference(np.array([0.6, 0.9, 0.9]), root.T @ root, 40))
    assert losses[0] > 0.3
    assert losses[1:].tolist() == [0, 0]


def test_a_difference_that_folds_share_by_chance_shows_no_lead():
    """Of three folds a layer is right on one image more in each, as happens where folds have few images."""
    found = fold_inference(np.array([[[0.80, 0.96, 0.94]], [[0.70, 0.92, 0.90]], [[0.86, 0.98, 0.96]]]))
    lead = best_against(found)
    assert (lead.low, lead.high) == (0, pytest.approx(0.02))
    assert ties(found).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("chance", "pixels", "unshown"),
    [
        (0.1, None, []), (0.57, None, ["chance"]), (None, 3, []), (0.1, 3, []), (0.58, 3, ["chance"]),
        (None, 1, ["raw_pixels"]), (None, None, None),
    ],
)  # fmt: skip
def test_a_network_is_above_chance_and_raw_pixels_by_its_bound(chance, pixels, unshown):
    assert unshown_levels(independent([0.2, 0.6, 0.5, 0.3]), chance=chance, pixels=pixels) == unshown


def test_a_perfect_score_that_never_varied_is_untested():
    perfect = Inference(np.array([0.12, 1.0]), np.diag([0.01, 0.0]), 40)
    assert unshown_levels(perfect, chance=0.1, pixels=None) is None


def test_a_tie_with_the_last_layer_is_a_lead_that_is_not_shown():
    for mean in ([0.2, 0.6, 0.62, 0.5], [0.2, 0.55, 0.5, 0.52]):
        assert ties(independent(mean))[-1] == (best_against(independent(mean)).low <= 0)
