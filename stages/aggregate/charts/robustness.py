"""A score of clean and of corrupted images by layer, beside raw pixels: a row of panels per network of one dataset."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from stages.aggregate.charts.frame import Entry, Words, figure, heading, inner_width, panel, records
from stages.aggregate.charts.theme import (
    ORANGE,
    PRINT,
    TEXT,
    UNSEEN,
    Look,
    Spec,
    Y,
    encode_looks,
    layer,
    layer_axis,
    level_layers,
    level_mark,
)  # fmt: skip
from stages.aggregate.words.formatting import shorten

SHADES = ("#7DB8E0", UNSEEN, "#00304D")
"""From mild to strong; severities beyond three repeat the strongest."""
CLEAN = "clean images"
SHAPES = {"layers": "circle", "pixels": "square", "head": "diamond"}
"""Marks of the layers; before them stand the raw pixels, after them the network's own head."""


def robustness_layers(looks: dict[str, Look], names: str) -> list[Spec]:
    """Draw a line per severity over the layers of one network.

    Data sets: points (line, part, x, value); levels (kind, value).
    """
    x, shapes = layer_axis(names), {"domain": list(SHAPES), "range": list(SHAPES.values())}
    line = {"x": x, "y": Y, "color": encode_looks("line", looks)["color"]}
    shape = {"field": "part", "type": "nominal", "legend": None, "scale": shapes}
    mark = {"type": "point", "filled": True, "size": 16, "opacity": 1}
    return [
        *level_layers(),
        layer("points", {"type": "line", "strokeWidth": 1.2}, line, "datum.part == 'layers'"),
        layer("points", mark, line | {"shape": shape}),
    ]


def robustness_figure(rows: pd.DataFrame, head: pd.DataFrame, words: Words, *, title: str) -> Spec:
    """Draw the score of clean and of corrupted images against depth.

    Args:
        rows: one dataset's rows of robustness.csv, of one score, of one embedding per depth and of raw pixels (depth
            -1), models in the order of the grid.
        head: the same of the networks' own accuracy; may be empty.
        words: what the figure says.
        title: what the vertical axes are.
    """
    severities, kinds = sorted(rows["severity"].unique()), list(rows["corruption"].unique())
    shades = {f"severity {s}": Look(SHADES[min(i, len(SHADES) - 1)]) for i, s in enumerate(severities)}
    looks = {CLEAN: Look(ORANGE)} | shades
    top = max(float(table[["value", "clean"]].max().max()) for table in (rows, head) if len(table))
    panels = []
    for i, (model, own) in enumerate(rows.groupby("model", sort=False)):
        further = head[head["model"] == model]
        for kind in kinds:
            points = list(_points(own[own["corruption"] == kind], further[further["corruption"] == kind]))
            names = [str(n) for n in range(1, int(own["depth"].max()) + 2)]
            names = [*(["px"] if (own["depth"] == -1).any() else []), *names, *(["head"] if len(further) else [])]
            levels = [{"kind": "chance", "value": float(own["chance"].mean())}]
            layers = robustness_layers(looks, str(names))
            for part in layers:
                part["encoding"]["y"] = Y | {"scale": {"domain": [0, max(top, 0.1)], "nice": True}}
            head_of = (
                heading(i, 2, f"{shorten(str(model), 60)}: {title}", kind)
                if kind == kinds[0]
                else heading(i, 1, "", kind)
            )
            size = (inner_width(len(kinds)), 84)
            panels.append(panel(layers, {"points": points, "levels": levels}, size, head_of))
    black = PRINT[TEXT]
    legend: list[Entry] = [(name, look.sample()) for name, look in looks.items()]
    marks = {"raw pixels (px)": ("pixels", (rows["depth"] == -1).any()), "the network's own head": ("head", len(head))}
    legend += [(name, [Look(black, SHAPES[part]).sample()[1]]) for name, (part, shown) in marks.items() if shown]
    legend.append(("chance", [level_mark("chance")]))
    return figure(panels, words, columns=len(kinds), legend=legend, per_line=4)


def _points(rows: pd.DataFrame, head: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """One panel's points: clean once, then every severity."""
    first = int(rows["depth"].min())
    for part, table in (("pixels", rows[rows["depth"] == -1]), ("layers", rows[rows["depth"] >= 0]), ("head", head)):
        for row in records(table.drop_duplicates(["layer", "depth"]), ["depth", "clean"]):
            yield {"line": CLEAN, "part": part, "x": _place(row, part, rows) - first, "value": row["clean"]}
        for row in records(table, ["depth", "severity", "value"]):
            line = f"severity {row['severity']}"
            yield {"line": line, "part": part, "x": _place(row, part, rows) - first, "value": row["value"]}


def _place(row: dict[str, Any], part: str, rows: pd.DataFrame) -> int:
    return int(rows["depth"].max()) + 1 if part == "head" else int(row["depth"])
