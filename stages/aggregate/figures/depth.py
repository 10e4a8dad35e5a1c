"""Every score against depth, for one network on one dataset: the paper's third figure."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stages.aggregate.curves import CURVE, MEAN, Scores
from stages.aggregate.figures import style
from stages.aggregate.figures.bands import draw_band, explain_intervals, has_ties, interval_scope, limits, tied
from stages.aggregate.figures.end_labels import EndLabels, settle
from stages.aggregate.formatting import consecutive, place, short_names
from stages.aggregate.metric_info import metric_name
from stages.aggregate.points import Row, baseline_at, best, last_measured
from stages.shared.split_names import SEEN, UNSEEN

MOST_LABELLED = 6
"""Panels up to which every line is labelled at its end; more are drawn small and share one legend."""

MOST_LABELS = 26
"""Layer names on one axis; deeper networks show every second, third, ... name."""

TIED, FOLD = "tied", "fold"
"""The ids of the pieces of the axis under the layers that tie with the best, and of the lines of single folds."""

SPLIT_LOOKS = {UNSEEN: (style.UNSEEN, "unseen"), SEEN: (style.SEEN, "seen")}
"""Colour and name of each split: a line of chance or of raw pixels belongs to one of them."""

FOLD_LINE: dict[str, Any] = {"color": style.UNSEEN, "alpha": 0.4, "linewidth": 0.6}


def depth_figure(scores: Scores, curves: Sequence[pd.DataFrame]) -> Figure:
    """Draw a panel per score: seen and unseen at the last step, unseen at the first, raw pixels, chance, best layers.

    Args:
        scores: everything that was measured; for the baseline and the single folds.
        curves: the means over folds of one dataset, model and pooling, one per score. Bands show their intervals,
            thick pieces of the axis the layers that are not distinguishable from the best, where they have them;
            thin lines are single folds, if there are several.
    """
    narrow = len(curves) > MOST_LABELLED
    columns = 3 if narrow else 1 if len(curves) in (1, 3) else 2
    rows = math.ceil(len(curves) / columns)
    height = 1.5 * rows + 1.3 if narrow else 2.15 * rows + 0.9
    figure = Figure(figsize=(4.6 if columns == 1 else style.WIDTH, height))
    grid = figure.subplots(rows, columns, squeeze=False)
    labels, step = [], max(int(curve["step"].max()) for curve in curves)
    for i, ax in enumerate(grid.flat):
        if i >= len(curves):
            ax.set_visible(False)
            continue
        labels.append(_panel(ax, scores, curves[i], step, narrow=narrow))
        lowest = i // columns == rows - 1 if narrow else i + columns >= len(curves)
        _name_layers(ax, curves[i], shown=lowest)
    points = pd.concat(curves)
    style.caption(figure, _caption(points, step, scores))
    if narrow:
        figure.legend(
            handles=_legend(points, scores), loc="outside lower center", ncols=7, columnspacing=1.5, frameon=False
        )
    settle(figure, labels)
    return figure


def _caption(points: pd.DataFrame, step: int, scores: Scores) -> str:
    name, averages = points.iloc[0], style.Averages(len(scores.folds), scores.n_seeds)
    several = averages.n_folds > 1
    parts = [name["dataset"], name["model"], f"step {step}", f"pooling {name['pooling']}"]
    parts.append(averages.words("" if several else f", bars {averages.bars}"))
    parts += ["thin lines: single folds"] if several else []
    parts += [bands] if (bands := explain_intervals(points, "bands")) else []
    parts += ["thick axis: layers not distinguishable from the best"] if has_ties(points) else []
    return " · ".join(parts)


def _legend(points: pd.DataFrame, scores: Scores) -> list[Any]:
    steps = points.loc[points["split"] == UNSEEN, "step"]
    line: dict[str, Any] = {"marker": "o", "markersize": 3.2, "markeredgewidth": 0.0}
    handles: list[Any] = [
        Line2D([], [], color=style.UNSEEN, label="unseen", **line),
        Line2D([], [], color=style.SEEN, label="seen", **line),
    ]
    if steps.nunique() > 1:
        line["markersize"] = 2.2
        handles.append(Line2D([], [], color=style.FIRST, label=f"unseen, step {steps.min()}", **line))
    handles += [Line2D([], [], label=text, **look) for text, look in style.LEVELS.items()]
    if len(scores.folds) > 1:
        handles.append(Line2D([], [], label="single folds", **FOLD_LINE))
    if interval_scope(points):
        handles.append(Patch(color=style.UNSEEN, alpha=style.BAND_ALPHA, linewidth=0.0, label="interval"))
    return handles


def _panel(ax: Axes, scores: Scores, curve: pd.DataFrame, step: int, *, narrow: bool) -> EndLabels:
    """Draw one score: seen and unseen at its last step, unseen at its first, raw pixels, chance, the best layers.

    The step is the figure's, named in the title if this score was last measured at another; lines are labelled unless
    the panel is too narrow for that.
    """
    unseen = curve[curve["split"] == UNSEEN]
    first, last = int(unseen["step"].min()), int(unseen["step"].max())
    levels, folds = {s: levels_of(scores, curve, s) for s in SPLIT_LOOKS}, _single_folds(scores, curve, last)
    bars = len(scores.folds) == 1
    _set_limits(ax, curve, folds, [first, last], [v for own in levels.values() for v in own.values()], bars=bars)
    labels = EndLabels(ax, shown=not narrow)
    if first != last:
        _draw(ax, labels, _at_step(curve, UNSEEN, first), style.FIRST, f"unseen, step {first}", light=True)
    for _, fold in folds.groupby("fold", sort=False):
        ax.plot(fold["depth"].astype(float), fold["value"], zorder=2, gid=FOLD, **FOLD_LINE)
    _draw(ax, labels, _at_step(curve, SEEN, last), style.SEEN, "seen", bars=bars)
    _draw(ax, labels, _at_step(curve, UNSEEN, last), style.UNSEEN, "unseen", bars=bars)
    for split, (color, words) in SPLIT_LOOKS.items():
        labels.add_levels(levels[split], color=color, of=f", {words}" if len(levels[SEEN]) else "")
    _mark_ties(ax, _at_step(curve, UNSEEN, last))
    _write_titles(ax, curve, last, f" at step {last}" if last != step else "", narrow=narrow)
    return labels


def levels_of(scores: Scores, curve: pd.DataFrame, split: str) -> dict[str, float]:
    """What a curve's scores of one split at its last step compare with, where known: raw pixels, chance over layers."""
    step, points = last_measured(curve), curve[curve["split"] == split]
    levels = {
        "raw pixels": baseline_at(scores, curve, split, step),
        "chance": float(points.loc[points["step"] == step, "chance"].mean()),
    }
    return {name: level for name, level in levels.items() if level is not None and pd.notna(level)}


