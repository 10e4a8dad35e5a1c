import numpy as np
import pytest

from stages.aggregate.charts.network_figures import curve_points, depth_figure
from stages.aggregate.charts.theme import BLUE, PALE, SEEN
from stages.aggregate.curves import each_curve, mark_points
from tests.aggregate.charts.drawing import Drawing


def means(scores, *metrics):
    """The means over folds of one network's scores."""
    rows = scores.curves[(scores.curves["fold"] == "mean") & (scores.curves["model"] == "small")]
    return rows[rows["metric"].isin(metrics)] if metrics else rows


def draw(scores, rows):
    points = mark_points(rows)
    curves = [curve_points(own) for _, own in each_curve(points[points["last"]])]
    return Drawing(depth_figure(curves, 100, ("message", "caption")))


def unseen(curve):
    return curve[(curve["step"] == 100) & (curve["split"] == "unseen")]["value"]


def bands(drawing):
    """Bottom and top of every band, in the order of the layers."""
    rows = [row for panel in drawing.spec["concat"] for row in panel["layer"][2]["data"]["values"]]
    return [(row["low"], row["high"]) for row in rows if row["split"] == "unseen" and row["low"] is not None]


def test_a_panel_for_each_score_shows_both_splits_at_the_depth_table_and_rings_the_best_layer(scores):
    drawing = draw(scores, means(scores))
    heads = ["(a) NMI", "(b) k-NN purity", "(c) 1-NN accuracy", "(d) linear probe accuracy"]
    assert [text for text in drawing.texts if text in heads] == heads
    nmi = unseen(means(scores, "nmi"))
    assert [row["value"] for row in drawing.points(fill=PALE)][:4] == pytest.approx([*nmi])  # ties are not known
    assert len(drawing.points(stroke=SEEN)) == 4 * 4
    assert [(ring["x"], ring["value"]) for ring in drawing.rings()[:1]] == [
        (nmi.to_numpy().argmax(), pytest.approx(nmi.max()))
    ]
    assert "best at layer 3 of 4 (blocks.1): 0.66" in drawing.texts
    assert (drawing.message, drawing.caption[:16]) == ("message", "message. caption")
    assert [drawing.texts.count(f"{kind} classes") for kind in ("unseen", "seen")] == [1, 1]  # one legend


def test_every_panel_numbers_the_layers_and_the_lowest_name_them(scores):
    texts = draw(scores, means(scores)).texts
    assert [texts.count(str(number)) for number in range(1, 5)] == [2] * 4
    assert [
        texts.count(f"{number} {name}") for number, name in enumerate(("stem", "blocks.0", "blocks.1", "head_conv"), 1)
    ] == [2] * 4


def test_chance_and_raw_pixels_are_those_of_the_split_whose_colour_they_have(scores):
    chosen = means(scores, "nmi")
    chosen = chosen.assign(chance=chosen["split"].map({"unseen": 0.2, "test": 0.07}))
    drawing = draw(scores, chosen)
    for color, chance in ((BLUE, 0.2), (SEEN, 0.07)):
        assert [row["value"] for row in drawing.rules(stroke=color)] == pytest.approx([0.1, chance])


@pytest.mark.parametrize(("kind", "half"), [("one_score", 0.05), ("wider", 0.1)])
def test_the_band_is_the_interval_of_the_wider_scope(scores, request, kind, half):
    curve = request.getfixturevalue(kind)
    drawing = draw(scores, curve)
    assert sum(mark.kind == "area mark" for mark in drawing.marks) == 1
    assert np.array(bands(drawing)) == pytest.approx(
        np.array([(value - half, value + half) for value in unseen(curve)])
    )


def test_without_intervals_the_band_is_one_standard_deviation(scores):
    curve = means(scores, "nmi")
    sd = curve[(curve["step"] == 100) & (curve["split"] == "unseen")]["sd"]
    expected = [(value - own, value + own) for value, own in zip(unseen(curve), sd, strict=True)]
    drawing = draw(scores, curve)
    assert np.array(bands(drawing)) == pytest.approx(np.array(expected))
    alone = draw(scores, curve.assign(sd=np.nan))
    assert not any(mark.kind == "area mark" for mark in alone.marks)


def test_dots_are_filled_at_layers_that_tie_in_the_wider_scope_and_hollow_elsewhere(scores, one_score, wider):
    for curve, filled in ((one_score, [1, 2]), (wider, [1, 2, 3])):
        drawing = draw(scores, curve)
        assert [row["x"] for row in drawing.points(stroke=BLUE, fill=BLUE)] == filled
        assert [row["x"] for row in drawing.points(stroke=BLUE, fill="#FFFFFF")] == [
            x for x in range(4) if x not in filled
        ]


@pytest.mark.parametrize(
    ("better", "subtitle"),
    [
        ("lower", "best at layer 1 of 4 (stem): "),
        ("neither", "neither high nor low"),
        ("higher", "best at layer 3 of 4 (blocks.1): "),
    ],
)
def test_the_best_layer_follows_the_scores_direction(scores, one_score, better, subtitle):
    drawing = draw(scores, one_score.assign(better=better))
    values = unseen(one_score)
    expected = {"lower": [values.min()], "higher": [values.max()], "neither": []}[better]
    assert [ring["value"] for ring in drawing.rings()] == pytest.approx(expected)
    assert any(text.startswith(subtitle) for text in drawing.texts)
    assert ("NMI (lower is better)" in drawing.texts) == (better == "lower")


def test_a_score_without_any_finite_value_leaves_an_empty_panel(scores, one_score):
    empty = one_score.assign(value=np.nan, ci_images_low=np.nan, ci_images_high=np.nan, sd=np.nan)
    assert "undefined on unseen classes" in draw(scores, empty).texts


@pytest.mark.parametrize(("factor", "kind"), [(1, "linear"), (300, "log"), (3, "linear")])
def test_only_a_score_that_is_no_share_and_spans_far_gets_a_logarithmic_axis(scores, factor, kind):
    curve = means(scores, "nmi").assign(sd=np.nan, chance=np.nan)
    values = curve["value"].where(curve["depth"] != 3, curve["value"] * factor)
    spec = draw(scores, curve.assign(value=values)).spec["concat"][0]
    assert spec["layer"][2]["encoding"]["y"].get("scale", {}).get("type", "linear") == kind
