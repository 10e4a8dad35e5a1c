import pytest

from stages.aggregate.tables.depth import DEPTH_COLUMNS, depth_table
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
