"""Statements about curves agree with the recipe applied to the arrays that the tables were made from."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from stages.aggregate.curves import MEAN, average
from stages.aggregate.network_data import collect_network_data
from stages.aggregate.tables.uncertainty import infer_curves
from stages.core.inference.contrasts import Inference
from stages.core.inference.gain import ties
from stages.core.inference.layer_comparison import (
    best_against,
    infer_layers,
    losses_at_most,
    score_intervals,
)
from stages.core.inference.scopes import class_inference, infer, over_images
from stages.core.scores.catalogue import SCORES
from stages.shared.workflow.params import RunParams
from tests.aggregate.refit_frames import as_frames, best_of, layer_estimates, random_refits, refits_of


def stated(replicates, *, metric="nmi", better="higher"):
    """What is said of every fold and their mean, by fold."""
    layers, refits = as_frames(replicates, metric=metric)
    layers = layers.assign(better=better, chance=0.0, ceiling=1.0, parameters=1, operations=1, main=True)
    J, S, _ = replicates.values.shape
    run = RunParams(datasets=["d"], models=["m"], folds=list(range(J)), seeds=[10 + s for s in range(S)])
    found = infer_curves(average(layers, run, SCORES), collect_network_data(layers, refits, run, SCORES))
    return {fold: rows.sort_values("depth") for fold, rows in found.groupby("fold")}


def on_log_odds(ends, value):
    """Symmetric on the scale of log-odds, by the delta method: (..., 2)."""
    return expit(logit(value) + (np.asarray(ends) - value) / (value * (1 - value)))


def columns(rows, name):
    return rows[[f"{name}_low", f"{name}_high"]].to_numpy(dtype=float)


def test_intervals_of_the_mean_are_those_of_the_recipe():
    made = random_refits()
    rows = stated(made)[MEAN]
    classes = class_inference(made)
    images = over_images(made)
    for name, inference in (("ci_classes", classes), ("ci_images", images)):
        expected = [on_log_odds(each.interval(), each.value) for each in layer_estimates(inference)]
        np.testing.assert_allclose(columns(rows, name), expected, rtol=1e-12)
    lead = best_against(classes)
    assert rows["lead_classes_at_least"].unique() == pytest.approx([lead.low])
    assert rows["lead_classes_at_most"].unique() == pytest.approx([lead.high])
    assert rows["tied_images"].tolist() == ties(images).tolist()
    assert rows["lead_classes"].unique() == pytest.approx([lead.value])
    assert rows["lead_images"].unique() == pytest.approx([best_against(images).value])


def test_every_layer_of_every_checkpoint_may_lose_something_to_the_best_of_all():
    first, last = random_refits(E=3, seed=1), random_refits(E=3, seed=2)
    losses = {scope: losses_at_most(inference).reshape(2, 3) for scope, inference in infer(first, last).items()}
    both = class_inference(first, last)
    plain = (both.mean.max() - both.mean).reshape(2, 3)
    assert list(losses) == ["classes", "images"]
    for bounds in losses.values():
        assert (bounds >= plain).all()
    alone = losses_at_most(infer(last)["classes"])
    assert (losses["classes"][1] >= alone - 0.02).all()  # one family more


def test_the_best_layers_interval_ends_within_the_scores_limits():
    made = random_refits(spread=0.5)
    best, plain = infer_layers(made)["classes"].best, best_of(class_inference(made))
    assert 0 < best.low < best.value < best.high < 1 < plain.high


def test_at_a_limit_and_without_limits_an_interval_is_cut_off_alone():
    inference = Inference(np.array([0.0, 0.5, 1.0]), 0.01 * np.eye(3), 10)
    plain = inference.contrasts(np.eye(3)).intervals()
    (low, high), best = score_intervals(inference, SCORES["nmi"])
    assert (low[0], high[0]) == (0, plain[0, 1])
    assert (low[2], high[2]) == (plain[2, 0], 1) == (low[2], best.high)
    assert (low[1], high[1]) == pytest.approx(tuple(on_log_odds(plain[1], 0.5)))
    unlimited, _ = score_intervals(inference, SCORES["intrinsic_dimension"])
    np.testing.assert_array_equal(unlimited, np.clip(plain.T, 0, None))
    of_folds, _ = score_intervals(replace(inference, correlated=False), SCORES["nmi"])
    np.testing.assert_array_equal(of_folds, np.clip(plain.T, 0, 1))


def test_the_best_layer_near_a_limit_takes_no_errors_from_where_scores_vary_more():
    inference = Inference(np.array([0.999, 0.983]), np.diag([0.001, 0.017]) ** 2, 11)
    (low, _), best = score_intervals(inference, SCORES["nn1_accuracy"])
    assert low[1] < best.low < low[0]


def test_errors_that_grow_with_the_score_are_allowed_for():
    """Of exponential variables small means have small variances, and Student's interval ends below the truth."""
    random = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        draws = random.exponential(0.05, size=15)
        inference = Inference(np.array([draws.mean()]), np.array([[draws.var(ddof=1) / 15]]), 14)
        plain = inference.contrasts(np.eye(1)).intervals()[0]
        (low, high), _ = score_intervals(inference, SCORES["nmi"])
        held.append((plain[0] <= 0.05 <= plain[1], low[0] <= 0.05 <= high[0]))
    plain, ours = np.mean(held, axis=0)
    assert plain < 0.925 < ours


