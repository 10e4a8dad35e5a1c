"""How much of a score each layer keeps when images are corrupted: a row of panels per network of one dataset."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.figures import style
from stages.aggregate.figures.end_labels import EndLabels, settle
from stages.aggregate.formatting import short_names, shorten
from stages.aggregate.metric_info import metric_name
from stages.shared.metric_table import HEAD

SHADES = ("#8DC3E8", style.BLUE, "#00304D")
"""From mild to strong; severities beyond three repeat the strongest."""

NEAR_CHANCE = 2.0
"""A clean score of less than so many times chance says little, and what of it is left says less."""

MOST_NAMES = 14
"""Layer names under one panel; deeper networks show every second, third, ... name."""


def robustness_figure(rows: pd.DataFrame, head: pd.DataFrame, averages: style.Averages) -> Figure:
    """Draw the score on corrupted images relative to clean ones, against depth; a line per severity.

    Args:
        rows: one dataset's rows of robustness.csv, of one score and of one embedding per depth, models in the order of
            the grid.
        head: the same of the networks' own accuracy, drawn as a diamond after the last layer; may be empty.
        averages: over how many folds and seeds every value is a mean.
    """
    models, kinds = list(rows["model"].unique()), list(rows["corruption"].unique())
    severities = sorted(rows["severity"].unique())
    figure = Figure(figsize=(style.WIDTH, 1.55 * len(models) + 1.0))
    grid = figure.subplots(len(models), len(kinds), squeeze=False, sharey=True, sharex="row")
    labels = []
    for i, model in enumerate(models):
        for j, kind in enumerate(kinds):
            cell, own = (t[(t["model"] == model) & (t["corruption"] == kind)] for t in (rows, head))
            end = _panel(grid[i, j], cell, own, severities, labelled=i == 0 and j == len(kinds) - 1)
            labels.append(end)
            if i == 0:
                grid[i, j].set_title(str(kind))
        grid[i, 0].set_ylabel(shorten(str(model), 26))
    faint = pd.concat([_near_chance(rows), _near_chance(head)])
    _scale(grid[0, 0], pd.concat([rows["relative"], head["relative"]])[~faint])
    metric = metric_name(str(rows.iloc[0]["metric"]))
    own = " · diamonds: the network's own accuracy" if len(head) else ""
    own += f" · hollow: the clean score is below {NEAR_CHANCE:.0f} times chance" if faint.any() else ""
    what = f"{rows.iloc[0]['dataset']} · {metric} on corrupted seen images relative to clean ones"
    style.caption(figure, f"{what} · {averages.words()}{own}")
    settle(figure, labels)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, head: pd.DataFrame, severities: list[int], *, labelled: bool) -> EndLabels:
    deepest = int(rows["depth"].max())
    beyond = deepest + 1 if len(head) else deepest
    ax.set_xlim(-0.4, beyond + 0.4)
    labels = EndLabels(ax, shown=labelled)
    ax.axhline(1.0, color=style.CHANCE, linewidth=0.6, zorder=1)
    for i, severity in enumerate(severities):
        color = SHADES[min(i, len(SHADES) - 1)]
        line = rows[rows["severity"] == severity].sort_values("depth")
        _markers(ax, line["depth"].astype(float), line, color, marker="o", markersize=2.6, linestyle="-")
        own = head[head["severity"] == severity]
        _markers(ax, pd.Series(float(beyond), own.index), own, color, marker="D", markersize=3.2, linestyle="none")
        ends = own["relative"] if len(own) else line["relative"]
        if len(ends):
            labels.add(float(ends.iloc[-1]), f"severity {severity}", color, x=float(beyond))
    _name_layers(ax, rows, [(beyond, HEAD)] if len(head) else [])
    return labels


def _markers(ax: Axes, x: pd.Series, rows: pd.DataFrame, color: str, **style_of_line: Any) -> None:
    """Draw a line, and beside it hollow markers where the clean score is near chance."""
    faint, hollow = _near_chance(rows), style_of_line | {"linestyle": "none"}
    ax.plot(x, rows["relative"].mask(faint), color=color, markeredgewidth=0.0, **style_of_line)
    if faint.any():
        ax.plot(x[faint], rows["relative"][faint], color=color, markerfacecolor="white", markeredgewidth=0.6, **hollow)


def _near_chance(rows: pd.DataFrame) -> "pd.Series[bool]":
    return rows["value"] / rows["relative"] < NEAR_CHANCE * rows["chance"]


def _name_layers(ax: Axes, rows: pd.DataFrame, further: list[tuple[int, str]]) -> None:
    names = rows.drop_duplicates("depth").sort_values("depth")
    ticks = [*zip(names["depth"].astype(int), short_names(names["layer"], 12), strict=True)]
    ticks = [*ticks[:: math.ceil(len(ticks) / MOST_NAMES)], *further]
    ax.set_xticks([depth for depth, _ in ticks], [name for _, name in ticks])
    style.tilt_names(ax, 99)


def _scale(ax: Axes, values: pd.Series) -> None:
    """From 0 to the highest of these values; others may lie outside."""
    known = [1.0, *values[np.isfinite(values.astype(float))]]  # relative to a clean score of 0 it is undefined
    style.score_axis(ax, min(known), max(known))
