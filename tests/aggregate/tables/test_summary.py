from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.aggregate.tables.summary import (
    DEPTH_COLUMNS,
    STEPS_COLUMNS,
    SUMMARY_COLUMNS,
    follow_steps,
    headline,
    last_step,
    summarize,
    without_best,
)
from stages.shared.metric_table import HEAD, typed
from stages.shared.params import RunParams
from tests.aggregate.test_curves import point

CONTRACT = (
    "dataset, model, pooling, step, n_seeds, metric, seen, unseen, best_layer, best_depth, last_depth, last_value, "
    "accuracy"
)
RUN = RunParams(datasets=["d"], models=["m"], seeds=[0, 1])

UNSEEN = {  # step -> layer -> value of each seed
    0: {"a": (0.5, 0.7), "b": (0.3, 0.4), "c": (0.1, 0.1)},
    10: {"a": (0.2, 0.4), "b": (0.6, 0.5), "c": (0.7, 0.4)},  # means .3 .55 .55: a tie
}
SEEN = {0: {"a": (0.2, 0.2), "b": (0.1, 0.1), "c": (0.0, 0.1)}, 10: {"a": (0.4, 0.4), "b": (0.5, 0.6), "c": (0.8, 1.0)}}
MIXED = (("nmi", 0.3), ("ami", np.nan))
ACCURACY = {0: (0.1, 0.1), 10: (0.7, 0.9)}


@pytest.fixture
def scores():
    rows = []
    for split, values in (("unseen", UNSEEN), ("test", SEEN)):
        for step, layers in values.items():
            for seed in (0, 1):
                rows.append(point("pixels", -1, "none", 0.95, seed=seed, split=split, step=step))
                rows += [
                    point(
                        layer,
                        depth,
                        "mean",
                        layers[layer][seed],
                        seed=seed,
                        split=split,
                        step=step,
                        parameters=10 * (depth + 1),
                    )
                    for depth, layer in enumerate("abc")
                ]
    rows += [
        point(HEAD, None, "", value, seed=seed, split="test", step=step, metric="accuracy")
        for step, values in ACCURACY.items()
        for seed, value in enumerate(values)
    ]
    return average(typed(pd.DataFrame(rows)), RUN)


def test_the_summary_starts_with_the_contracts_columns(scores):
    assert ", ".join(SUMMARY_COLUMNS).startswith(CONTRACT)
    assert list(summarize(scores, "nmi").columns) == list(SUMMARY_COLUMNS)


def test_the_best_layer_is_the_shallower_maximum_of_the_seeds_mean(scores):
    (row,) = [row for _, row in summarize(scores, "nmi").iterrows()]
    assert (row["step"], row["n_seeds"], row["best_layer"], row["best_depth"]) == (10, 2, "b", 1)
    assert row["unseen"] == pytest.approx(0.55)
    assert row["unseen_sd"] == pytest.approx(0.1 / 2**0.5)


def test_seen_is_the_maximum_of_the_seen_curve_and_last_is_unseen_at_the_last_layer(scores):
    row = summarize(scores, "nmi").iloc[0]
    assert (row["seen"], row["seen_layer"], row["seen_depth"]) == (pytest.approx(0.9), "c", 2)
    assert (row["last_layer"], row["last_depth"], row["last_value"]) == ("c", 2, pytest.approx(0.55))
    assert row["last_value_sd"] == pytest.approx(0.3 / 2**0.5)
    assert (row["accuracy"], row["accuracy_sd"]) == (pytest.approx(0.8), pytest.approx(0.2 / 2**0.5))


def test_the_baseline_stands_beside_and_is_never_the_best_layer(scores):
    row = summarize(scores, "nmi").iloc[0]
    assert (row["baseline"], row["chance"]) == (0.95, 0.1)
    assert (row["best_parameters"], row["total_parameters"]) == (20, 30)


def test_a_baseline_of_another_step_serves_where_there_is_no_own(scores):
    first = replace(scores, baseline=scores.baseline[scores.baseline["step"] == 0])
    assert summarize(first, "nmi").iloc[0]["baseline"] == 0.95


