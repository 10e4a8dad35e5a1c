"""Generalization and accuracy against training step, a panel per network of a dataset: the paper's second figure."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import framed, head
from stages.aggregate.metric_info import metric_name
from stages.aggregate.words.formatting import joined, shorten


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Attributes:
        column: of steps.csv; `<column>_sd` makes its bars.
        text: its words in the legend.
        light: thin, without bars, and only where there are several steps at which it is not the line of `unseen`.
    """

    column: str
    text: str
    color: str
    dashes: style.Dashes = "-"
    light: bool = False

    @property
    def look(self) -> dict[str, Any]:
        """How it is drawn."""
        size, width = (2.4, 1.0) if self.light else (3.6, 1.5)
        own: dict[str, Any] = {"color": self.color, "linestyle": self.dashes, "linewidth": width, "marker": "o"}
        return own | {"markersize": size, "markeredgewidth": 0.0}


LINES = (
    Line("unseen_fixed", "g, unseen: layer of the first step", style.FIRST, light=True),
    Line("accuracy", "accuracy, seen classes", style.ACCURACY, (0, (3, 1.2))),
    Line("seen", "g, seen classes", style.SEEN),
    Line("unseen", "g, unseen classes", style.UNSEEN),
)

MOST_TICKS = 6
"""Steps named on one axis; of more, every second, third, ... one."""


def steps_figure(
    rows: pd.DataFrame, averages: style.Averages, message: str, *, best: str = "highest", aside: Collection[str] = ()
) -> Figure:
    """Draw accuracy, g on seen and on unseen classes, and g unseen of the layer that was best at the first step.

    Args:
        rows: one dataset's rows of steps.csv, of one score, the main pooling and the mean over folds, models in the
            order of the grid.
        averages: over how many folds and seeds every value is a mean.
        message: what the figure says.
        best: which score of any layer g is, `highest` or `lowest`.
        aside: networks that say little and that the message leaves out; they come last, and are named.
    """
    networks = {str(model): own.sort_values("step") for model, own in rows.groupby("model", sort=False)}
    networks = {model: networks[model] for model in sorted(networks, key=lambda model: model in aside)}
    columns = min(len(networks), 3 if len(networks) != 4 else 2)
    lines = math.ceil(len(networks) / columns)
    used = [line for line in reversed(LINES) if any(line in _lines(own) for own in networks.values())]
    metric = metric_name(str(rows.iloc[0]["metric"]))
    spread = averages.words(f", bars {averages.bars}")
    notes = _stays(networks, used) + _left_out(networks, aside)
    figure = framed(
        message,
        f"{rows.iloc[0]['dataset']}; {spread}. g: {best} {metric} of any layer.{notes}",
        (1.95 if columns > 1 else 2.4) * lines + 0.1,
        legend=[(Line2D([], [], **line.look), line.text) for line in used],
        columns=2,
    )
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for i, (ax, (model, own)) in enumerate(zip(grid.flat, networks.items(), strict=False)):
        _draw_panel(ax, own, rows["step"].astype(float))
        head(ax, i, len(networks), shorten(model, 30), style.BLACK)
        if i % columns == 0:
            ax.set_ylabel(f"accuracy, g ({metric})")
    for ax in list(grid.flat)[len(networks) :]:
        ax.set_visible(False)
    _scale(grid.flat[0], rows)
    return figure


def _left_out(networks: Collection[str], aside: Collection[str]) -> str:
    names = [model for model in networks if model in aside]
    return f" Not counted above, since they say little: {joined(names)}." if names else ""


def _stays(networks: Mapping[str, pd.DataFrame], used: Collection[Line]) -> str:
    """Say where the light line is, if it is left out since it would lie below another."""
    if not any(len(own) > 1 and _same(own) for own in networks.values()):
        return ""
    where = "Without a light line: the" if any(line.light for line in used) else "The"
    return f" {where} layer that is best at the first step stays the best."


def _same(own: pd.DataFrame) -> bool:
    """Whether the layer that was best at the first step is the best at every step."""
    return bool((own["unseen_fixed"].isna() | (own["unseen_fixed"] == own["unseen"])).all())


def _lines(own: pd.DataFrame) -> tuple[Line, ...]:
    """The lines that one network has."""
    light = len(own) > 1 and not _same(own)
    return tuple(line for line in LINES if own[line.column].notna().any() and (light or not line.light))


def _draw_panel(ax: Axes, own: pd.DataFrame, steps: pd.Series) -> None:
    """Draw one network; `steps` are those of all, which the panels have in common."""
    margin = 0.04 * max(float(steps.max() - steps.min()), 1.0)
    ax.set_xlim(float(steps.min()) - margin, float(steps.max()) + margin)
    for line in _lines(own):
        known = own[own[line.column].notna()]
        x, y, sd = known["step"].astype(float), known[line.column], known[f"{line.column}_sd"]
        errors = None if line.light or sd.isna().all() else sd.fillna(0.0)
        ax.errorbar(
            x, y, yerr=errors, elinewidth=0.8, capsize=1.5, capthick=0.8, zorder=2 if line.light else 3, **line.look
        )
    ticks = sorted(steps.unique())
    ax.set_xticks(ticks[:: math.ceil(len(ticks) / MOST_TICKS)])
    ax.tick_params(labelleft=True)
    ax.set_xlabel("optimizer step")


def _scale(ax: Axes, rows: pd.DataFrame) -> None:
    shown = [line.column for line in LINES if rows[line.column].notna().any()]
    highest = max((rows[column] + rows[f"{column}_sd"].fillna(0.0)).max() for column in shown)
    style.score_axis(ax, float(rows[shown].min().min()), float(highest))
