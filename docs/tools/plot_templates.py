"""The templates of `dvc plots`: a table's rows over all models and datasets, with the colours of the figures.

DVC puts its own rows, columns and titles in the place of the words in angle brackets. Templates are files:

    python -m docs.tools.plot_templates
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.aggregate.charts.theme import COLORS, PRINT, Spec

FOLDER = Path(__file__).parents[2] / ".dvc" / "plots"
X, Y = "<DVC_METRIC_X>", "<DVC_METRIC_Y>"
FURTHER = ("#999933", "#882255", "#44AA99", "#88CCEE", "#DDCC77")
"""Colours of models beyond the figures' palette (Tol's muted and light ones): DVC does not know the grid's models."""
INTERVALS = {"classes": "on other classes", "images": "for these classes"}
MEANS: Spec = {"filter": "datum.fold == 'mean'"}
IN_ORDER: list[Spec] = [
    {"window": [{"op": "row_number", "as": "order"}]},
    {"calculate": "replace(datum.metric, /_/g, ' ')", "as": "metric_name"},
]
"""Scores by name, in the order of the table."""


def templates() -> dict[str, Spec]:
    """Return the specification of every template by its name in dvc.yaml."""
    classes = {"domain": ["unseen", "seen"], "range": [[1, 0], [2, 2]]}
    dash: Spec = {"field": "classes", "type": "nominal", "scale": classes, "legend": {"symbolType": "stroke"}}
    seen = {"calculate": "datum.split == 'test' ? 'seen' : datum.split", "as": "classes"}
    depth = {
        "layer": "",
        "pooling": "",
        "classes": "",
        Y: "score",
        "interval": "",
        "better": "",
        "step": "",
        "rev": "revision",
    }
    steps = {"best_layer": "best layer", "pooling": "", Y: "g unseen", "unseen_fixed": "of the first step's best layer"}
    steps |= {"accuracy": "", X: "step", "rev": "revision"}
    training = {"fold": "", "seed": "", Y: "<DVC_METRIC_Y_LABEL>", X: "step", "rev": "revision"}
    known = {"filter": f"datum['{Y}'] != null && datum['{Y}'] !== ''"}
    return {
        "depth": _template([MEANS, *IN_ORDER, seen, _interval()], depth, ["pooling", "split"], {"strokeDash": dash}),
        "steps": _template([MEANS, *IN_ORDER], steps, ["pooling"]),
        "training": _template([known], training, ["cell"], by_score=False),
    }


def _interval() -> Spec:
    """Write the interval of the wider scope."""
    words = "''"
    for scope, what in reversed(INTERVALS.items()):
        low, high = (f"datum.ci_{scope}_{end}" for end in ("low", "high"))
        text = f"'[' + format({low}, '.3f') + ', ' + format({high}, '.3f') + '] {what}'"
        words = f"isValid({low}) && {low} !== '' ? {text} : {words}"
    return {"calculate": words, "as": "interval"}


def _template(
    transform: Sequence[Spec], tips: Mapping[str, str], detail: Sequence[str], more: Mapping[str, Spec] | None = None,
    *, by_score: bool = True,
) -> Spec:  # fmt: skip
    """A line per model and revision; a column per dataset and a row per score. A click on a model singles it out."""
    colors = [PRINT.get(color, color) for color in COLORS] + list(FURTHER)
    place: Spec = {"type": "quantitative", "field": X, "title": "<DVC_METRIC_X_LABEL>"}
    label = None if by_score else "<DVC_METRIC_Y_LABEL>"
    header = {"labelFontSize": 11, "labelFontWeight": "bold"}
    facet: Spec = {"field": "dataset", "type": "nominal", "title": None, "sort": None, "header": header}
    score = facet | {"field": "metric_name", "sort": {"field": "order", "op": "min"}}
    score |= {"header": header | {"labelAngle": -90, "labelOrient": "left"}}
    encoding = {
        "x": place | {"axis": {"tickMinStep": 1, "format": "d", "grid": False}},
        "y": {"field": Y, "type": "quantitative", "title": label, "scale": {"zero": True}},
        "color": {"field": "model", "type": "nominal", "scale": {"range": colors}, "sort": None},
        "shape": {"field": "rev", "type": "nominal", "title": "revision"},
        "detail": [{"field": field, "type": "nominal"} for field in [*detail, "rev"]],
        "opacity": {"condition": {"param": "chosen", "value": 1}, "value": 0.12},
        "tooltip": [_tip(field, title or field) for field, title in {"model": "", **tips}.items()],
    }
    click = {"name": "chosen", "select": {"type": "point", "fields": ["model"]}, "bind": "legend"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": "<DVC_METRIC_TITLE>", "anchor": "start"},
        "data": {"values": "<DVC_METRIC_DATA>"},
        "transform": list(transform),
        "facet": {"column": facet} | ({"row": score} if by_score else {}),
        "spec": {
            "width": 300,
            "height": 150 if by_score else 200,
            "encoding": encoding | dict(more or {}),
            "layer": [
                {"mark": {"type": "line", "strokeWidth": 1.8}, "params": [click]},
                {"mark": {"type": "point", "filled": True, "size": 22}},
            ],
        },
        "resolve": {"scale": {"y": "independent" if by_score else "shared", "x": "independent"}},
        "config": {"view": {"stroke": None}, "axis": {"gridColor": "#E6E6E6"}, "header": {"labelOrient": "top"}},
    }


def _tip(field: str, title: str) -> Spec:
    number = {Y: ".3f", "unseen_fixed": ".3f", "accuracy": ".3f", X: "d", "step": "d"}.get(field)
    return {"field": field, "title": title} | (
        {"type": "quantitative", "format": number} if number else {"type": "nominal"}
    )


def template_text(spec: Spec) -> str:
    """Write a template, a line for each of its parts."""
    parts = [f" {json.dumps(name)}: {json.dumps(part)}" for name, part in spec.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write the templates."""
    for name, spec in templates().items():
        (FOLDER / f"{name}.json").write_text(template_text(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
