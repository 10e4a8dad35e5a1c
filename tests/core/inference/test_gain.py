"""What choosing gains over a fixed layer, compared with a computation from the definitions (`independent`)."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import nct, skew
from scipy.stats import t as student

from stages.core.inference.gain import Gain, Payoff, gain_over
from stages.core.inference.layer_comparison import infer_layers
from tests.aggregate.refit_frames import refits_of
from tests.bench.simulation.class_studies import FROZEN, KINDS, study
from tests.core.inference import independent

LAST = (-1, -1)
BOTH = ("classes", "images")


def gain_of(*checkpoints, control=LAST, proven=BOTH, worthwhile=0.02, frozen=False, halves=None) -> Gain:
    """Of checkpoints' values (J, S, L) and scores without each class, which may be None."""
    refits = [refits_of(values, without, halves, frozen=frozen) for values, without in checkpoints]
    gains = np.stack([values.mean(axis=1) for values, _ in checkpoints], axis=1)
    return gain_over(control, gains, refits, proven=proven, worthwhile=worthwhile)


def of_classes(scores, **settings) -> Gain:
    """Of scores of classes (J, K, L) whose mean is a layer's score."""
    K = scores.shape[1]
    without = (scores.sum(axis=1, keepdims=True) - scores) / (K - 1)
    return gain_of((scores.mean(axis=1)[:, None], without[:, None]), **settings)


@pytest.mark.parametrize(("control", "checkpoints"), [(LAST, 1), (LAST, 3), ((-1, -2), 2)])
def test_gains_agree_with_a_computation_from_the_definitions(control, checkpoints):
    networks = [independent.draw(4, 2, 5, 4, seed) for seed in range(checkpoints)]
    gains = np.stack([network.values.mean(axis=1) for network in networks], axis=1)
    fixed, named = gains[0].size + control[1], int(gains.mean(axis=0).argmax())
    assert named != fixed
    found = gain_of(*networks, control=control)
    expected = independent.expected_gain(networks, named, fixed)
    np.testing.assert_allclose([found.estimate, found.low, found.high, found.at_most], expected, atol=2e-4)
    assert found.crossvalidated == pytest.approx(independent.chosen_on_other_folds(gains, fixed), abs=1e-12)
    assert (found.scope, found.proven) == ("classes", True)


def scores_of(mean, *, folds=4, classes=5, spread=0.02, seed=0):
    """Scores of classes (J, K, L) about these means; classes move all layers together, and each by `spread`."""
    random, L = np.random.default_rng(seed), len(mean)
    alike = random.normal(0, 0.1, (folds, classes, 1))
    return np.array(mean) + alike + random.normal(0, spread, (folds, classes, L))


@pytest.mark.parametrize(
    ("mean", "spread", "status"),
    [
        ([0.4, 0.7, 0.5], 0.02, Payoff.PAYS),
        ([0.4, 0.51, 0.5], 0.1, Payoff.UNDECIDED),
        ([0.4, 0.5, 0.4995], 0.005, Payoff.DOES_NOT_PAY),
        ([0.4, 0.45, 0.5], 0.005, Payoff.DOES_NOT_PAY),
        ([0.4, 0.45, 0.5], 0.2, Payoff.UNDECIDED),
    ],
)
def test_choosing_pays_or_does_not_or_is_undecided(mean, spread, status):
    found = of_classes(scores_of(mean, spread=spread))
    assert found.status == status
    assert of_classes(scores_of(mean, spread=spread), proven=("images",)).status == Payoff.UNDECIDED


def test_a_worthwhile_gain_is_a_parameter():
    scores = scores_of([0.4, 0.5, 0.5], spread=0.01)
    statuses = [of_classes(scores, worthwhile=worthwhile).status for worthwhile in (0.0, 0.05)]
    assert statuses == [Payoff.UNDECIDED, Payoff.DOES_NOT_PAY]


def test_another_layer_that_may_gain_more_keeps_choosing_from_being_said_not_to_pay():
    """The named layer gains next to nothing for sure; the first one varies, and may gain a lot."""
    scores = scores_of([0.5, 0.501, 0.5], folds=1, classes=12, spread=0.001)
    scores[0, :, 0] += 0.2 * np.resize([1, -1.01], 12)
    found = of_classes(scores, frozen=True)
    assert found.high < 0.02 < found.at_most
    assert found.status == Payoff.UNDECIDED


def test_a_layer_has_no_gain_over_itself():
    found = of_classes(scores_of([0.3, 0.4, 0.5]))
    assert (found.estimate, found.low, found.high, found.crossvalidated) == (None, None, None, None)
    assert found.at_most < 0
    assert found.scope == "classes"


def test_of_a_single_fold_the_layer_is_chosen_on_the_other_classes():
    scores = scores_of([0.5, 0.505, 0.5], folds=1, classes=12)
    found = of_classes(scores, frozen=True)
    by_hand = []
    for c in range(12):
        chosen = np.delete(scores[0], c, axis=0).mean(axis=0).argmax()
        by_hand.append(scores[0, c, chosen] - scores[0, c, -1])
    assert found.crossvalidated == pytest.approx(np.mean(by_hand))
    assert found.scope == "classes"


