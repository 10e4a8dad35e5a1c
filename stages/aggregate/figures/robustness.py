"""A score of clean and of corrupted images by layer, beside raw pixels: a row of panels per network of one dataset."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import framed
from stages.aggregate.figures.layer_axis import number_layers
from stages.aggregate.figures.messages import robustness_message
from stages.aggregate.metric_info import metric_name
from stages.aggregate.words.formatting import joined, shorten

SHADES = ("#7DB8E0", style.BLUE, "#00304D")
"""From mild to strong; severities beyond three repeat the strongest."""

CLEAN = style.ORANGE
"""Of images as they are."""

MARKS: dict[str, dict[str, Any]] = {
    "layers": {"marker": "o", "markersize": 3.0, "linestyle": "-", "linewidth": 1.2},
    "pixels": {"marker": "s", "markersize": 4.0, "linestyle": "none"},
    "head": {"marker": "D", "markersize": 3.8, "linestyle": "none"},
}
"""A line over the layers; before it the raw pixels, after it the network's own head."""


def robustness_figure(
    rows: pd.DataFrame, head: pd.DataFrame, averages: style.Averages, aside: Sequence[str] = ()
) -> Figure:
    """Draw the score of clean and of corrupted images against depth; a line per severity.

    Args:
        rows: one dataset's rows of robustness.csv, of one score, of one embedding per depth and of raw pixels (depth
            -1), models in the order of the grid.
        head: the same of the networks' own accuracy; may be empty.
        averages: over how many folds and seeds every value is a mean.
        aside: networks that say little; they are left out, and named.
    """
    aside = [model for model in rows["model"].unique() if model in aside]
    rows, head = (table[~table["model"].isin(aside)] for table in (rows, head))
    models, kinds = list(rows["model"].unique()), list(rows["corruption"].unique())
    figure = framed(
        robustness_message(rows), _details(rows, averages, aside), 1.65 * len(models) + 0.5,
        legend=_legend(rows, head), columns=4,
    )  # fmt: skip
    grid = figure.subplots(len(models), len(kinds), squeeze=False, sharey=True, sharex="row")
    for i, model in enumerate(models):
        for j, kind in enumerate(kinds):
            cell, own = (t[(t["model"] == model) & (t["corruption"] == kind)] for t in (rows, head))
            _panel(grid[i, j], cell, own)
            if i == len(models) - 1:
                grid[i, j].set_xlabel("layer")
        _name_row(grid[i], i, shorten(str(model), 60), kinds if i == 0 else [])
        grid[i, 0].set_ylabel(metric_name(str(rows.iloc[0]["metric"])))
    style.score_axis(grid[0, 0], 0.0, max(pd.concat([t[["value", "clean"]] for t in (rows, head)]).max().max(), 0.1))
    return figure


def _details(rows: pd.DataFrame, averages: style.Averages, aside: Sequence[str]) -> str:
    metric = metric_name(str(rows.iloc[0]["metric"]))
    parts = [
        f"{rows.iloc[0]['dataset']}: {metric} on the same seen test images, fitted on clean ones; {averages.words()}, "
        "no intervals. Layers count from 1 at the input"
    ]
    parts += [f"Left out, since they say little: {joined(list(aside))}"] if aside else []
    return ". ".join(parts) + "."


def _legend(rows: pd.DataFrame, head: pd.DataFrame) -> list[tuple[Any, str]]:
    lines = [(_color(severity), f"severity {severity}") for severity in sorted(rows["severity"].unique())]
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color=color, markeredgewidth=0.0, **MARKS["layers"]), words)
        for color, words in ((CLEAN, "clean images"), *lines)
    ]
    marks = {"pixels": "raw pixels (px)"} if (rows["depth"] == -1).any() else {}
    marks |= {"head": "the network's own head"} if len(head) else {}
    entries += [(Line2D([], [], color=style.BLACK, **MARKS[name]), words) for name, words in marks.items()]
    return [*entries, (Line2D([], [], **style.LEVELS["chance"]), "chance")]


def _panel(ax: Axes, rows: pd.DataFrame, head: pd.DataFrame) -> None:
    layers = rows[rows["depth"] >= 0].drop_duplicates("depth").sort_values("depth")
    deepest, pixels = int(layers["depth"].max()), rows[rows["depth"] == -1]
    parts = [("layers", rows[rows["depth"] >= 0], 0.0), ("pixels", pixels, -0.5), ("head", head, deepest + 2.5)]
    for name, own, at in parts:
        lines = [(CLEAN, "clean", own.drop_duplicates(["layer", "depth"]))]
        lines += [(_color(severity), "value", each) for severity, each in own.groupby("severity")]
        for color, column, line in lines:
            line = line.sort_values("depth")
            x = line["depth"].astype(float) if name == "layers" else [at - (name == "pixels")] * len(line)
            ax.plot(x, line[column], color=color, markeredgewidth=0.0, zorder=3, **MARKS[name])
    ax.axhline(float(rows["chance"].mean()), zorder=1, **style.LEVELS["chance"])
    further = ([(-1.5, "px")] if len(pixels) else []) + ([(deepest + 2.5, "head")] if len(head) else [])
    ax.set_xlim(-2.2 if len(pixels) else -0.6, deepest + (3.6 if len(head) else 0.6))
    depths = [*layers["depth"].astype(int)]
    number_layers(ax, depths, [*layers["layer"]], named=False, further=further, most=5)


def _color(severity: Any) -> str:
    return SHADES[min(int(severity), len(SHADES)) - 1]


def _name_row(axes: Sequence[Axes], index: int, model: str, kinds: Sequence[str]) -> None:
    """Write a network's name over its row, and below it the kind of corruption over every column."""
    for ax, kind in zip(axes, kinds, strict=False):
        ax.set_title(str(kind))
    first = axes[0].get_title(loc="left")
    name = f"{'abcdefghijklmnopqrstuvwxyz'[index % 26]}  {model}"
    axes[0].set_title(f"{name}\n{first}" if first else name)
