import pandas as pd
import pytest

from stages.aggregate.charts.datasets import SHADES, kept_and_lost, robustness_figure
from stages.aggregate.charts.frame import Words
from stages.aggregate.charts.theme import ORANGE, PRINT, TEXT
from tests.aggregate.charts.drawing import Drawing


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


def draw(rows, head):
    return Drawing(robustness_figure(rows, head, Words("a message", "details"), title="linear probe accuracy"))


def test_a_row_per_network_a_column_per_corruption_a_line_per_severity():
    rows = corrupted(models=("small", "large"))
    drawing = draw(rows, rows.iloc[:0])
    heads = [text for text in drawing.texts if text.startswith("(") or text in ("blur", "noise")]
    assert heads == [
        "(a) small: linear probe accuracy",
        "blur",
        "noise",
        "(b) large: linear probe accuracy",
        "blur",
        "noise",
    ]
    for severity, shade in zip((1, 2), SHADES, strict=False):
        own = rows[rows["severity"] == severity].sort_values("depth")
        drawn = sorted(row["value"] for row in drawing.points(fill=PRINT.get(shade, shade)))
        assert drawn == pytest.approx(sorted(own["value"]))
    assert [row["value"] for row in drawing.points(fill=ORANGE)] == [0.7] * 3 * 2 * 2
    assert [row["value"] for row in drawing.rules(stroke=PRINT[TEXT])] == pytest.approx([0.1] * 4)


def test_raw_pixels_stand_before_the_layers_and_the_head_behind_them():
    rows = corrupted(kinds=("noise",))
    drawing = draw(rows, head_of(rows))
    of = {x: [row["value"] for row in drawing.points() if row["x"] == x] for x in range(4)}
    assert of[3] == [0.6, 0.4, 0.4]
    assert sorted(of[0]) == pytest.approx([0.7 * 0.52, 0.7 * 0.62, 0.7])
    assert sum(mark.kind == "line mark" for mark in drawing.marks) == 3 * 3, "the layers alone are joined"
    assert {"px", "head", "chance", "clean images"} <= set(drawing.texts)


def test_what_layers_keep_and_where_raw_pixels_beat_every_layer_of_every_network():
    rows = corrupted(models=("small", "large"))
    kept, lost = kept_and_lost(rows)
    assert lost == {"noise": [1, 2]}
    assert kept == pytest.approx((0.5, 0.9))  # of the first layer: all are equally good on clean images
    better = rows.assign(value=rows["value"].mask((rows["model"] == "large") & (rows["depth"] == 1), 0.69))
    assert kept_and_lost(better)[1] == {}
    of_cells = rows.assign(relative=rows["relative"] + 0.05)  # their mean is not the ratio of the means
    assert kept_and_lost(of_cells)[0] == pytest.approx((0.55, 0.95))
