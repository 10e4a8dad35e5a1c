"""The page's charts: the figures' layers without their data, which the page's scripts fill in by the name of a set."""

from collections.abc import Sequence
from typing import Any

from stages.aggregate.charts import theme
from stages.aggregate.charts.datasets import LINE_LOOKS, STEP_AXIS, overview_layers
from stages.aggregate.charts.networks import depth_layers, layer_pair_layers
from stages.aggregate.charts.theme import Look, Spec, encode_looks, layer

TIP: Spec = {"field": "tip", "type": "nominal"}
LEGEND: Spec = {"orient": "bottom"}
STEPS = dict(list(LINE_LOOKS.items())[:3])
"""The lines of steps that the page shows: without the layer of the first step."""
COLUMN: Spec = LEGEND | {"direction": "vertical", "columns": 1}


def page_charts(models: Sequence[str]) -> dict[str, Spec]:
    """Return every chart by name; what it draws is documented at the function that makes its layers.

    Args:
        models: every model of the grid, in order, which fixes its colour, shape and dashes, as in the figures.
    """
    return {
        "overview": _chart(300, overview_layers(theme.model_looks(models), "names", LEGEND), names=[]),
        "depth": _chart(190, depth_layers("names"), names=[], split="unseen"),
        "steps": _chart(290, theme.line_layers("line", STEPS, STEP_AXIS, COLUMN)),  # the legend in it included
        "similarity": _chart(300, layer_pair_layers("names"), names=[]),
        "pairs": _chart(200, best_and_last_layers()),
        "projection": _chart(300, projection_layers()) | {"view": {"stroke": "#80808055"}},
    }


def best_and_last_layers() -> list[Spec]:
    """Draw a score at the best and at the last layer, a row per class or fold.

    Data set: points (name, at, value, tip), rows in the order shown.
    """
    y = {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 130, "grid": True}}
    x: Spec = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False, "padding": 8}}
    x |= {"axis": {"tickCount": 6, "labelOverlap": "greedy", "labelSeparation": 8}}
    encoded = encode_looks("at", {"best layer": Look(theme.UNSEEN), "last layer": Look(theme.ORANGE, "square")}, COLUMN)
    look = {"color": encoded["color"], "shape": encoded["shape"], "tooltip": TIP}
    dot = {"type": "point", "filled": True, "size": 75, "opacity": 1}
    return [
        layer("points", {"type": "line", "color": "#808080"}, {"x": x, "y": y, "detail": {"field": "name"}}),
        layer("points", dot, {"x": x, "y": y} | look),
    ]


def projection_layers() -> list[Spec]:
    """Draw embeddings on their first two principal axes, coloured by class.

    Data set: points (label, x, y, tip, whose image is shown on hover).
    """
    scale = {"domain": [-1, 1], "nice": False, "padding": 10}
    axis: Spec = {"type": "quantitative", "title": None, "axis": None, "scale": scale}
    encoded = encode_looks("label", {}, LEGEND | {"columns": 2, "labelLimit": 140})
    look = {"color": encoded["color"], "shape": encoded["shape"], "tooltip": TIP}
    mark = {"type": "point", "filled": True, "size": 60, "opacity": 0.85}
    return [layer("points", mark, {"x": axis | {"field": "x"}, "y": axis | {"field": "y"}} | look)]


def _chart(height: int, layers: Sequence[Spec], **params: Any) -> Spec:
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": theme.config("system-ui, sans-serif", 11),
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "layer": list(layers),
    }
