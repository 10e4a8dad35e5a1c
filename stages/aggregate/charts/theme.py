"""How every chart looks: colours, marks and text, in the figures and on the page.

Three colours are those of the text, the ground and the unseen classes, which differ on a dark page: specifications name
them as CSS does, and `PRINT` gives their values on paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

# Okabe and Ito's colours (2008), distinguishable with every common kind of colour blindness.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
TEXT, GROUND, UNSEEN = "currentColor", "var(--ground)", "var(--unseen)"
PRINT = {TEXT: "#222222", GROUND: "#FFFFFF", UNSEEN: BLUE}
SEEN = VERMILION
GREY, SOFT, GRID, LINE, PALE = "#6C6C6C", "#444444", "#80808033", "#808080", "#C0C0C0"
"""Of networks that are set aside, of captions, of the lines of grids and of axes, and of dots that may tie or not."""

SHAPES = (
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross",
    "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z",
)  # fmt: skip
"""A model's shape goes with its colour, so that it is known without colour. The last is a cross on its feet."""
COLORS = (UNSEEN, VERMILION, GREEN, PURPLE, ORANGE, SKY, TEXT)
DASHES = ((1.0, 0.0), (6.0, 3.0), (2.0, 2.0))
"""Models beyond the palette repeat its colours with the next dashes."""
LEVEL_DASHES = {"raw pixels": (5.0, 3.0), "chance": (1.5, 2.0)}
"""Horizontal lines that scores compare with."""

