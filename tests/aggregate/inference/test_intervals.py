"""Statements about curves agree with the recipe applied to the arrays that the tables were made from."""

from dataclasses import replace

import numpy as np
import pytest

from stages.aggregate.curves import MEAN, average
from stages.aggregate.inference.intervals import infer, infer_curves, infer_layers, infer_power
from stages.aggregate.inference.layer_comparison import best_against, best_score, losses_at_most, ties
from stages.aggregate.inference.network_data import collect_network_data
from stages.aggregate.inference.other_classes import class_inference
from stages.aggregate.inference.other_images import over_images
from stages.aggregate.inference.power import power_of
from stages.measure.metrics import SCORES
from stages.shared.settings.params import RunParams
from tests.aggregate.inference.refit_frames import as_frames, layer_estimates, random_refits, refits_of


def stated(replicates, *, metric="nmi", better="higher"):
    """What is said of every fold and their mean, by fold."""
    layers, refits = as_frames(replicates, metric=metric)
    layers = layers.assign(better=better, chance=0.0, ceiling=1.0, parameters=1, operations=1, main=True)
    J, S, _ = replicates.values.shape
    run = RunParams(datasets=["d"], models=["m"], folds=list(range(J)), seeds=[10 + s for s in range(S)])
    found = infer_curves(average(layers, run, SCORES), collect_network_data(layers, refits, run, SCORES))
    return {fold: rows.sort_values("depth") for fold, rows in found.groupby("fold")}


def columns(rows, name):
    return rows[[f"{name}_low", f"{name}_high"]].to_numpy(dtype=float)


def test_intervals_of_the_mean_are_those_of_the_recipe():
    made = random_refits()
    rows = stated(made)[MEAN]
    classes = class_inference(made)
    images = over_images(made)
    for name, inference in (("ci_classes", classes), ("ci_images", images)):
        expected = [each.interval() for each in layer_estimates(inference)]
        np.testing.assert_allclose(columns(rows, name), np.clip(expected, 0, 1), rtol=1e-12)
    lead = best_against(classes)
    assert rows["lead_classes_at_least"].unique() == pytest.approx([lead.low])
    assert rows["lead_classes_at_most"].unique() == pytest.approx([lead.high])
    assert rows["tied_images"].tolist() == ties(images).tolist()
    assert rows["lead"].unique() == pytest.approx([lead.value])


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


def test_the_best_layers_interval_ends_at_the_scores_limits():
    made = random_refits(spread=0.5)
    best = infer_layers(made)["classes"].best
    assert best.low >= 0
    assert best.high == 1


def test_a_single_fold_says_nothing_about_other_classes():
    made = random_refits()
    rows = stated(made)["2"]
    assert rows["ci_classes_low"].isna().all()
    assert rows["tied_classes"].isna().all()
    images = over_images(made.of_fold(2))
    expected = [each.interval() for each in layer_estimates(images)]
    np.testing.assert_allclose(columns(rows, "ci_images"), np.clip(expected, 0, 1), rtol=1e-12)
    assert rows["lead"].iloc[0] == pytest.approx(best_against(images).value)


@pytest.mark.parametrize(("folds", "seeds"), [(1, 1), (1, 3), (2, 1), (2, 2), (4, 1), (4, 3)])
def test_folds_and_seeds_as_given(folds, seeds):
    found = stated(random_refits(J=folds, S=seeds))
    assert set(found) == {MEAN, *map(str, range(folds))}
    assert found[MEAN]["ci_classes_low"].notna().all() == (folds > 2)
    assert found[MEAN]["ci_images_low"].notna().all()
    assert found[MEAN]["lead"].notna().all()


def test_printed_intervals_end_at_the_scores_limits_but_leads_are_not_clipped():
    made = random_refits(spread=0.5)
    rows = stated(made)[MEAN]
    assert rows["ci_classes_low"].min() == 0
    assert rows["ci_classes_high"].max() == 1
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
    of_gains = best_score(turned)
    expected = np.clip([-of_gains.high, -of_gains.low, -of_gains.value], 0, 1)
    assert (best["classes"].best.low, best["classes"].best.high, best["classes"].best.value) == pytest.approx(expected)


def test_where_no_direction_is_better_there_are_intervals_alone():
    rows = stated(random_refits(), metric="intrinsic_dimension", better="neither")[MEAN]
    assert rows["ci_classes_low"].notna().all()
    assert rows[["tied_classes", "lead", "lead_images_at_least"]].isna().all(axis=None)


def test_a_score_that_is_not_finite_has_no_statement():
    made = random_refits()
    made.values[0, 0, 0] = np.nan
    layers, refits = as_frames(made)
    layers = layers.assign(better="higher", chance=0.0, ceiling=1.0, parameters=1, operations=1)
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 1, 2, 3], seeds=[10, 11])
    assert infer_curves(average(layers, run, SCORES), collect_network_data(layers, refits, run, SCORES)).empty


def test_what_a_study_shows_is_said_by_the_main_score_of_the_layers_by_depth():
    made = random_refits()
    layers, refits = as_frames(made)
    layers = layers.assign(better="higher", chance=0.0, ceiling=1.0, parameters=1, operations=1, main=True, n_classes=5)
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 1, 2, 3], seeds=[10, 11])
    networks = collect_network_data(layers, refits, run, SCORES)
    scores = average(layers, run, SCORES)
    (found,), expected = infer_power(scores, networks, "nmi"), power_of(made, ("d", "m"), 5)
    assert (found.lead, found.difference) == pytest.approx((expected.lead, expected.difference))
    assert found.classes == pytest.approx(expected.classes)
    assert infer_power(scores, networks, "collapse") == []  # of no proven level
