import numpy as np
import pandas as pd
import pytest

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import details_of, message_of
from stages.aggregate.figures.robustness import CLEAN, SHADES, robustness_figure
from stages.aggregate.figures.style import Averages
from tests.aggregate.figures.drawing import check_layout, drawn, legend_of, lines_of


def corrupted(depths=(-1, 0, 1), severities=(1, 2), kinds=("blur", "noise"), models=("small",)):
    """Clean scores are 0.7; raw pixels (depth -1) are the best under noise alone."""
    rows = [
        {"dataset": "handwriting", "model": model, "layer": f"l.{depth}", "depth": depth, "pooling": "mean"}
        | {"metric": "probe_accuracy", "corruption": kind, "severity": severity, "chance": 0.1, "clean": 0.7}
        | {
            "relative": 1
            - 0.1 * severity
            - 0.02 * depth
            - 0.3 * (kind == "noise")
            - 0.2 * (depth < 0 and kind == "blur")
        }
        for model in models
        for kind in kinds
        for severity in severities
        for depth in depths
    ]
    table = pd.DataFrame(rows).astype({"depth": "Int64"}).assign(value=lambda table: 0.7 * table["relative"])
    return table.assign(layer=table["layer"].replace({"l.-1": "pixels"}))


def head_of(rows):
    return rows[rows["depth"] == 0].assign(layer="head", metric="accuracy", value=0.4, clean=0.6)


def test_robustness_has_a_row_per_network_a_column_per_corruption_a_line_per_severity():
    rows = corrupted(models=("small", "large"))
    figure = drawn(robustness_figure, rows, head_of(rows), Averages(1, 1))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a  small\nblur", "noise", "b  large", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["linear probe accuracy", ""] * 2
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "layer", "layer"]
    noise = figure.axes[1]
    for severity, shade in zip((1, 2), SHADES, strict=False):
        (line,) = [line for line in lines_of(noise, shade) if line.get_marker() == "o"]
        assert line.get_ydata() == pytest.approx(0.7 * np.array([0.7, 0.68]) - 0.07 * severity)
    (clean,) = [line for line in lines_of(noise, CLEAN) if line.get_marker() == "o"]
    assert list(clean.get_ydata()) == [0.7, 0.7]
    check_layout(figure)


def test_raw_pixels_stand_before_the_layers_and_the_head_behind_them():
    rows = corrupted()
    figure = drawn(robustness_figure, rows, head_of(rows), Averages(1, 1))
    ax = figure.axes[1]
    squares = {line.get_xydata()[0].tolist()[1] for line in ax.lines if line.get_marker() == "s"}
    assert sorted(squares) == pytest.approx([0.7 * 0.52, 0.7 * 0.62, 0.7])
    assert {line.get_xydata()[0].tolist()[1] for line in ax.lines if line.get_marker() == "D"} == {0.4, 0.6}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "px", "head"]
    assert [line.get_ydata()[0] for line in lines_of(ax, style.CHANCE)] == [pytest.approx(0.1)]
    assert {"raw pixels (px)", "the network's own head", "chance", "clean images"} <= set(legend_of(figure))


def test_the_message_says_where_raw_pixels_beat_every_layer_of_every_network():
    rows = corrupted(models=("small", "large"))
    assert message_of(drawn(robustness_figure, rows, rows.iloc[:0], Averages(1, 1))) == (
        "Raw pixels beat every layer shown under noise (severity 1 and 2)"
    )
    better = rows.assign(value=rows["value"].mask((rows["model"] == "large") & (rows["depth"] == 1), 0.69))
    message = message_of(drawn(robustness_figure, better, rows.iloc[:0], Averages(1, 1)))
    assert message.startswith("On corrupted images the layers that are best on clean ones keep ")


def test_networks_that_are_set_aside_are_left_out_and_named():
    rows = corrupted(models=("small", "large"))
    figure = drawn(robustness_figure, rows, rows.iloc[:0], Averages(1, 1), ["large"])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a  small\nblur", "noise"]
    assert details_of(figure).endswith("Left out, since they say little: large.")