def _single_folds(scores: Scores, curve: pd.DataFrame, step: int) -> pd.DataFrame:
    """The unseen points of the same curve on single folds, at one step; none where there is one fold alone."""
    points, name = scores.curves, curve.iloc[0]
    if len(scores.folds) == 1:
        return points.head(0)
    own = np.logical_and.reduce([points[key] == name[key] for key in CURVE if key != "fold"])
    rows: pd.DataFrame = points[own & (points["fold"] != MEAN) & (points["split"] == UNSEEN) & (points["step"] == step)]
    return rows.sort_values(["fold", "depth"])


def _at_step(curve: pd.DataFrame, split: str, step: int) -> pd.DataFrame:
    """One split's points at one step, by depth."""
    return curve[(curve["split"] == split) & (curve["step"] == step)].sort_values("depth")


def _name_layers(ax: Axes, curve: pd.DataFrame, *, shown: bool) -> None:
    """Put a tick at every layer, and its name if `shown`."""
    names = curve.drop_duplicates("depth").sort_values("depth")
    stride = math.ceil(len(names) / MOST_LABELS)
    depths = [int(d) for d in names["depth"]]
    ax.set_xticks(depths[::stride], short_names(names["layer"])[::stride] if shown else [""] * len(depths[::stride]))
    if shown:
        style.tilt_names(ax, len(depths))
        ax.set_xlabel("layer, from input to output")


