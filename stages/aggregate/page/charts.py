"""The page's charts as Vega-Lite, without their data: the page's scripts fill in the named data sets and parameters.

Text and axes are drawn in the colour of the text around them, so that one chart serves light and dark pages.
"""

from collections.abc import Sequence
from typing import Any

from stages.aggregate.figures import style

Spec = dict[str, Any]

TEXT, FAINT, GROUND = "currentColor", "#80808055", "var(--ground)"
UNSEEN = "var(--unseen)"
"""The figures' colour of unseen classes; on a dark page their lighter blue."""
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
X_SYMBOL = "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z"
"""A cross that stands on its feet, as a path within [-1, 1]."""
COLORS = [*style.MODELS[:-1], TEXT]
"""The figures' colours; black is the text's colour, which can be seen on dark pages."""
SHAPES = [SYMBOLS.get(marker, X_SYMBOL) for marker in style.MARKERS]
DASHES = [[], [6, 3], [2, 2]]

CONFIG: Spec = {
    "font": "system-ui, sans-serif",
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": TEXT,
        "titleColor": TEXT,
        "tickColor": FAINT,
        "domainColor": FAINT,
        "gridColor": "#80808033",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "axisX": {"grid": False},
    "legend": {"labelColor": TEXT, "titleColor": TEXT, "labelFontSize": 12, "symbolSize": 70, "labelLimit": 260},
    "text": {"color": TEXT, "font": "system-ui, sans-serif", "fontSize": 11},
}

LEGEND: Spec = {"orient": "bottom", "direction": "vertical", "columns": 1}
Y: Spec = {"field": "value", "type": "quantitative", "title": None}
TIP: Spec = {"field": "tip", "type": "nominal"}


def charts(models: Sequence[str]) -> dict[str, Spec]:
    """Every chart by name; what it draws is documented at its function.

    Args:
        models: every model of the grid, in order, which fixes its colour, shape and dashes, as in the figures.
    """
    return {
        "overview": overview(models),
        "depth": depth(),
        "steps": steps(),
        "similarity": similarity(),
        "pairs": best_and_last(),
        "projection": projection(),
    }


def _chart(height: int, *layers: Spec, **further: Any) -> Spec:
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": CONFIG,
        "layer": list(layers),
        **further,
    }


def _layer(data: str, mark: Spec, encoding: Spec) -> Spec:
    """What draws one data set; the page takes it out where that has no rows."""
    return {"data": {"name": data}, "mark": mark, "encoding": encoding}


def overview(models: Sequence[str]) -> Spec:
    """All networks of a dataset: the score against relative depth; ties filled, the best ringed, the lead as a bar.

    Data sets: points (network, x, value, low, high, tip), of which tied, others, best, and bars where an interval is
    known; leads (network, x, from, to, value, text, tip).
    """
    x = {
        "field": "x", "type": "quantitative", "title": "position of the layer", "scale": {"nice": False, "zero": False},
        "axis": {
            "values": [0, 0.25, 0.5, 0.75, 1], "format": ".2~f",
            "labelExpr": "datum.value == 0 ? 'first layer' : datum.value == 1 ? 'last layer' : datum.label",
        },
    }  # fmt: skip
    color = _of_models(models, COLORS)
    line = {"x": x, "y": Y, "color": color}
    ends = {"y": Y | {"field": "low"}, "y2": {"field": "high"}}
    point = line | {"shape": _of_models(models, SHAPES), "tooltip": TIP}
    again = [dashes for dashes in DASHES for _ in COLORS]
    return _chart(
        300,
        _layer("points", {"type": "line", "strokeWidth": 2}, line | {"strokeDash": _of_models(models, again)}),
        _layer("bars", {"type": "rule", "strokeWidth": 1.5}, line | ends),
        _layer("best", {"type": "point", "size": 300, "strokeWidth": 1.5}, line),
        _layer("others", {"type": "point", "size": 60, "fill": GROUND, "opacity": 1}, point),
        _layer("tied", {"type": "point", "size": 70, "filled": True, "opacity": 1}, point),
        _layer(
            "leads", {"type": "rule", "strokeWidth": 3},
            line | {"y": Y | {"field": "from"}, "y2": {"field": "to"}, "tooltip": TIP},
        ),
        _layer(
            "leads", {"type": "text", "align": "right", "dx": -5, "fontWeight": 600},
            {"x": x, "y": Y, "text": {"field": "text"}},
        ),
    )  # fmt: skip


def _of_models(models: Sequence[str], looks: Sequence[Any]) -> Spec:
    """Encode a network by what its model looks like; beyond the palette it begins again."""
    scale = {"domain": list(models), "range": [looks[i % len(looks)] for i in range(len(models))]}
    return {"field": "network", "type": "nominal", "title": None, "scale": scale, "legend": {"orient": "bottom"}}


