"""A score of clean and of corrupted images by layer, beside raw pixels: a row of panels per network of one dataset."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Entry, Words, figure, heading, inner_width, panel, records
from stages.aggregate.charts.theme import Look, Spec, Y, encode_looks, layer
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import shorten
from stages.aggregate.words.scores import metric_name
from stages.shared.tables.metric_table import HEAD

SHADES = ("#7DB8E0", theme.UNSEEN, "#00304D")
"""From mild to strong; severities beyond three repeat the strongest."""
SHOWN = "probe_accuracy"
CLEAN = "clean images"
SHAPES = {"layers": "circle", "pixels": "square", "head": "diamond"}
"""Marks of the layers; before them stand the raw pixels, after them the network's own head."""


def robustness_layers(looks: dict[str, Look], names: str) -> list[Spec]:
    """Draw a line per severity over the layers of one network.

    Data sets: points (line, part, x, value); levels (kind, value).
    """
    x, shapes = theme.layer_axis(names), {"domain": list(SHAPES), "range": list(SHAPES.values())}
    line = {"x": x, "y": Y, "color": encode_looks("line", looks)["color"]}
    shape = {"field": "part", "type": "nominal", "legend": None, "scale": shapes}
    mark = {"type": "point", "filled": True, "size": 16, "opacity": 1}
    return [
        *theme.level_layers(),
        layer("points", {"type": "line", "strokeWidth": 1.2}, line, "datum.part == 'layers'"),
        layer("points", mark, line | {"shape": shape}),
    ]


def robustness(results: Results, models: Sequence[str], findings: DatasetFindings) -> Spec | None:
    """Draw clean and corrupted images by layer; None where nothing was corrupted.

    Args:
        results: of the study.
        models: every model of the grid, in order.
        findings: on the dataset; networks that they leave out of scope are left out.
    """
    order = {model: i for i, model in enumerate(models)}
    rows = results.tables["robustness.csv"].sort_values("model", key=lambda names: names.map(order), kind="stable")
    rows = rows[rows["dataset"] == findings.dataset]
    layers = rows[rows["depth"].notna() & (rows["metric"] == SHOWN)]
    layers = layers[results.scores.on_main_curve(layers)]
    if not (layers["depth"] >= 0).any():
        return None
    aside = [model for model in layers["model"].unique() if model in findings.out_of_scope]
    head = rows[(rows["layer"] == HEAD) & rows["depth"].isna() & ~rows["model"].isin(aside)]
    layers = layers[~layers["model"].isin(aside)]
    score, means = metric_name(SHOWN), words.averages(results.scores).words
    caption = f"{score} on seen classes of {findings.dataset}, {means}; by layer, from input (1) to output."
    text = Words(words.robustness_title(*kept_and_lost(layers)), caption + words.set_aside_words(aside, "Left out"))
    return robustness_figure(layers, head, text, title=score)


def kept_and_lost(rows: pd.DataFrame) -> tuple[tuple[float, float] | None, dict[str, list[int]]]:
    """Return what share of their score the layers keep that are best on clean images, and where raw pixels win.

    Args:
        rows: of robustness.csv, of one score, with those of raw pixels (depth -1).
    """
    layers, keys = rows[rows["depth"] >= 0], ["corruption", "severity"]
    best_of = layers.groupby(keys, sort=False)["value"].max()
    pixels = rows[rows["depth"] == -1].groupby(keys, sort=False)["value"].min()
    lost: dict[str, list[int]] = {}
    for kind, severity in pixels.index:
        if pixels[kind, severity] > best_of.get((kind, severity), np.inf):
            lost.setdefault(kind, []).append(severity)
    best_clean = layers.loc[layers.groupby(["model", *keys])["clean"].idxmax()]
    kept = (best_clean["value"] / best_clean["clean"]).dropna()
    return (None if kept.empty else (kept.min(), kept.max())), lost


def robustness_figure(rows: pd.DataFrame, head: pd.DataFrame, text: Words, *, title: str) -> Spec:
    """Draw the score of clean and of corrupted images against depth.

    Args:
        rows: one dataset's rows of robustness.csv, of one score, of one embedding per depth and of raw pixels (depth
            -1), models in the order of the grid.
        head: the same of the networks' own accuracy; may be empty.
        text: what the figure says.
        title: what the vertical axes are.
    """
    severities, kinds = sorted(rows["severity"].unique()), list(rows["corruption"].unique())
    shades = {f"severity {s}": Look(SHADES[min(i, len(SHADES) - 1)]) for i, s in enumerate(severities)}
    looks = {CLEAN: Look(theme.ORANGE)} | shades
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
    black = theme.PRINT[theme.TEXT]
    legend: list[Entry] = [(name, look.sample()) for name, look in looks.items()]
    marks = {"raw pixels (px)": ("pixels", (rows["depth"] == -1).any()), "the network's own head": ("head", len(head))}
    legend += [(name, [Look(black, SHAPES[part]).sample()[1]]) for name, (part, shown) in marks.items() if shown]
    legend.append(("chance", [theme.level_mark("chance")]))
    return figure(panels, text, columns=len(kinds), legend=legend, per_line=4)


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
