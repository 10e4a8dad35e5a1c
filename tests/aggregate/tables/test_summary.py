from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.aggregate.tables.summary import SUMMARY_COLUMNS, summarize, summary_table
from stages.core.inference.layer_comparison import Bounds
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import typed
from stages.shared.workflow.params import RunParams
from tests.aggregate.networks import ONE_FOLD, network
from tests.aggregate.synthetic import uncertain
from tests.aggregate.tables.scored import averaged, scored
from tests.aggregate.test_curves import point

CONTRACT = (
    "dataset, model, fold, pooling, step, n_folds, n_seeds, metric, seen, unseen, best_layer, best_depth, last_depth, "
    "last_value, accuracy"
)
MIXED = (("nmi", 0.3), ("ami", np.nan))


def test_the_summary_starts_with_the_contracts_columns(scores):
    assert ", ".join(SUMMARY_COLUMNS).startswith(CONTRACT)
    assert list(summary_table(summarize(scores, "nmi")).columns) == list(SUMMARY_COLUMNS)


def test_ties_are_those_of_the_curve(scores):
    rows = [*summarize(uncertain(scores, tied_classes=True, lead_classes=-0.25), "nmi"), *summarize(scores, "ami")]
    assert [row.tied_depths for row in rows] == [[0, 1, 2], []]


def test_the_best_layer_is_the_shallower_maximum_of_the_seeds_mean(scores):
    (row,) = summarize(scores, "nmi")
    assert (row.step, row.n_seeds, row.best_layer, row.best_depth) == (10, 2, "b", 1)
    assert row.unseen == pytest.approx(0.55)
    assert row.unseen_sd == pytest.approx(0.1 / 2**0.5)


def test_seen_is_the_maximum_of_the_seen_curve_and_last_is_unseen_at_the_last_layer(scores):
    row = summarize(scores, "nmi")[0]
    assert (row.seen, row.seen_layer, row.seen_depth) == (pytest.approx(0.9), "c", 2)
    assert (row.last_layer, row.last_depth, row.last_value) == ("c", 2, pytest.approx(0.55))
    assert row.last_value_sd == pytest.approx(0.3 / 2**0.5)
    assert (row.accuracy, row.accuracy_sd) == (pytest.approx(0.8), pytest.approx(0.2 / 2**0.5))


def test_the_baseline_stands_beside_and_is_never_the_best_layer(scores):
    row = summarize(scores, "nmi")[0]
    assert (row.baseline, row.chance) == (0.95, 0.1)


def test_another_score_without_any_finite_value_has_no_row():
    rows = [point("a", 0, "mean", value, seed=s, metric=m) for s in (0, 1) for m, value in MIXED]
    scores = averaged(typed(pd.DataFrame(rows)))
    assert [row.metric for row in summarize(scores, "nmi")] == ["nmi"]


def test_an_undefined_layer_is_not_chosen():
    rows = [
        point(layer, depth, "mean", value, seed=seed)
        for layer, depth, value in (("a", 0, np.nan), ("b", 1, 0.1))
        for seed in (0, 1)
    ]
    assert summarize(averaged(typed(pd.DataFrame(rows))), "nmi")[0].best_layer == "b"


def test_without_seen_images_the_seen_columns_are_empty():
    rows = [point("a", 0, "mean", 0.3, seed=seed) for seed in (0, 1)]
    row = summarize(averaged(typed(pd.DataFrame(rows))), "nmi")[0]
    assert (row.seen, row.seen_sd, row.seen_layer, row.accuracy, row.baseline) == (None,) * 5
    assert row.unseen == pytest.approx(0.3)


def test_the_row_of_the_main_metric_and_pooling_is_the_main_one():
    rows = [point("a", 0, "mean", 0.3, seed=s, metric=m) for s in (0, 1) for m in ("nmi", "ami")]
    rows += [point("a@max", 0, "max", 0.9, seed=s, metric=m) for s in (0, 1) for m in ("nmi", "ami")]
    summary = summarize(averaged(typed(pd.DataFrame(rows))), "ami")
    assert [(row.metric, row.pooling, row.main) for row in summary] == [
        ("nmi", "mean", False),
        ("ami", "mean", True),
        ("nmi", "max", False),
        ("ami", "max", False),
    ]


def test_where_lower_is_better_the_minimum_is_chosen():
    scores = averaged(scored("nmi", [0.1, 0.2]), scored("collapse", [3.0, 2.0, 5.0], "lower"))
    row = summarize(scores, "nmi")[1]
    assert (row.best_layer, row.unseen, row.better) == ("b", 2.0, "lower")


