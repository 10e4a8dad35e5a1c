"""All networks of a dataset: the main score on unseen classes by layer, the best one ringed, its lead bracketed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.aggregate.figures import style
from stages.aggregate.figures.bands import LIMITS, explain_intervals, interval_scope, limits
from stages.aggregate.figures.frame import framed
from stages.aggregate.figures.layer_axis import number_layers
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.metric_info import Scope, metric_name
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import at_last_step, decimals, place, shorten
from stages.aggregate.words.scopes import SCOPES, level
from stages.shared.embeddings.split_names import UNSEEN

RING: dict[str, Any] = {"marker": "o", "markersize": 9.0, "markerfacecolor": "none", "markeredgewidth": 1.4}

BRACKET = "bracket"
"""The id of a bracket between a network's best layer and its last."""

APART = 0.006
"""How far apart networks stand sideways, as a share of the axis, so that their bars do not hide each other."""


@dataclass(frozen=True)
class Networks:
    """The networks of an overview.

    Attributes:
        rows: main rows of summary.csv, of those that are drawn.
        models: every model of the grid, in order, which fixes its colour and marker.
        aside: networks that are drawn in grey, without bars -> why.
    """

    rows: Sequence[SummaryRow]
    models: Sequence[str]
    aside: Mapping[str, str]

    @property
    def ordered(self) -> list[SummaryRow]:
        """The networks in colour first."""
        return sorted(self.rows, key=lambda row: row.model in self.aside)

    @property
    def shown(self) -> list[SummaryRow]:
        """The networks in colour."""
        return [row for row in self.rows if row.model not in self.aside]

    def look(self, model: str) -> dict[str, Any]:
        """Colour, marker, line style and width of one network's line."""
        own = style.model_style(list(self.models).index(model)) | {"markeredgewidth": 0.0}
        if model in self.aside:
            return own | {"color": style.ASIDE, "linewidth": 0.8, "markersize": 3.0}
        return own | {"linewidth": 1.6, "markersize": 4.4}


def overview_figure(
    points: pd.DataFrame, levels: Mapping[str, float], networks: Networks, averages: style.Averages, message: str
) -> Figure:
    """Draw a line per network.

    Args:
        points: one dataset's rows of depth.csv, of one score, the main pooling and the mean over folds. Bars at the
            best and the last layer are intervals, of other classes if known, else of these; else ± 1 standard
            deviation.
        levels: `raw pixels` and `chance` on unseen classes, those that were measured.
        networks: which, and how they look.
        averages: over how many folds and seeds every value is a mean.
        message: what the figure says.
    """
    unseen = points[points["split"] == UNSEEN]
    scope = interval_scope(unseen)
    legend = [(_handle(networks.look(row.model)), _words(row, networks)) for row in networks.ordered]
    legend += [
        (Line2D([], [], **style.LEVELS[name]), f"{name}, unseen classes: {decimals(height)}")
        for name, height in levels.items()
    ]
    figure = framed(message, _details(unseen, averages, scope, networks), 3.1, legend=legend, columns=1)
    ax = figure.subplots()
    values = [*pd.concat([unseen["value"], *limits(unseen)]).dropna(), *levels.values()]
    style.score_axis(ax, min(values), max(values))
    span = _name_positions(ax, unseen)
    for i, row in enumerate(networks.ordered):
        line = unseen[unseen["model"] == row.model].sort_values("depth")
        line = line.assign(x=line["relative_depth"] * span + APART * span * (i - (len(networks.rows) - 1) / 2))
        _line(ax, line, row, networks, scope)
    for i, row in enumerate(networks.shown):
        _bracket(ax, row, span * (1.03 + 0.025 * i), networks, alone=len(networks.shown) == 1)
    ax.set_xlim(-0.03 * span, span * (1.12 + 0.025 * len(networks.shown)))
    for name, height in levels.items():
        ax.axhline(height, zorder=1, **style.LEVELS[name])
    lower = " (lower is better)" if points.iloc[0]["better"] == "lower" else ""
    ax.set_ylabel(f"{metric_name(str(points.iloc[0]['metric']))} on unseen classes{lower}")
    return figure


def _details(unseen: pd.DataFrame, averages: style.Averages, scope: Scope | None, networks: Networks) -> str:
    parts = [f"{unseen.iloc[0]['dataset']}, {at_last_step(unseen['step'])}; {averages.words()}"]
    bars = "Bars at the best and the last layer"
    if scope is not None:
        parts.append(explain_intervals(unseen, bars))
    elif averages.vary:
        parts.append(f"{bars}: {averages.bars}")
    bounded = [row for row in networks.shown if _bounds(row)]
    if bounded:
        known, row = _bounds(bounded[0]), bounded[0]
        assert known is not None
        sides = f"one-sided bounds{level(row.metric, known)}"
        parts.append(
            f"Brackets: by how much an earlier layer beats the last on the same classes; {sides} {SCOPES[known]}"
        )
    return ". ".join(parts) + "."


