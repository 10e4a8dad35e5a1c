"""Generalization and accuracy against training step, a panel per network of a dataset: the paper's second figure."""

import math
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.aggregate.figures import style
from stages.aggregate.figures.end_labels import EndLabels, settle
from stages.aggregate.formatting import shorten
from stages.aggregate.metric_info import metric_name


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Attributes:
        column: of steps.csv; `<column>_sd` makes its bars.
        text: its label.
        light: thin, without bars, and only where there are several steps.
    """

    column: str
    text: str
    color: str
    dashes: style.Dashes = "-"
    light: bool = False


LINES = (
    Line("unseen_fixed", "g unseen, layer of the first step", style.FIRST, light=True),
    Line("accuracy", "accuracy", style.ACCURACY, (0, (3, 1.2))),
    Line("seen", "g seen", style.SEEN),
    Line("unseen", "g unseen", style.UNSEEN),
)

MOST_TICKS = 7
"""Steps named on one axis; of more, every second, third, ... one."""


def steps_figure(rows: pd.DataFrame, averages: style.Averages, best: str = "highest") -> Figure:
    """Draw accuracy, g on seen and on unseen classes, and g unseen of the layer that was best at the first step.

    Args:
        rows: one dataset's rows of steps.csv, of one score, the main pooling and the mean over folds, models in the
            order of the grid.
        averages: over how many folds and seeds every value is a mean.
        best: which score of any layer g is, `highest` or `lowest`.
    """
    networks = {str(model): own.sort_values("step") for model, own in rows.groupby("model", sort=False)}
    columns = min(len(networks), 3 if len(networks) != 4 else 2)
    lines = math.ceil(len(networks) / columns)
    figure = Figure(figsize=(4.4 if columns == 1 else style.WIDTH, 1.9 * lines + 0.55))
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    alike = len({_lines(own) for own in networks.values()}) == 1
    labels = []
    for i, (ax, (model, own)) in enumerate(zip(grid.flat, networks.items(), strict=False)):
        labels.append(EndLabels(ax, shown=alike and i % columns == columns - 1))  # where there is room for names
        _draw_panel(ax, labels[-1], own, rows["step"].astype(float), xlabel=i + columns >= len(networks))
        ax.set_title(shorten(model, 30))
    for ax in list(grid.flat)[len(networks) :]:
        ax.set_visible(False)
    _scale(grid.flat[0], rows)
    spread = averages.words(f", bars {averages.bars}")
    metric = metric_name(str(rows.iloc[0]["metric"]))
    style.caption(figure, f"{rows.iloc[0]['dataset']} · g: {best} {metric} of any layer · {spread}")
    if not alike:
        handles = [Line2D([], [], color=li.color, linestyle=li.dashes, label=li.text) for li in reversed(LINES)]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    settle(figure, labels)
    return figure


def _lines(own: pd.DataFrame) -> tuple[Line, ...]:
    """The lines that one network has."""
    return tuple(li for li in LINES if own[li.column].notna().any() and (len(own) > 1 or not li.light))


def _draw_panel(ax: Axes, labels: EndLabels, own: pd.DataFrame, steps: pd.Series, *, xlabel: bool) -> None:
    """Draw one network; `steps` are those of all, which the panels have in common."""
    margin = 0.04 * max(float(steps.max() - steps.min()), 1.0)
    ax.set_xlim(float(steps.min()) - margin, float(steps.max()) + margin)
    for line in _lines(own):
        known = own[own[line.column].notna()]
        x, y, sd = known["step"].astype(float), known[line.column], known[f"{line.column}_sd"]
        ax.errorbar(
            x, y, yerr=None if line.light or sd.isna().all() else sd.fillna(0.0), color=line.color, marker="o",
            linestyle=line.dashes, markersize=2.2 if line.light else 3.2, markeredgewidth=0.0, elinewidth=0.8,
            linewidth=1.0 if line.light else 1.5, capsize=1.5, capthick=0.8, zorder=2 if line.light else 3,
        )  # fmt: skip
        labels.add(float(y.iloc[-1]), line.text, line.color, x=float(x.iloc[-1]))
    ticks = sorted(steps.unique())
    ax.set_xticks(ticks[:: math.ceil(len(ticks) / MOST_TICKS)])
    if xlabel:
        ax.set_xlabel("optimizer step")


def _scale(ax: Axes, rows: pd.DataFrame) -> None:
    shown = [line.column for line in LINES if rows[line.column].notna().any()]
    highest = max((rows[column] + rows[f"{column}_sd"].fillna(0.0)).max() for column in shown)
    style.score_axis(ax, float(rows[shown].min().min()), float(highest))
