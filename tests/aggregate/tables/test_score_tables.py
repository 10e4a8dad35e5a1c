import numpy as np
import pytest

from stages.aggregate.tables.score_tables import (
    DEPTH_COLUMNS,
    STEPS_COLUMNS,
    depth_table,
    steps_table,
)
from tests.aggregate.tables.scored import averaged, scored


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