def _name_positions(ax: Axes, unseen: pd.DataFrame) -> float:
    """Name the places of layers; returns the width of the axis from the first layer to the last.

    Layers are numbered where all networks have as many, and named where there is one network; else an axis shows
    their position relative to each network's last.
    """
    deepest = unseen.groupby("model")["depth"].max()
    if deepest.nunique() > 1 or deepest.iloc[0] == 0:
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["first layer", "0.25", "0.5", "0.75", "last layer"])
        ax.set_xlabel("position of the layer, relative to each network's last")
        return 1.0
    first = unseen[unseen["model"] == unseen.iloc[0]["model"]].sort_values("depth")
    alone = len(deepest) == 1
    number_layers(ax, [*first["depth"].astype(int)], [*first["layer"]], named=alone)
    ax.set_xlabel(f"layer, from input (1) to output ({deepest.iloc[0] + 1})")
    return float(deepest.iloc[0])


def _line(ax: Axes, line: pd.DataFrame, row: SummaryRow, networks: Networks, scope: Scope | None) -> None:
    look, in_color = networks.look(row.model), row.model not in networks.aside
    ax.plot(line["x"], line["value"], zorder=3 if in_color else 2, **look)
    best, last = (line[line["depth"] == depth].iloc[0] for depth in (row.best_depth, row.last_depth))
    if not in_color:
        return
    ax.plot([best["x"]], [best["value"]], color=look["color"], zorder=5, **RING)
    for point in (best, last):
        bar = _bar(point, scope)
        if bar is not None:
            ax.errorbar(
                point["x"], point["value"], yerr=bar, fmt="none", ecolor=look["color"], elinewidth=1.0, capsize=2.5,
                zorder=4,
            )  # fmt: skip


def _bar(point: "pd.Series[Any]", scope: Scope | None) -> list[list[float]] | None:
    """How far the bar at a point reaches down and up, None for no bar; all bars of a figure show the same."""
    if scope is not None:
        low, high = (point[name] for name in LIMITS[scope])
        known = pd.notna(low) and pd.notna(high)
        return [[max(point["value"] - low, 0.0)], [max(high - point["value"], 0.0)]] if known else None
    return None if pd.isna(point["sd"]) else [[point["sd"]], [point["sd"]]]


def _bracket(ax: Axes, row: SummaryRow, x: float, networks: Networks, *, alone: bool) -> None:
    """Join the heights of a network's best and last layer beside the last one, and say what separates them."""
    if row.last_value is None or row.best_is_last:
        return
    color, arm = networks.look(row.model)["color"], 0.012 * ax.get_xlim()[1]
    ax.plot(
        [x - arm, x, x, x - arm], [row.unseen, row.unseen, row.last_value, row.last_value], color=color,
        linewidth=1.1, gid=BRACKET, zorder=3,
    )  # fmt: skip
    scope = _bounds(row)
    if alone and scope:
        lead = row.lead_bounds(scope)
        assert lead is not None
        ax.annotate(
            _range(lead).replace(" to ", "\nto "), (x, (row.unseen + row.last_value) / 2), xytext=(4, 0),
            textcoords="offset points", va="center", color=style.text_color(color),
        )  # fmt: skip


def _bounds(row: SummaryRow) -> Scope | None:
    """The wider scope in which bounds of a network's lead are known."""
    return next((scope for scope in SCOPES if row.lead_bounds(scope)), None)


def _range(lead: Lead) -> str:
    return f"{decimals(lead.low, sign=True)} to {decimals(lead.high, sign=True)}"


def _handle(look: Mapping[str, Any]) -> Line2D:
    return Line2D([], [], **look)


def _words(row: SummaryRow, networks: Networks) -> str:
    """Name a network, its best layer and by how much that beats the last, or why it is in grey."""
    name = shorten(row.model, 32)
    if row.model in networks.aside:
        return f"{name}, in grey: {networks.aside[row.model]}"
    layer = shorten(row.best_layer.partition("@")[0], 18)
    text = f"{name}: best at layer {place(row.best_depth, row.last_depth)} ({layer}), {decimals(row.unseen)}"
    scope = _bounds(row)
    lead = row.lead_bounds(scope) if scope else None
    return text if lead is None else f"{text}; over the last by {_range(lead)}"