BAND = 0.22
"""Opacity of bands."""
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first ships with vl-convert; the next two have its metrics, so that an SVG file looks alike without it."""
SIZE = 8.0
"""Points of text in a figure."""


@dataclass(frozen=True)
class Look:
    """How one line and its marks look."""

    color: str
    shape: str = "circle"
    dash: Sequence[float] = DASHES[0]

    def sample(self) -> list[Spec]:
        """The line and one of its marks, for a legend."""
        return [
            {"type": "rule", "color": self.color, "strokeDash": list(self.dash), "strokeWidth": 1.5},
            {"type": "point", "filled": True, "opacity": 1, "color": self.color, "shape": self.shape, "size": 28},
        ]


def model_looks(models: Sequence[str]) -> dict[str, Look]:
    """Every model of the grid, in order, which fixes its colour, shape and dashes."""
    n = len(COLORS)
    return {model: Look(COLORS[i % n], SHAPES[i % n], DASHES[i // n % len(DASHES)]) for i, model in enumerate(models)}


def encode_looks(field: str, looks: Mapping[str, Look], legend: Spec | None = None) -> dict[str, Spec]:
    """Encode a field by what its values look like: `color`, `shape` and `strokeDash`, which share one legend."""
    common: Spec = {"field": field, "type": "nominal", "title": None, "legend": legend}
    ranges = {
        "color": [look.color for look in looks.values()],
        "shape": [look.shape for look in looks.values()],
        "strokeDash": [list(look.dash) for look in looks.values()],
    }
    return {name: common | {"scale": {"domain": list(looks), "range": values}} for name, values in ranges.items()}


def layer(data: str, mark: Spec, encoding: Spec, where: str = "") -> Spec:
    """Draw the rows of one data set, those alone for which an expression holds."""
    return {"data": {"name": data}, "mark": mark, "encoding": encoding} | (
        {"transform": [{"filter": where}]} if where else {}
    )


def layer_axis(names: str, angle: float = 0) -> Spec:
    """The x axis of layers: `x` is a place in the list of names that an expression gives.

    Where that is empty, `x` is the layer's position relative to the network's last.
    """
    relative = "datum.value == 0 ? 'first layer' : datum.value == 1 ? 'last layer' : format(datum.value, '.2~f')"
    axis = {
        "values": {"expr": f"length({names}) ? sequence(length({names})) : [0, 0.25, 0.5, 0.75, 1]"},
        "labelExpr": f"length({names}) ? {names}[datum.value] : {relative}",
        "labelOverlap": "parity",
        "labelAngle": angle,
        **({"labelAlign": "right"} if angle else {}),
    }
    scale = {"nice": False, "zero": False, "padding": 8}
    return {"field": "x", "type": "quantitative", "title": None, "axis": axis, "scale": scale}


Y: Spec = {"field": "value", "type": "quantitative", "title": None}


def config(font: str, size: float) -> Spec:
    """Text and axes of every chart, in the colour of the text around them."""
    axis = {"labelColor": TEXT, "titleColor": TEXT, "tickColor": LINE, "domainColor": LINE, "tickWidth": 0.6}
    axis |= {
        "gridColor": GRID,
        "gridWidth": 0.6,
        "labelFontSize": size,
        "titleFontSize": size,
        "titleFontWeight": "normal",
    }
    legend = {"labelColor": TEXT, "titleColor": TEXT, "titleFontWeight": "normal", "symbolSize": 70, "labelLimit": 260}
    return {
        "font": font,
        "background": None,
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False},
        "legend": legend | {"labelFontSize": size, "titleFontSize": size},
        "text": {"color": TEXT, "fontSize": size},
        "title": {"color": TEXT, "anchor": "start"},
    }


def level_layers(color: Spec | None = None) -> list[Spec]:
    """Draw the horizontal lines that scores compare with; data set levels (kind, value, tip)."""
    encoding, rule = {"y": Y, "tooltip": {"field": "tip"}} | (color or {}), {"type": "rule", "color": TEXT}
    marks = {kind: rule | {"opacity": 0.7, "strokeDash": list(dash)} for kind, dash in LEVEL_DASHES.items()}
    return [layer("levels", mark, encoding, f"datum.kind == '{kind}'") for kind, mark in marks.items()]


def line_layers(
    field: str, looks: Mapping[str, Look], x: Spec, legend: Spec | None = None, *, size: float = 32, on: str = "true",
    band: bool = False, ring: bool = False, scale: Spec | None = None,
) -> list[Spec]:  # fmt: skip
    """Draw a line through the points of each value of a field, with bars or a band; ties filled, the best one ringed.

    Data set: points (the field, part, x, value, low, high, tip, and whether it is tied, or the best); `part` breaks
    lines; a point that is not tied is hollow, and grey one of which that is not known (None).

    Args:
        field: a line for each of its values.
        looks: of these.
        x: the horizontal axis.
        legend: of the lines.
        size: of the dots.
        on: an expression: which points stand out, by a thicker line and by all but the dots.
        band: whether low and high are a band.
        ring: whether there is a best point.
        scale: of the vertical axis.
    """
    encoded, y = encode_looks(field, looks, legend), Y | ({"scale": scale} if scale else {})
    color = encoded["color"]
    line: Spec = {"x": x, "y": y, "color": color}
    ends = line | {"y": y | {"field": "low"}, "y2": {"field": "high"}}
    width = {"condition": {"test": on, "value": 1.8}, "value": 0.9}
    path = line | {"strokeDash": encoded["strokeDash"], "strokeWidth": width, "detail": {"field": "part"}}
    bar = {"type": "area", "opacity": BAND} if band else {"type": "rule", "strokeWidth": 1.2}
    fills = {"false": GROUND, "null": PALE}
    tests = [{"test": f"{on} && datum.tied === {tied}", "value": fill} for tied, fill in fills.items()]
    dot = line | {"shape": encoded["shape"], "fill": {"condition": tests} | color, "tooltip": {"field": "tip"}}
    point: Spec = {"type": "point", "opacity": 1}
    rings = [layer("points", point | {"size": 4 * size, "strokeWidth": 1.4}, line, f"{on} && datum.best")]
    return [
        layer("points", bar, ends, f"{on} && isValid(datum.low)"),
        layer("points", {"type": "line"}, path),
        *(rings if ring else []),
        layer("points", point | {"size": size, "strokeWidth": size**0.5 / 3}, dot),
    ]


def dumbbell_layers(row: str, at: str, looks: Mapping[Any, Look], legend: Spec | None = None) -> list[Spec]:
    """Draw a line for each value of a field, from the dot of one look to that of another.

    Data set: points (the two fields, value, tip), rows in the order shown.

    Args:
        row: a row for each of its values.
        at: which dot it is.
        looks: of each dot.
        legend: of the dots.
    """
    y = {"field": row, "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 130, "grid": True}}
    x: Spec = Y | {"scale": {"zero": False, "padding": 8}}
    x |= {"axis": {"tickCount": 6, "labelOverlap": "greedy", "labelSeparation": 8}}
    encoded = encode_looks(at, looks, legend)
    look = {"color": encoded["color"], "shape": encoded["shape"], "tooltip": {"field": "tip", "type": "nominal"}}
    dot = {"type": "point", "filled": True, "size": 75, "opacity": 1}
    return [
        layer("points", {"type": "line", "color": LINE}, {"x": x, "y": y, "detail": {"field": row}}),
        layer("points", dot, {"x": x, "y": y} | look),
    ]