def test_a_single_fold_says_nothing_about_other_classes():
    made = random_refits()
    rows = stated(made)["2"]
    assert rows["ci_classes_low"].isna().all()
    assert rows["tied_classes"].isna().all()
    images = over_images(made.of_fold(2))
    expected = [on_log_odds(each.interval(), each.value) for each in layer_estimates(images)]
    np.testing.assert_allclose(columns(rows, "ci_images"), expected, rtol=1e-12)
    assert rows["lead_classes"].isna().all()
    assert rows["lead_images"].iloc[0] == pytest.approx(best_against(images).value)


def test_a_single_layer_is_the_best_with_its_own_interval():
    for layer in infer_layers(random_refits(E=1)).values():
        assert (layer.best.low, layer.best.high) == pytest.approx((layer.low[0], layer.high[0]))
        assert layer.tied is None
        assert np.isnan(layer.lead.value)


@pytest.mark.parametrize(("folds", "seeds"), [(1, 1), (1, 3), (2, 1), (2, 2), (4, 1), (4, 3)])
def test_folds_and_seeds_as_given(folds, seeds):
    found = stated(random_refits(J=folds, S=seeds))
    assert set(found) == {MEAN, *map(str, range(folds))}
    assert found[MEAN]["ci_classes_low"].notna().all() == (folds > 2)
    assert found[MEAN]["ci_images_low"].notna().all()
    assert found[MEAN]["lead_images"].notna().all()


def test_leads_are_not_cut_off():
    made = random_refits(spread=0.5)
    rows = stated(made)[MEAN]
    expected = best_against(class_inference(made))
    assert rows["lead_classes_at_most"].iloc[0] == pytest.approx(expected.high)


def test_lower_may_be_better():
    made = random_refits()
    rows, plain = stated(made, metric="ood_fpr95_knn", better="lower")[MEAN], stated(made)[MEAN]
    turned = class_inference(refits_of(-made.values, -made.without))
    assert rows["lead_classes_at_least"].iloc[0] == pytest.approx(best_against(turned).low)
    assert rows["tied_classes"].tolist() == ties(turned).tolist()
    np.testing.assert_allclose(columns(rows, "ci_classes"), columns(plain, "ci_classes"), rtol=1e-12)
    best = infer_layers(replace(made, values=-made.values, without=-made.without, score=SCORES["ood_fpr95_knn"]))
    of_gains = best_of(turned, spread=-turned.mean * (1 + turned.mean))
    expected = on_log_odds([-of_gains.high, -of_gains.low, -of_gains.value], -turned.mean.max())
    assert (best["classes"].best.low, best["classes"].best.high, best["classes"].best.value) == pytest.approx(expected)


def test_where_no_direction_is_better_there_are_intervals_alone():
    rows = stated(random_refits(), metric="intrinsic_dimension", better="neither")[MEAN]
    assert rows["ci_classes_low"].notna().all()
    assert rows[["tied_classes", "lead_classes", "lead_images_at_least"]].isna().all(axis=None)


def test_a_score_that_is_not_finite_has_no_statement():
    made = random_refits()
    made.values[0, 0, 0] = np.nan
    layers, refits = as_frames(made)
    layers = layers.assign(better="higher", chance=0.0, ceiling=1.0, parameters=1, operations=1)
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 1, 2, 3], seeds=[10, 11])
    assert infer_curves(average(layers, run, SCORES), collect_network_data(layers, refits, run, SCORES)).empty
