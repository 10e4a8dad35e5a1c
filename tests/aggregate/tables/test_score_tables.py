import numpy as np
import pandas as pd
import pytest

from stages.aggregate.tables.score_tables import (
    DEPTH_COLUMNS,
    ROBUSTNESS_COLUMNS,
    STEPS_COLUMNS,
    depth_table,
    robustness_table,
    steps_table,
)
from stages.shared.tables.metric_table import HEAD, typed
from tests.aggregate.tables.scored import averaged, scored
from tests.aggregate.test_curves import point


def test_the_depth_table_of_every_curve_with_relative_depth(scores):
    points = depth_table(scores)
    assert set(points["step"]) == {10}
    unseen = points[points["split"] == "unseen"]
    assert list(unseen["relative_depth"]) == [0.0, 0.5, 1.0]
    assert list(unseen["value"]) == pytest.approx([0.3, 0.55, 0.55])
    assert unseen[["parameters", "operations"]].to_numpy().tolist() == [[10, 100], [20, 200], [30, 300]]


def test_a_score_of_which_neither_end_is_better_is_a_curve():
    scores = averaged(scored("nmi", [0.1, 0.2]), scored("intrinsic_dimension", [3.0, 2.0], "neither"))
    assert list(depth_table(scores)["metric"]) == ["nmi", "nmi", "intrinsic_dimension", "intrinsic_dimension"]


def test_matched_splits_make_no_points_whatever_their_step():
    seen, unseen = scored("nmi", [0.6, 0.7]), scored("nmi", [0.5])
    for step in (0, 10):
        matched = [seen.assign(split="seen_matched", step=step), unseen.assign(split="unseen_matched", step=step)]
        points = depth_table(averaged(scored("nmi", [0.1, 0.3]), *matched))
        assert points["value"].tolist() == [0.1, 0.3]
        assert set(points["split"]) == {"unseen"}
        assert tuple(points.columns) == tuple(DEPTH_COLUMNS)


def test_both_published_ways_of_choosing_a_layer_over_steps(scores):
    steps = steps_table(scores)
    assert list(steps.columns) == list(STEPS_COLUMNS)
    assert list(steps["best_layer"]) == ["a", "b"]
    assert list(steps["unseen"]) == pytest.approx([0.6, 0.55])
    assert list(steps["fixed_layer"]) == ["a", "a"]
    assert list(steps["unseen_fixed"]) == pytest.approx([0.6, 0.3])
    assert list(steps["seen"]) == pytest.approx([0.2, 0.9])
    assert list(steps["seen_fixed"]) == pytest.approx([0.2, 0.4])
    assert list(steps["accuracy"]) == pytest.approx([0.1, 0.8])


def test_where_lower_is_better_the_minimum_is_chosen_at_every_step():
    scores = averaged(scored("nmi", [0.1, 0.2]), scored("collapse", [3.0, 2.0, 5.0], "lower"))
    assert steps_table(scores).iloc[1]["best_layer"] == "b"


def test_a_score_without_any_finite_value_has_steps_without_a_layer():
    steps = steps_table(averaged(scored("nmi", [0.3, 0.2]), scored("ami", [np.nan, np.nan]))).set_index("metric")
    assert np.isnan(steps.loc["ami", "unseen"])
    assert steps.loc["ami", "best_layer"] == ""


def test_matched_splits_of_a_later_step_make_no_steps():
    seen, unseen = scored("nmi", [0.3, 0.7]), scored("nmi", [0.5, 0.1])
    matched = [seen.assign(split="seen_matched", step=10), unseen.assign(split="unseen_matched", step=10)]
    assert steps_table(averaged(scored("nmi", [0.1, 0.3]), *matched))["step"].tolist() == [0]


def test_corrupted_copies_are_averaged_over_seeds_and_named_by_kind_and_severity():
    rows = [
        point("x", 0, "mean", value, seed=seed, split=split) | {"relative": value / 0.8}
        for split, values in (("motion_blur_2", (0.4, 0.6)), ("noise_1", (0.8, 0.8)))
        for seed, value in enumerate(values)
    ]
    rows += [point(HEAD, None, "", 0.3, split="noise_1", metric="accuracy") | {"relative": 0.5}]
    rows += [
        point("x", 0, "mean", 0.8, split=split) | {"relative": np.nan}
        for split in ("test", "unseen", "seen_matched", "unseen_matched")
    ]
    table = robustness_table(typed(pd.DataFrame(rows)))
    assert tuple(table.columns) == tuple(ROBUSTNESS_COLUMNS)
    assert table[["layer", "corruption", "severity", "value"]].to_numpy().tolist() == [
        ["x", "motion_blur", 2, 0.5],
        ["x", "noise", 1, 0.8],
        [HEAD, "noise", 1, 0.3],
    ]
    assert table["relative"].tolist() == pytest.approx([0.625, 1.0, 0.5])
    assert table["clean"].tolist() == pytest.approx([0.8, 0.8, 0.6])


def test_clean_scores_are_known_from_any_corruption_that_leaves_something():
    splits = {"noise_1": (0.4, 0.5), "noise_2": (0.0, 0.0), "blur_1": (0.8, 1.0)}
    rows = [point("x", 0, "mean", value, split=split) | {"relative": share} for split, (value, share) in splits.items()]
    rows += [point("y", 1, "mean", 0.0, split="noise_1") | {"relative": np.nan}]  # a share of nothing
    table = robustness_table(typed(pd.DataFrame(rows)))
    assert table.set_index(["layer", "severity"])["clean"].groupby(level=0).agg(list).to_dict() == {
        "x": pytest.approx([0.8, 0.8, 0.8]),
        "y": [0.0],
    }


def test_without_corruptions_the_table_has_its_columns_alone():
    table = robustness_table(typed(pd.DataFrame([point("x", 0, "mean", 0.8)])).assign(relative=np.nan))
    assert (len(table), tuple(table.columns)) == (0, tuple(ROBUSTNESS_COLUMNS))