def test_where_neither_is_better_there_is_no_summary():
    scores = averaged(scored("nmi", [0.1, 0.2]), scored("intrinsic_dimension", [3.0, 2.0], "neither"))
    assert [row.metric for row in summarize(scores, "nmi")] == ["nmi"]


def test_the_summary_says_how_sure_the_best_layer_is_and_which_layers_tie_with_it():
    scores = averaged(scored("nmi", [0.1, 0.3, 0.25, 0.2]))
    known = {"ci_images_low": [0.0, 0.2, 0.1, 0.1], "lead_images": 0.05, "lead_images_at_least": -0.1}
    images, classes = ([False, True, True, False], [True, True, True, False])
    both = {"tied_images": pd.array(images, dtype="boolean"), "tied_classes": pd.array(classes, dtype="boolean")}
    row = summarize(replace(scores, curves=scores.curves.assign(**known, **both)), "nmi")[0]
    assert (row.ci_images_low, row.lead_images, row.lead_images_at_least) == (0.2, 0.05, -0.1)
    assert (row.tied_classes, row.tied_images) == ("0;1;2", "1;2")
    assert row.tied_depths == [0, 1, 2]
    alone = summarize(replace(scores, curves=scores.curves.assign(**known, tied_images=both["tied_images"])), "nmi")[0]
    assert (alone.tied_classes, alone.tied_depths) == (None, [1, 2])
    bare = summarize(scores, "nmi")[0]
    assert (bare.tied_images, bare.lead_images) == (None, None)


def test_every_fold_has_a_row_and_the_main_one_is_their_mean():
    tables = [scored("nmi", values).assign(fold=fold) for fold, values in (("0", [0.1, 0.4]), ("1", [0.8, 0.3]))]
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 1], seeds=[0, 1])
    rows = summarize(uncertain(average(pd.concat(tables), run, SCORES)), "nmi")
    assert [(row.fold, row.n_folds, row.best_layer, row.main) for row in rows] == [
        ("0", 1, "b", False),
        ("1", 1, "a", False),
        ("mean", 2, "a", True),
    ]
    assert [row.unseen for row in rows] == pytest.approx([0.4, 0.8, 0.45])


def test_matched_splits_stand_beside():
    seen, unseen = scored("nmi", [0.6, 0.7]), scored("nmi", [0.5])
    matched = [seen.assign(split="seen_matched"), unseen.assign(split="unseen_matched")]
    scores = averaged(scored("nmi", [0.1, 0.3]), *matched)
    row = summarize(scores, "nmi")[0]
    assert (row.seen_matched, row.unseen_matched) == (0.7, 0.5)


@pytest.mark.parametrize(
    ("better", "unseen", "unbeaten"),
    [("higher", 0.4, None), ("higher", 0.3, "raw_pixels"), ("lower", 0.25, None), ("lower", 0.4, "raw_pixels")],
)
def test_raw_pixels_are_the_level_to_beat_in_the_scores_own_direction(better, unseen, unbeaten):
    row = network(baseline=0.3, chance=None, better=better)
    assert row.unbeaten_by(unseen) == (None if unbeaten is None else (unbeaten, 0.3))


def test_chance_is_named_where_raw_pixels_are_beaten_or_unknown():
    assert network(baseline=0.1, chance=0.2).unbeaten_by(0.2) == ("chance", 0.2)
    assert network(baseline=None, chance=0.25).unbeaten_by(0.2) == ("chance", 0.25)


@pytest.mark.parametrize(
    ("columns", "scope", "tied"),
    [
        ({}, "classes", [3, 4, 5]),
        (ONE_FOLD | {"tied_images": "4"}, "images", [4]),
        ({"tied_classes": None, "tied_images": None}, None, []),
    ],
)
def test_ties_are_those_of_the_wider_scope_that_is_known(columns, scope, tied):
    row = network(**columns)
    assert (row.tied_scope, row.tied_depths) == (scope, tied)


def test_no_claim_rests_on_bounds_of_no_proven_level():
    assert network().proven_leads == {"classes": Bounds(0.03, 0.27, 0.14)}
    both = {"classes": Bounds(0.03, 0.27, 0.14), "images": Bounds(0.1, 0.18, 0.15)}
    assert network(metric="knn_purity").proven_leads == both
    assert list(network(metric="knn_purity", **ONE_FOLD).proven_leads) == ["images"]
    assert (network().intervals["classes"], list(network(**ONE_FOLD).intervals)) == ((0.31, 0.47), ["images"])
