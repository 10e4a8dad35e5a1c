import numpy as np
import pandas as pd
import pytest

from stages.aggregate.figures.robustness import robustness_figure
from stages.aggregate.figures.style import Averages
from tests.aggregate.figures.drawing import drawn


def corrupted(depths=(0, 1), severities=(1, 2), kinds=("blur", "noise"), models=("small",)):
    rows = [
        {"dataset": "handwriting", "model": model, "layer": f"l.{depth}", "depth": depth, "pooling": "mean"}
        | {"metric": "probe_accuracy", "corruption": kind, "severity": severity, "chance": 0.1}
        | {"relative": 1 - 0.1 * severity - 0.02 * depth - 0.3 * (kind == "noise")}
        for model in models
        for kind in kinds
        for severity in severities
        for depth in depths
    ]
    return pd.DataFrame(rows).astype({"depth": "Int64"}).assign(value=lambda table: 0.7 * table["relative"])


def test_robustness_has_a_row_per_network_a_column_per_corruption_a_line_per_severity():
    rows = corrupted(models=("small", "large"))
    head = rows[rows["depth"] == 0].assign(layer="head", metric="accuracy", relative=0.4, value=0.3)
    figure = drawn(robustness_figure, rows, head, Averages(1, 1))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["blur", "noise", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["small", "", "large", ""]
    curves_of_noise = [
        line.get_ydata() for line in figure.axes[1].lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    assert np.array(curves_of_noise) == pytest.approx(np.array([[0.6, 0.58], [0.5, 0.48]]))
    diamonds = [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert diamonds == [[[2, 0.4]], [[2, 0.4]]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "1", "head"]


def test_robustness_near_chance_is_hollow_and_does_not_set_the_scale():
    rows = corrupted()
    rows.loc[rows["depth"] == 1, ["value", "relative"]] = [0.38, 2.0]  # of 0.19 when clean, at a chance of 0.1
    figure = drawn(robustness_figure, rows, rows.iloc[:0], Averages(1, 1))
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xydata().tolist() for line in hollow] == [[[1.0, 2.0]], [[1.0, 2.0]]]
    assert figure.axes[0].get_ylim()[1] < 1.5
    assert "below 2 times chance" in figure.get_suptitle()
    assert "chance" not in drawn(robustness_figure, corrupted(), rows.iloc[:0], Averages(1, 1)).get_suptitle()


def test_robustness_labels_of_a_head_far_outside_the_axes_leave_room_for_the_panels():
    rows = corrupted()
    head = rows[rows["depth"] == 0].assign(layer="head", metric="accuracy", relative=6.0, value=0.12)  # clean: 0.02
    figure = drawn(robustness_figure, rows, head, Averages(1, 1))
    low, high = figure.axes[1].get_ylim()
    assert all(low <= text.xyann[1] <= high for text in figure.axes[1].texts)
    alone = drawn(robustness_figure, rows, head.assign(relative=0.4), Averages(1, 1))
    assert figure.axes[1].get_position().height == pytest.approx(alone.axes[1].get_position().height, rel=0.1)


def test_robustness_without_any_defined_value_is_an_empty_figure():
    rows = corrupted().assign(relative=np.nan)
    figure = drawn(robustness_figure, rows, rows.iloc[:0], Averages(1, 1))
    assert figure.axes[0].get_ylim()[1] > 1
    assert "diamonds" not in figure.get_suptitle()