@pytest.mark.parametrize("folds", [1, 3])
def test_of_a_frozen_network_the_lower_end_knows_how_skewed_the_classes_are(folds):
    """Of two layers: Hall's transformation of Student's t, inverted by search. The upper end is Student's."""
    scores = scores_of([0.55, 0.5], folds=folds, classes=12)
    scores[:, 2, 0] -= 0.3  # a class on which the first layer fails
    found, lead = of_classes(scores, frozen=True), scores[..., 0] - scores[..., 1]
    n, centred = lead.size, lead - lead.mean(axis=1, keepdims=True)
    error, df = (lead.var(axis=1, ddof=1).sum() / 12) ** 0.5 / folds, folds * 11
    a = skew(centred, axis=None) / (3 * n**0.5)
    t = brentq(lambda t: t + a * t**2 + a**2 * t**3 / 3 + a / 2 - student.ppf(0.95, df), -20, 20, xtol=1e-12)
    assert t > student.ppf(0.95, df) + 0.3
    expected = [lead.mean() - t * error, lead.mean() + student.ppf(0.985, df) * error]
    np.testing.assert_allclose([found.low, found.high], expected)
    assert found.estimate == pytest.approx(lead.mean())  # of a single contender


def test_the_detectable_gain_is_shown_by_most_studies_of_as_many_classes():
    scores = scores_of([0.52, 0.5], folds=1, classes=12)
    found, lead = of_classes(scores, frozen=True), scores[0, :, 0] - scores[0, :, 1]
    error = lead.std(ddof=1) / 12**0.5
    assert nct.sf(student.ppf(0.95, 11), 11, found.detectable / error) == pytest.approx(0.8)
    assert of_classes(scores[..., ::-1], frozen=True).detectable == pytest.approx(found.detectable)


def test_without_a_word_on_other_classes_it_is_chosen_on_halves_of_the_images():
    """Six classes in one fold: the interval is about other images of these, and so is the cross-validated gain."""
    random = np.random.default_rng(0)
    values, first = np.array([[[0.5, 0.5]]]), random.normal(0, 0.1, (10, 2))
    deviations = np.stack([first, -first], axis=1).reshape(1, 1, 20, 2)
    found = gain_of((values, None), halves=0.45 + deviations)
    lead = first[:, 0] - first[:, 1]  # the layer that is better on one half is worse on the other
    assert found.crossvalidated == pytest.approx(-abs(lead).sum() / 20)  # of one half in two the last one is chosen
    assert found.scope == "images"
    assert found.low <= found.estimate <= found.high


def test_scores_that_are_not_fitted_again_have_an_interval_over_folds_of_no_proven_level():
    values = scores_of([0.3, 0.6, 0.5]).mean(axis=1)[:, None]
    found = gain_of((values, None))
    gained = values[:, 0, 1] - values[:, 0, 2]
    half = student.ppf(0.975, 3) * gained.std(ddof=1) / 2
    np.testing.assert_allclose([found.estimate, found.low, found.high], gained.mean() + np.array([0, -half, half]))
    assert (found.scope, found.proven, found.status) == ("classes", False, Payoff.UNDECIDED)
    assert found.crossvalidated == found.estimate
    two = gain_of((values[:2], None))
    assert two.estimate == pytest.approx(gained[:2].mean())
    assert two.low is None
    assert gain_of((values[:1], None)) == Gain()


def test_scores_at_their_limit_tell_nothing():
    scores = scores_of([0.3, 1.0, 1.0])
    scores[..., 1:] = 1.0
    assert of_classes(scores).status == Payoff.UNDECIDED
    assert of_classes(scores[..., [0, 1]]).at_most < 0


@pytest.mark.parametrize("folds", [1, 2, 3, 5])
def test_the_estimate_lies_within_the_interval(folds):
    for seed in range(40):
        random = np.random.default_rng(seed)
        scores = random.normal(0.5, 0.01, (folds, 6, 8)) + 0.05 * random.standard_t(2, (folds, 1, 8))
        found = of_classes(scores, frozen=folds < 3)
        if found.estimate is not None and found.low is not None:
            assert found.low <= found.estimate <= found.high <= found.at_most


@pytest.mark.parametrize("kind", ["peak", "hard", "one_fails_alone"])
def test_the_last_layer_ties_unless_choosing_pays(kind: str):
    told = set()
    for number in range(60):
        shape = FROZEN[number % len(FROZEN)]
        (refits,), _ = study(np.random.default_rng([number, 1]), KINDS[kind][1], shape, noisy=False)
        gains = refits.values.mean(axis=1, keepdims=True)
        gain = gain_over((-1, -1), gains, [refits], proven=["classes"], worthwhile=0.02)
        tied = infer_layers(refits)["classes"].tied
        assert tied is not None
        assert tied[-1] == (gain.status != Payoff.PAYS)
        told.add(gain.status)
    assert Payoff.PAYS in told