def test_another_score_without_any_finite_value_has_no_row_and_is_named():
    rows = [point("a", 0, "mean", value, seed=s, metric=m) for s in (0, 1) for m, value in MIXED]
    scores = average(typed(pd.DataFrame(rows)), RUN)
    assert list(summarize(scores, "nmi")["metric"]) == ["nmi"]
    assert without_best(scores) == ["d/m/mean/ami"]
    assert follow_steps(scores).set_index("metric").loc["ami", ["unseen", "best_layer"]].isna().all()


def test_an_undefined_layer_is_not_chosen():
    rows = [
        point(layer, depth, "mean", value, seed=seed)
        for layer, depth, value in (("a", 0, np.nan), ("b", 1, 0.1))
        for seed in (0, 1)
    ]
    assert summarize(average(typed(pd.DataFrame(rows)), RUN), "nmi").iloc[0]["best_layer"] == "b"


def test_without_seen_images_the_seen_columns_are_empty():
    rows = [point("a", 0, "mean", 0.3, seed=seed) for seed in (0, 1)]
    row = summarize(average(typed(pd.DataFrame(rows)), RUN), "nmi").iloc[0]
    assert row[["seen", "seen_sd", "seen_layer", "accuracy", "baseline"]].isna().all()
    assert row["unseen"] == pytest.approx(0.3)


def test_both_published_ways_of_choosing_a_layer_over_steps(scores):
    steps = follow_steps(scores)
    assert list(steps.columns) == list(STEPS_COLUMNS)
    assert list(steps["best_layer"]) == ["a", "b"]
    assert list(steps["unseen"]) == pytest.approx([0.6, 0.55])
    assert list(steps["fixed_layer"]) == ["a", "a"]
    assert list(steps["unseen_fixed"]) == pytest.approx([0.6, 0.3])
    assert list(steps["seen"]) == pytest.approx([0.2, 0.9])
    assert list(steps["seen_fixed"]) == pytest.approx([0.2, 0.4])
    assert list(steps["accuracy"]) == pytest.approx([0.1, 0.8])


def test_the_last_step_of_every_curve_with_relative_depth(scores):
    points = last_step(scores)
    assert set(points["step"]) == {10}
    unseen = points[points["split"] == "unseen"]
    assert list(unseen["relative_depth"]) == [0.0, 0.5, 1.0]
    assert list(unseen["value"]) == pytest.approx([0.3, 0.55, 0.55])


def test_metrics_hold_the_headline_of_every_dataset_and_model(scores):
    curves = scores.curves.assign(ci_images_low=0.5, ci_images_high=0.6123456789, lead=-0.1)
    summary = summarize(replace(scores, curves=curves), "nmi")
    expected = {
        "accuracy": 0.8,
        "g_unseen": 0.55,
        "g_seen": 0.9,
        "best_layer": "b",
        "best_depth": 1,
        "last_value": 0.55,
    }
    expected |= {"ci_low": 0.5, "ci_high": 0.612346, "lead": -0.1}
    assert headline(summary) == {"d": {"m": expected}}
    assert headline(summarize(scores, "nmi"))["d"]["m"]["lead"] is None


def test_only_the_main_metric_and_pooling_make_the_headline():
    rows = [point("a", 0, "mean", 0.3, seed=s, metric=m) for s in (0, 1) for m in ("nmi", "ami")]
    rows += [point("a@max", 0, "max", 0.9, seed=s, metric=m) for s in (0, 1) for m in ("nmi", "ami")]
    summary = summarize(average(typed(pd.DataFrame(rows)), RUN), "ami")
    assert list(zip(summary["metric"], summary["pooling"], summary["main"], strict=True)) == [
        ("nmi", "mean", False),
        ("ami", "mean", True),
        ("nmi", "max", False),
        ("ami", "max", False),
    ]


def scored(metric, values, better="higher", **columns):
    """One network's unseen curve, the same for both seeds."""
    rows = [
        point("abcd"[depth], depth, "mean", value, seed=s, metric=metric)
        for depth, value in enumerate(values)
        for s in (0, 1)
    ]
    return typed(pd.DataFrame(rows)).assign(better=better, **columns)


