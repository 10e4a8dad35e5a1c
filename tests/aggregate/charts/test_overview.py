import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from stages.aggregate.charts.dataset_figures import overview as draw
from stages.aggregate.charts.theme import BLUE, GREY, PALE, PRINT, TEXT, VERMILION
from stages.aggregate.compute import Results
from stages.aggregate.facts import Facts
from stages.aggregate.tables.score_tables import depth_table
from tests.aggregate.charts.drawing import Drawing
from tests.aggregate.charts.made import shown
from tests.aggregate.networks import NO_INTERVALS, evidence, network

MODELS = ["small", "small_scratch"]
BEST, LAST = 2, 3
"""Depths of the made-up networks' best and last layers."""


def overview(curves, *, aside=(), models=MODELS, shorter=(), **columns):
    """The overview of NMI."""
    points = depth_table(curves)
    points = points[(points["metric"] == "nmi") & (points["fold"] == "mean") & (points["split"] == "unseen")]
    columns = {"best_depth": BEST, "baseline": None, "chance": None} | NO_INTERVALS | columns
    rows = (network(model, last_depth=LAST - (model in shorter), **columns) for model in models)
    facts = Facts([SimpleNamespace(dataset="handwriting", use="discovery", metric="nmi")], [])
    results = Results(pd.DataFrame(), curves, [], facts, pd.DataFrame(), {}, shown(curves))
    return points[points["model"].isin(models)], Drawing(draw(results, MODELS, evidence(*rows, beaten=aside)))


def values(points, model, depth):
    return points[(points["model"] == model) & (points["depth"] == depth)]["value"].iloc[0]


def bars(drawing, color=BLUE):
    return [(row["low"], row["high"]) for row in drawing.rules(stroke=color) if "low" in row]


def test_every_network_has_a_line_in_its_colour_its_best_layer_ringed_and_its_words_in_the_legend(scores):
    points, drawing = overview(scores, chance=0.01)
    for model, color in zip(MODELS, (BLUE, VERMILION), strict=True):
        own = points[points["model"] == model]["value"]
        assert [row["value"] for row in drawing.points(stroke=color, fill=PALE)] == pytest.approx([*own])
    assert [ring["value"] for ring in drawing.rings()] == pytest.approx(
        [values(points, model, BEST) for model in MODELS]
    )
    names = {f"{model}: best at layer 3 of 4 (blocks.3), 0.390" for model in MODELS}
    assert {*names, "NMI on unseen classes"} <= set(drawing.texts)
    assert [row["value"] for row in drawing.rules(stroke=PRINT[TEXT])] == [0.01]


@pytest.mark.parametrize(("kind", "half", "hollow"), [("one_score", 0.05, [0, 3]), ("wider", 0.1, [0])])
def test_bars_are_intervals_of_the_best_and_the_last_layer_and_hollow_dots_do_not_tie(
    scores, request, kind, half, hollow
):
    points, drawing = overview(replace(scores, curves=request.getfixturevalue(kind)), models=["small"])
    expected = [(own - half, own + half) for own in (values(points, "small", depth) for depth in (BEST, LAST))]
    assert bars(drawing) == [pytest.approx(ends) for ends in expected]
    assert [row["x"] for row in drawing.points(fill="#FFFFFF")] == hollow


def test_without_intervals_bars_are_the_spread(folded):
    points, drawing = overview(folded, models=["small"])
    sd = points.set_index("depth")["sd"]
    assert [high - low for low, high in bars(drawing)] == pytest.approx([2 * sd[BEST], 2 * sd[LAST]])


def test_networks_that_are_set_aside_are_grey_thin_and_without_ring_or_bar(scores):
    _, drawing = overview(scores, aside=["small"])
    assert len(drawing.points(stroke=GREY)) == 4
    lines = {
        mark.attributes["stroke"]: float(mark.attributes["stroke-width"])
        for mark in drawing.marks
        if mark.kind == "line mark"
    }
    assert lines[GREY] < 1 < lines[VERMILION]
    assert len(drawing.rings()) == 1
    assert not bars(drawing, GREY)


def test_networks_of_unlike_depth_share_an_axis_of_relative_positions(scores):
    fewer = scores.curves[(scores.curves["model"] == "small") | (scores.curves["depth"] < 3)]
    _, drawing = overview(replace(scores, curves=fewer), shorter=["small_scratch"])
    labels = [text for text in drawing.texts if re.fullmatch(r"first layer|last layer|0\.25|0\.5|0\.75", text)]
    assert sorted(set(labels)) == ["0.25", "0.5", "0.75", "first layer", "last layer"]