def _draw(
    ax: Axes, labels: EndLabels, line: pd.DataFrame, color: str, text: str, *, bars: bool = False, light: bool = False
) -> None:
    if line.empty:
        return
    x, y = line["depth"].astype(float), line["value"].astype(float)
    errors = line["sd"].fillna(0.0) if bars and line["sd"].notna().any() else None
    ax.errorbar(
        x, y, yerr=errors, color=color, marker="o", markersize=2.2 if light else 3.2, linewidth=1.0 if light else 1.5,
        elinewidth=0.8, capsize=1.5, capthick=0.8, markeredgewidth=0.0, zorder=2 if light else 3,
    )  # fmt: skip
    if not light:
        draw_band(ax, x, *limits(line), color)
    labels.add(float(y.iloc[-1]), text, color, x=float(x.iloc[-1]))


def _write_titles(ax: Axes, curve: pd.DataFrame, step: int, at: str, *, narrow: bool) -> None:
    """Name the score, say which direction is better, and ring and name the best layer, if there is one."""
    ax.set_title(metric_name(str(curve.iloc[0]["metric"])) + at, pad=style.TEXT + 8)
    better, point = str(curve.iloc[0]["better"]), best(curve, UNSEEN, step)
    if better == "neither":
        words = "neither high nor low is better"
    elif point is None:
        words = "undefined on unseen classes"
    else:
        where = f"{_ring(ax, curve, point, narrow=narrow)}, {point['value']:.2f}"
        lower = better == "lower"
        if narrow:
            words = f"{'lower is better' if lower else 'best'}: {where}"
        else:
            words = f"{'lower is better; ' if lower else ''}best on unseen: layer {where}"
    text = ax.annotate(
        words, (0, 1), xytext=(0, 4), textcoords="offset points", xycoords="axes fraction", color=style.UNSEEN
    )
    text.set_in_layout(False)  # a panel is no narrower for it


def _ring(ax: Axes, curve: pd.DataFrame, point: Row, *, narrow: bool) -> str:
    """Ring one point of the unseen curve; returns its layer's number and short name."""
    depth, value = int(point["depth"]), float(point["value"])
    ax.plot([depth], [value], "o", markersize=7.5, markerfacecolor="none", markeredgecolor=style.UNSEEN, zorder=4)
    points = _at_step(curve, UNSEEN, int(point["step"]))
    names = dict(zip(points["layer"], short_names(points["layer"], 12 if narrow else 18), strict=True))
    return f"{place(depth, int(points['depth'].max()))} ({names[point['layer']]})"


def _mark_ties(ax: Axes, line: pd.DataFrame) -> None:
    """Thicken the axis under the layers that are not distinguishable from the best."""
    kept = line.loc[tied(line), "depth"]
    for run in consecutive(int(depth) for depth in kept):
        ax.plot(
            [run[0] - 0.5, run[-1] + 0.5], [0, 0], transform=ax.get_xaxis_transform(), color=style.UNSEEN,
            linewidth=3.0, solid_capstyle="butt", zorder=5, gid=TIED, scalex=False, scaley=False,
        )  # fmt: skip


def _set_limits(
    ax: Axes, curve: pd.DataFrame, folds: pd.DataFrame, steps: list[int], levels: list[float], *, bars: bool
) -> None:
    points = curve[curve["step"].isin(steps) & curve["split"].isin([SEEN, UNSEEN])]
    sd = points["sd"].fillna(0) if bars else 0.0
    values = [points["value"] - sd, points["value"] + sd, folds["value"]]
    values += [ends for _, line in points.groupby("split") for ends in limits(line)]
    reached = pd.concat([*(v.astype(float) for v in values), pd.Series(levels, dtype=float)])
    reached = reached.dropna() if reached.notna().any() else pd.Series([0.0, 1.0])
    deepest = int(points["depth"].max())
    ax.set_xlim(-0.03 * max(deepest, 1) - 0.1, deepest + 0.03 * deepest + 0.1)
    style.score_axis(ax, float(reached.min()), float(reached.max()))