def averaged(*tables):
    return average(pd.concat(tables, ignore_index=True), RUN)


def test_where_lower_is_better_the_minimum_is_chosen_at_every_step():
    scores = averaged(scored("nmi", [0.1, 0.2]), scored("collapse", [3.0, 2.0, 5.0], "lower"))
    row = summarize(scores, "nmi").iloc[1]
    assert (row["best_layer"], row["unseen"], row["better"]) == ("b", 2.0, "lower")
    assert follow_steps(scores).iloc[1]["best_layer"] == "b"


def test_where_neither_is_better_there_is_a_curve_and_no_summary():
    scores = averaged(scored("nmi", [0.1, 0.2]), scored("intrinsic_dimension", [3.0, 2.0], "neither"))
    assert list(summarize(scores, "nmi")["metric"]) == ["nmi"]
    assert without_best(scores) == []
    assert list(last_step(scores)["metric"]) == ["nmi", "nmi", "intrinsic_dimension", "intrinsic_dimension"]


def test_scores_are_correlated_over_layers_with_the_main_one():
    tables = [scored("nmi", [0.1, 0.3, 0.2, 0.4]), scored("ami", [1, 2, 4, 3])]
    tables.append(scored("collapse", [9, 7, 8, 6], "lower"))
    summary = summarize(averaged(*tables, scored("ari", [0.5, np.nan, np.nan, np.nan])), "nmi")
    correlations = dict(zip(summary["metric"], summary["rank_correlation"], strict=True))
    assert (correlations["nmi"], correlations["collapse"]) == (pytest.approx(1), pytest.approx(1))
    assert correlations["ami"] == pytest.approx(1 - 6 * (0 + 1 + 4 + 1) / (4 * 15))  # by the differences of the ranks
    assert np.isnan(correlations["ari"])


def test_the_summary_tells_the_evidence_of_the_best_layer_and_the_set_of_layers_like_it():
    scores = averaged(scored("nmi", [0.1, 0.3, 0.25, 0.2]))
    evidence = {"ci_images_low": [0.0, 0.2, 0.1, 0.1], "selection_frequency": [0, 0.7, 0.3, 0], "lead": 0.05}
    evidence |= {"in_best_set": pd.array([False, True, True, False], dtype="boolean"), "start_sd": [0.1, 0.2, 0.3, 0.4]}
    row = summarize(replace(scores, curves=scores.curves.assign(**evidence)), "nmi").iloc[0]
    assert (row["ci_images_low"], row["selection_frequency"], row["lead"], row["start_sd"]) == (0.2, 0.7, 0.05, 0.2)
    assert (row["best_set"], row["shallowest_layer"], row["shallowest_depth"]) == ("1;2", "b", 1)
    assert summarize(scores, "nmi").iloc[0][["best_set", "shallowest_layer", "lead"]].isna().all()


def test_matched_splits_stand_beside_and_make_no_points():
    seen, unseen = scored("nmi", [0.6, 0.7]), scored("nmi", [0.5])
    matched = [seen.assign(split="seen_matched"), unseen.assign(split="unseen_matched")]
    scores = averaged(scored("nmi", [0.1, 0.3]), *matched)
    row = summarize(scores, "nmi").iloc[0]
    assert (row["seen_matched"], row["unseen_matched"]) == (0.7, 0.5)
    assert set(last_step(scores)["split"]) == {"unseen"}
    assert tuple(last_step(scores).columns) == DEPTH_COLUMNS


def test_matched_splits_of_a_later_step_make_no_steps_and_no_last_points():
    seen, unseen = scored("nmi", [0.3, 0.7]), scored("nmi", [0.5, 0.1])
    matched = [seen.assign(split="seen_matched", step=10), unseen.assign(split="unseen_matched", step=10)]
    scores = averaged(scored("nmi", [0.1, 0.3]), *matched)
    assert follow_steps(scores)["step"].tolist() == [0]
    assert last_step(scores)["value"].tolist() == [0.1, 0.3]
