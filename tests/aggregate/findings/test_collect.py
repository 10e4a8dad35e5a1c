"""From tables to findings: two accurate networks of different g, and an inaccurate one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.aggregate.findings.collect import collect_findings
from stages.aggregate.findings.outcomes import Claim, Reason, Status
from stages.aggregate.network_data import ImageScores, collect_network_data
from stages.aggregate.tables.score_tables import steps_table
from stages.aggregate.tables.summary import measured_network, summarize
from stages.aggregate.tables.uncertainty import add_uncertainty
from stages.core.inference.layer_comparison import best_of_two
from stages.core.inference.refitted import Refits
from stages.core.inference.scopes import class_inference
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import HEAD
from stages.shared.workflow.params import RunParams
from tests.aggregate.refit_frames import as_frames, random_refits

ACCURACY = {"poor": 0.91, "rich": 0.90, "chir": 0.90, "weak": 0.3}
LIFT = {"poor": 0.0, "rich": 0.3, "chir": 0.3, "weak": 0.1}
"""The scores of `chir`, whose name has the letters of `rich`, are those of `rich`."""


def made(model, folds=4, step=100):
    """Four layers, lower by 0.1 at step 0, and the raw pixels at 0.2."""
    base = random_refits(J=folds, seed=sum(map(ord, model)) + step, spread=0.005)
    lift = np.array([LIFT[model] - 0.1 * (step == 0)] * 4)
    parts = [part + lift for part in (base.values, base.without, base.halves)]
    pixels = [np.concatenate([part, part[..., :1] * 0 + 0.2], axis=-1) for part in parts]
    return Refits((*base.keys, ("pixels", "none")), *pixels, base.score)


def tables(model, folds=4, steps=(0, 100)):
    """Scores at each step; the head's accuracy at step 100."""
    frames = [as_frames(made(model, folds, step), model=model, step=step) for step in steps]
    layers, refits = (pd.concat(both) for both in zip(*frames, strict=True))
    for table in (layers, refits):
        table.loc[table["layer"] == "pixels", "depth"] = -1
    head = layers[(layers["depth"] == 0) & (layers["step"] == 100)]
    head = head.assign(layer=HEAD, depth=None, pooling="", metric="accuracy", split="test", value=ACCURACY[model])
    return pd.concat([layers, head]).astype({"depth": "Int64"}), refits


def right(model):
    """The same 400 test images in every fold."""
    ids = [f"test/{i}" for i in range(400)]
    correct = np.arange(400) % 100 < 100 * ACCURACY[model]  # whatever one gets right, a more accurate one does too
    images = pd.DataFrame({"sample_id": ids, "label": [f"class {i % 15}" for i in range(400)], "group": ""})
    return pd.Series(correct.astype(float), index=pd.MultiIndex.from_frame(images))


@cache
def evidence(
    models, folds=4, margin=0.05, pixels=None, without_refits=(), without_images=(), metric="knn_purity",
    steps=(0, 100), first=None
):  # fmt: skip
    """Findings on one dataset.

    Args:
        models: of `ACCURACY`.
        folds: number of folds.
        margin: accuracy below the best network's up to which a network counts as accurate.
        pixels: network whose accuracy the probe on raw pixels has, image by image; None: not measured.
        without_refits: networks whose scores were not fitted again.
        without_images: networks whose images in the last fold are not known.
        metric: the score; by default one whose level is proven in both scopes.
        steps: that were measured, the last of them 100.
        first: the score of step 0; None: the same one.
    """
    frames = [tables(model, folds, steps) for model in models]
    layers, refits = (pd.concat(parts) for parts in zip(*frames, strict=True))
    refits = refits[~refits["model"].isin(without_refits)].replace({"metric": {"nmi": metric}})
    layers = layers.replace({"metric": {"nmi": metric}}).assign(
        better="higher", chance=0.05, ceiling=1.0, parameters=1, operations=1
    )
    for table in (layers, refits) if first else ():
        table.loc[table["step"] == 0, "metric"] = first
    run = RunParams(datasets=["d"], models=list(models), folds=list(range(folds)), seeds=[10, 11])
    names = [str(fold) for fold in range(folds)]
    of_pixels = {} if pixels is None else {fold: right(pixels) for fold in names}
    networks = {}
    for name, data in collect_network_data(layers, refits, run, SCORES).items():
        known = names[:-1] if name[1] in without_images else names
        networks[name] = replace(data, images=ImageScores({fold: right(name[1]) for fold in known}, of_pixels, [], {}))
    scores = add_uncertainty(average(layers, run, SCORES), networks)
    judged = [measured_network(row, scores, networks) for row in summarize(scores, metric) if row.main]
    return collect_findings(judged, steps_table(scores), margin, {})[0]


def statuses(found, claim):
    """What holds of a claim about one network at its last step, by scope."""
    return {each.scope: each.status for each in found.outcomes(claim) if each.scope}