def depth() -> Spec:
    """One score of one network against depth, on both splits.

    Data sets: points (split, x, value, low, high, tip), of which bands; folds (fold, x, value), levels (split, kind,
    value, tip), ties (from, to). Parameters: names, of the layers; split, the one that stands out.
    """
    x = {
        "field": "x", "type": "quantitative", "title": None, "scale": {"nice": False, "zero": False, "padding": 8},
        "axis": {"labelExpr": "names[datum.value - 1]", "tickMinStep": 1, "labelOverlap": True},
    }  # fmt: skip
    color = {
        "field": "split", "type": "nominal", "legend": None,
        "scale": {"domain": ["unseen", "seen"], "range": [UNSEEN, style.SEEN]},
    }  # fmt: skip
    shape = color | {"scale": {"domain": ["unseen", "seen"], "range": ["circle", "square"]}}
    chosen = {"opacity": {"condition": {"test": "datum.split == split", "value": 1}, "value": 0.65}}
    line = {"x": x, "y": Y, "color": color}
    dashes = {"condition": {"test": "datum.kind == 'chance'", "value": [1.5, 2.5]}, "value": [6, 3]}
    level = {"y": Y, "color": color, "strokeDash": dashes, "tooltip": TIP} | chosen
    bottom = {"x": x | {"field": "from"}, "x2": {"field": "to"}, "y": {"value": "height"}}
    return _chart(
        190,
        _layer(
            "bands", {"type": "area", "opacity": style.BAND_ALPHA},
            {"x": x, "y": Y | {"field": "low"}, "y2": {"field": "high"}, "color": color},
        ),
        _layer(
            "folds", {"type": "line", "strokeWidth": 0.8, "opacity": 0.45},
            line | {"detail": {"field": "fold"}},
        ),
        _layer("levels", {"type": "rule", "strokeWidth": 1.5}, level),
        _layer("points", {"type": "line", "strokeWidth": 2}, line | chosen),
        _layer(
            "points", {"type": "point", "filled": True, "size": 45},
            line | {"shape": shape, "tooltip": TIP} | chosen,
        ),
        _layer("ties", {"type": "rule", "strokeWidth": 5, "color": UNSEEN}, bottom),
        params=[{"name": "names", "value": []}, {"name": "split", "value": "unseen"}],
    )  # fmt: skip


def steps() -> Spec:
    """Accuracy and the best layer's score against training step.

    Data sets: points (line, step, value, low, high, tip), of which bars.
    """
    x = {"field": "step", "type": "quantitative", "title": "optimizer step", "scale": {"nice": False, "padding": 10}}
    lines = ["g, unseen classes", "g, seen classes", "accuracy, seen classes"]
    color: Spec = {"field": "line", "type": "nominal", "title": None, "legend": LEGEND}
    color |= {"scale": {"domain": lines, "range": [UNSEEN, style.SEEN, TEXT]}}
    shape = color | {"scale": {"domain": lines, "range": ["circle", "square", "diamond"]}}
    dash = color | {"scale": {"domain": lines, "range": [[1, 0], [1, 0], [5, 3]]}}
    base = {"x": x, "y": Y, "color": color}
    ends = {"y": Y | {"field": "low"}, "y2": {"field": "high"}}
    mark = {"type": "point", "filled": True, "size": 55, "opacity": 1}
    return _chart(
        290,  # the legend in it included
        _layer("bars", {"type": "rule"}, base | ends),
        _layer("points", {"type": "line", "strokeWidth": 2}, base | {"strokeDash": dash}),
        _layer("points", mark, base | {"shape": shape, "tooltip": TIP}),
    )


def similarity() -> Spec:
    """Similarity of every two layers of one network.

    Data set: cells (a, b, value, tip). Parameter: names, of the rows and columns.
    """
    axis: Spec = {"labelExpr": "names[datum.value]", "labelLimit": 110, "labelOverlap": True}
    axis |= {"ticks": False, "domain": False}
    place = {"type": "ordinal", "title": None}
    x = place | {"field": "a", "axis": axis | {"labelAngle": -90}}
    y = place | {"field": "b", "sort": "descending", "axis": axis | {"grid": False}}
    color = {
        "field": "value", "type": "quantitative", "scale": {"scheme": "cividis", "domain": [0, 1], "clamp": True},
        "legend": {"title": "linear CKA", "orient": "right", "gradientLength": 140},
    }  # fmt: skip
    return _chart(
        300,
        _layer("cells", {"type": "rect"}, {"x": x, "y": y, "color": color, "tooltip": TIP}),
        params=[{"name": "names", "value": []}],
    )


def best_and_last() -> Spec:
    """A score at the best and at the last layer, a row per class or fold.

    Data set: points (name, at, value, tip), rows in the order shown.
    """
    y = {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 130, "grid": True}}
    layers = ["best layer", "last layer"]
    color = {
        "field": "at", "type": "nominal", "title": None, "legend": LEGEND,
        "scale": {"domain": layers, "range": [UNSEEN, style.ORANGE]},
    }  # fmt: skip
    shape = color | {"scale": {"domain": layers, "range": ["circle", "square"]}}
    x: Spec = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False, "padding": 8}}
    x |= {"axis": {"tickCount": 6, "labelOverlap": "greedy", "labelSeparation": 8}}
    return _chart(
        200,
        _layer("points", {"type": "line", "color": "#808080"}, {"x": x, "y": y, "detail": {"field": "name"}}),
        _layer(
            "points", {"type": "point", "filled": True, "size": 75, "opacity": 1},
            {"x": x, "y": y, "color": color, "shape": shape, "tooltip": TIP},
        ),
    )  # fmt: skip


def projection() -> Spec:
    """Embeddings on their first two principal axes, coloured by class.

    Data set: points (label, x, y, tip, whose image is shown on hover).
    """
    scale = {"zero": False, "nice": False, "padding": 10}
    axis: Spec = {"type": "quantitative", "title": None, "axis": None, "scale": scale}
    color: Spec = {"field": "label", "type": "nominal", "title": None, "scale": {"domain": [], "range": []}}
    legend = {"orient": "bottom", "columns": 2, "labelLimit": 140}
    encoding = {
        "x": axis | {"field": "x"}, "y": axis | {"field": "y"}, "color": color | {"legend": legend},
        "shape": color | {"legend": legend}, "tooltip": TIP,
    }  # fmt: skip
    mark = {"type": "point", "filled": True, "size": 60, "opacity": 0.85}
    return _chart(300, _layer("points", mark, encoding), view={"stroke": FAINT})
