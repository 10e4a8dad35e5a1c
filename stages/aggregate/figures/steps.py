"""Generalization and accuracy against training step, a panel per network of a dataset: the paper's second figure."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.figures import style
from stages.aggregate.figures.end_labels import EndLabels, settle
from stages.aggregate.formatting import shorten
from stages.aggregate.metric_info import metric_name

LINES: tuple[tuple[str, str, str, style.Dashes], ...] = (
    ("accuracy", "accuracy", style.ACCURACY, (0, (3, 1.2))),
    ("seen", "g seen", style.SEEN, "-"),
    ("unseen", "g unseen", style.UNSEEN, "-"),
)
MOST_TICKS = 7
"""Steps named on one axis; of more, every second, third, ... one."""

FIXED = ("unseen_fixed", style.FIRST)


def steps_figure(rows: pd.DataFrame, n_seeds: int, best: str = "highest") -> Figure:
    """Draw accuracy, g on seen and on unseen classes, and g unseen of the layer that was best at the first step.

    Args:
        rows: one dataset's rows of steps.csv, of one score and of the main pooling, models in the order of the grid.
        n_seeds: number of seeds behind every mean.
        best: which score of any layer g is, `highest` or `lowest`.
    """
    models = list(rows["model"].unique())
    columns = min(len(models), 3 if len(models) != 4 else 2)
    lines = math.ceil(len(models) / columns)
    figure = Figure(figsize=(4.4 if columns == 1 else style.WIDTH, 1.9 * lines + 0.55))
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    labels = []
    for i, ax in enumerate(grid.flat):
        if i >= len(models):
            ax.set_visible(False)
            continue
        edge = i % columns == columns - 1  # where there is room for names
        labels += _panel(ax, rows[rows["model"] == models[i]], labelled=edge, bottom=i + columns >= len(models))
    _scale(grid.flat[0], rows)
    metric = metric_name(str(rows.iloc[0]["metric"]))
    spread = style.spread_over_seeds(n_seeds, ", bars ± 1 standard deviation (ddof = 1)")
    title = f"{rows.iloc[0]['dataset']} · g: {best} {metric} of any layer · {spread}"
    style.caption(figure, title)
    settle(figure, labels)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, *, labelled: bool, bottom: bool) -> list[EndLabels]:
    rows = rows.sort_values("step")
    labels = EndLabels(ax)
    steps = rows["step"].astype(float)
    width = max(float(steps.max() - steps.min()), 1.0)
    ax.set_xlim(float(steps.min()) - 0.04 * width, float(steps.max()) + 0.04 * width)
    first = rows.iloc[0]["step"]
    ends = [(rows[FIXED[0]].iloc[-1], f"g unseen, layer of step {first}", FIXED[1])] if len(rows) > 1 else []
    if len(rows) > 1:
        _line(ax, rows, FIXED[0], FIXED[1], "-", light=True)
    for column, text, color, dashes in LINES:
        known = rows[rows[column].notna()]
        if len(known):
            _line(ax, known, column, color, dashes)
            ends.append((known[column].iloc[-1], text, color))
    if labelled:
        for y, text, color in ends:
            labels.add(float(y), text, color, x=float(steps.iloc[-1]))
    ax.set_title(shorten(str(rows.iloc[0]["model"]), 30))
    ax.set_xticks(list(steps)[:: math.ceil(len(steps) / MOST_TICKS)])
    if bottom:
        ax.set_xlabel("optimizer step")
    return [labels] if labelled else []


def _line(ax: Axes, rows: pd.DataFrame, column: str, color: str, dashes: style.Dashes, *, light: bool = False) -> None:
    sd = rows[f"{column}_sd"]
    ax.errorbar(
        rows["step"].astype(float), rows[column], yerr=None if light or sd.isna().all() else sd.fillna(0.0),
        color=color, linestyle=dashes, marker="o", markersize=2.2 if light else 3.2, markeredgewidth=0.0,
        linewidth=1.0 if light else 1.5, elinewidth=0.8, capsize=1.5, capthick=0.8, zorder=2 if light else 3,
    )  # fmt: skip


def _scale(ax: Axes, rows: pd.DataFrame) -> None:
    columns = [FIXED[0], *(name for name, *_ in LINES)]
    highest = max((rows[c] + rows[f"{c}_sd"].fillna(0.0)).max() for c in columns if rows[c].notna().any())
    style.score_axis(ax, float(rows[columns].min().min()), float(highest))
