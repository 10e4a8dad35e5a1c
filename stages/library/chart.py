"""The figure of a result, as a specification of Vega-Lite."""

from typing import Any

import pandas as pd

BLUE = "#0072B2"


def layers_chart(curve: pd.DataFrame, metric: str, title: str, scope: str | None) -> dict[str, Any]:
    """Specify a line of one score against the layers, with intervals where there are any; the named layer is filled."""
    values, ends = curve, [name for name in ("low", "high") if name in curve]
    x = {"field": "layer", "type": "nominal", "sort": None, "title": "layer, from input to output"}
    y = {"type": "quantitative", "scale": {"zero": False}, "title": f"{metric} on unseen classes"}
    fill = {"condition": {"test": "datum.named", "value": BLUE}, "value": "white"}
    tooltip = [
        {"field": name, "format": ".3f"} if name != "layer" else {"field": name} for name in ("layer", "value", *ends)
    ]
    intervals = {
        "mark": {"type": "rule", "color": BLUE},
        "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
    }
    points = {"mark": {"type": "point", "size": 60, "color": BLUE, "opacity": 1}}
    points |= {"encoding": {"y": y | {"field": "value"}, "fill": fill, "tooltip": tooltip}}
    line = {"mark": {"type": "line", "color": BLUE}, "encoding": {"y": y | {"field": "value"}}}
    over = f"; 95% intervals over {scope}" if ends else ""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title + over,
        "width": 420,
        "height": 220,
        "data": {"values": values.astype(object).where(values.notna(), None).to_dict("records")},
        "encoding": {"x": x},
        "layer": [*([intervals] if ends else []), line, points],
    }