def test_a_network_as_accurate_with_the_worse_g_is_a_counter_example():
    found = evidence(("poor", "rich", "weak"))
    assert found.accuracy.status is Status.SHOWN
    for scope in (found.accuracy.results["classes"], found.accuracy.results["images"]):
        assert scope.in_scope == ("poor", "rich")
        assert scope.out_of_scope == {"weak": Reason.LESS_ACCURATE}
        assert [(pair.first, pair.second) for pair in scope.counter_examples] == [("poor", "rich")]


def test_networks_that_were_measured_at_the_last_step_alone_are_compared():
    found = evidence(("poor", "rich"), steps=(100,))
    assert found.accuracy.status is Status.SHOWN
    assert [(each.changes, each.training, each.unmeasured) for each in found.networks] == [(None, None, False)] * 2


def test_a_main_score_that_was_not_measured_at_step_0_is_told_from_a_network_without_it():
    found = evidence(("poor", "rich"), first="ami")
    assert [(each.changes, each.unmeasured) for each in found.networks] == [(None, True)] * 2
    assert not any(each.unmeasured for each in evidence(("poor", "rich")).networks)


def test_the_pairs_difference_is_the_recipes():
    pair = evidence(("poor", "rich")).accuracy.results["classes"].counter_examples[0]
    parts = [made(model).take(made(model).keys[:4]) for model in ("poor", "rich")]
    expected = best_of_two(class_inference(*parts), 4)
    assert pair.g.value == pytest.approx(expected.value)
    assert pair.g.standard_error == pytest.approx(expected.standard_error)


@pytest.mark.parametrize("folds", [1, 2])
def test_fewer_than_three_folds_speak_of_these_classes_alone(folds):
    found = evidence(("poor", "rich"), folds)
    assert list(found.accuracy.results) == ["images"]
    assert found.accuracy.status is Status.SHOWN_HERE
    for each in found.networks:
        assert list(statuses(each, Claim.DEPTH)) == list(statuses(each, Claim.FINE_TUNING)) == ["images"]


def test_depth_and_fine_tuning_are_judged_in_both_scopes():
    found = evidence(("poor", "rich"))
    assert [each.row.model for each in found.networks] == ["poor", "rich"]
    for each in found.networks:
        assert each.in_scope
        assert statuses(each, Claim.DEPTH) == dict.fromkeys(("classes", "images"), Status.SUPPORTED)
        assert each.changes["classes"].value == pytest.approx(0.1, abs=0.02)
        assert statuses(each, Claim.FINE_TUNING) == dict.fromkeys(("classes", "images"), Status.RAISED)


def test_no_claim_is_made_in_a_scope_in_which_the_level_is_not_proven():
    found = evidence(("poor", "rich"), metric="nmi")
    assert (found.accuracy.status, list(found.accuracy.results)) == (Status.SHOWN, ["classes"])
    assert [set(statuses(each, Claim.DEPTH)) for each in found.networks] == [{"classes"}] * 2
    alone = evidence(("poor", "rich"), folds=1, metric="nmi")
    assert alone.accuracy.status is Status.UNKNOWN
    assert [statuses(each, Claim.DEPTH) for each in alone.networks] == [{}, {}]


def test_a_copy_of_a_network_takes_no_pair_from_the_others():
    both, three = (evidence(models).accuracy for models in (("poor", "rich"), ("poor", "rich", "chir")))
    assert (both.status, three.status) == (Status.SHOWN, Status.SHOWN)
    pairs = [(pair.first, pair.second) for pair in three.results["classes"].counter_examples]
    assert pairs == [("poor", "rich"), ("poor", "chir")]
    assert evidence(("rich", "chir")).accuracy.status is Status.UNKNOWN


def test_one_accurate_network_cannot_be_judged():
    assert evidence(("poor", "weak")).accuracy.status is Status.UNKNOWN
    assert evidence(("rich", "weak"), margin=0.9).accuracy.status is Status.NO_COUNTER_EXAMPLE


def test_a_network_no_better_than_the_probe_on_raw_pixels_is_out_of_scope_over_images():
    found = evidence(("poor", "rich", "weak"), pixels="rich").accuracy.results["images"]
    assert found.out_of_scope == {"rich": Reason.PIXELS_AS_ACCURATE, "weak": Reason.LESS_ACCURATE}
    assert evidence(("poor", "rich", "weak"), pixels="weak").accuracy.results["images"].in_scope == ("poor", "rich")


def test_a_dataset_of_which_one_network_was_not_fitted_again_is_not_judged_by_the_others():
    found = evidence(("poor", "rich", "weak"), without_refits=("weak",)).accuracy
    assert (found.results, found.status) == ({}, Status.UNKNOWN)


def test_images_that_one_network_lacks_are_not_compared():
    found = evidence(("poor", "rich"), without_images=("rich",)).accuracy
    assert found.results == {}


def test_g_is_followed_over_training():
    for first, last in (each.training for each in evidence(("poor", "rich")).networks):
        assert last - first == pytest.approx(0.1, abs=0.02)
