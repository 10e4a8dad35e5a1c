"""Scores against depth, for one network on one dataset: the paper's third figure."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.curves import CURVE, MEAN, Row, Scores, baseline_at, best, last_measured
from stages.aggregate.figures import style
from stages.aggregate.figures.bands import draw_band, explain_intervals, has_ties, limits, tied
from stages.aggregate.figures.depth_legend import FOLD_LINE, LINE, SPLIT_LOOKS, depth_legend, level_look
from stages.aggregate.figures.frame import framed, head
from stages.aggregate.figures.layer_axis import number_layers
from stages.aggregate.figures.messages import course_message, scores_message
from stages.aggregate.metric_info import metric_name
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import place, short_names
from stages.shared.embeddings.split_names import SEEN, UNSEEN

FOLD, TIED = "fold", "tied"
"""The ids of the lines of single folds, and of the filled dots of layers that tie with the best."""


def depth_figure(scores: Scores, curves: Sequence[pd.DataFrame], rows: Sequence[SummaryRow]) -> Figure:
    """Draw a panel per score: seen and unseen at the last step, unseen at the first, raw pixels, chance, best layers.

    Args:
        scores: everything that was measured; for the baseline and the single folds.
        curves: the means over folds of one dataset, model and pooling, one per score. Bands show their intervals,
            filled dots the layers that are not distinguishable from the best, where they have them; thin lines are
            single folds, if there are several.
        rows: of summary.csv, of those curves that have a best layer.
    """
    columns = 1 if len(curves) == 1 else 2
    lines, step = math.ceil(len(curves) / columns), max(int(curve["step"].max()) for curve in curves)
    figure = framed(
        _message(curves, rows),
        _details(pd.concat(curves), step, scores),
        (1.9 if columns == 2 else 2.3) * lines + 0.65,
        legend=depth_legend(pd.concat(curves), levels=_all_levels(scores, curves), folds=len(scores.folds) > 1),
        columns=3,
    )
    grid = figure.subplots(lines, columns, squeeze=False)
    for i, ax in enumerate(grid.flat):
        if i >= len(curves):
            ax.set_visible(False)
            continue
        _panel(ax, scores, curves, i, step)
        layers = curves[i].drop_duplicates("depth").sort_values("depth")
        number_layers(ax, [*layers["depth"].astype(int)], [*layers["layer"]], named=i // columns == lines - 1)
    return figure


def _message(curves: Sequence[pd.DataFrame], rows: Sequence[SummaryRow]) -> str:
    first = curves[0]
    if not rows or first.iloc[0]["better"] == "neither":
        return course_message(_at_step(first, UNSEEN, last_measured(first)))
    return scores_message(rows)


def _details(points: pd.DataFrame, step: int, scores: Scores) -> str:
    name, averages = points.iloc[0], style.Averages(len(scores.folds), scores.n_seeds)
    bars = "" if averages.n_folds > 1 else f", bars {averages.bars}"
    parts = [f"{name['model']} on {name['dataset']}, step {step}, pooling {name['pooling']}; {averages.words(bars)}"]
    bands = explain_intervals(points, "Bands and ties" if has_ties(points) else "Bands")
    return ". ".join([*parts, *([bands] if bands else [])]) + "."


def _all_levels(scores: Scores, curves: Sequence[pd.DataFrame]) -> dict[str, list[str]]:
    """Which splits have a line of raw pixels and of chance in some panel."""
    known: dict[str, list[str]] = {}
    for split in SPLIT_LOOKS:
        for name in dict.fromkeys(name for curve in curves for name in levels_of(scores, curve, split)):
            known.setdefault(name, []).append(split)
    return known


def _panel(ax: Axes, scores: Scores, curves: Sequence[pd.DataFrame], index: int, step: int) -> None:
    """Draw one score: seen and unseen at its last step, unseen at its first, raw pixels, chance, the best layers.

    The step is the figure's, named in the title if this score was last measured at another.
    """
    curve = curves[index]
    unseen = curve[curve["split"] == UNSEEN]
    first, last = int(unseen["step"].min()), int(unseen["step"].max())
    levels, folds = {s: levels_of(scores, curve, s) for s in SPLIT_LOOKS}, _single_folds(scores, curve, last)
    bars = len(scores.folds) == 1
    _set_limits(ax, curve, folds, [first, last], [v for own in levels.values() for v in own.values()], bars=bars)
    for split, own in levels.items():
        for name, height in own.items():
            ax.axhline(height, zorder=1, **level_look(name, split))
    if first != last:
        _draw(ax, _at_step(curve, UNSEEN, first), style.FIRST, light=True)
    for _, fold in folds.groupby("fold", sort=False):
        ax.plot(fold["depth"].astype(float), fold["value"], zorder=2, gid=FOLD, **FOLD_LINE)
    _draw(ax, _at_step(curve, SEEN, last), style.SEEN, bars=bars)
    _draw(ax, _at_step(curve, UNSEEN, last), style.UNSEEN, bars=bars)
    _mark_ties(ax, _at_step(curve, UNSEEN, last))
    at = f", step {last}" if last != step else ""
    head(ax, index, len(curves), _title(ax, curve, last) + at, style.UNSEEN)
    lower = "\n(lower is better)" if curve.iloc[0]["better"] == "lower" else ""
    ax.set_ylabel(textwrap.fill(metric_name(str(curve.iloc[0]["metric"])), 24) + lower)


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


def _draw(ax: Axes, line: pd.DataFrame, color: str, *, bars: bool = False, light: bool = False) -> None:
    if line.empty:
        return
    x, y = line["depth"].astype(float), line["value"].astype(float)
    errors = line["sd"].fillna(0.0) if bars and line["sd"].notna().any() else None
    look: dict[str, Any] = LINE["first" if light else "last"] | {"color": color, "zorder": 2 if light else 3}
    ax.errorbar(x, y, yerr=errors, elinewidth=0.8, capsize=1.5, capthick=0.8, **look)
    if not light:
        draw_band(ax, x, *limits(line), color)


def _title(ax: Axes, curve: pd.DataFrame, step: int) -> str:
    """Ring the best layer, if there is one, and say which it is."""
    point = best(curve, UNSEEN, step)
    if str(curve.iloc[0]["better"]) == "neither":
        return "neither high nor low is better"
    if point is None:
        return "undefined on unseen classes"
    return f"best at layer {_ring(ax, curve, point)}: {point['value']:.2f}"


def _ring(ax: Axes, curve: pd.DataFrame, point: Row) -> str:
    """Ring one point of the unseen curve; returns its layer's number and short name."""
    depth, value = int(point["depth"]), float(point["value"])
    ax.plot([depth], [value], zorder=5, **LINE["ring"])
    points = _at_step(curve, UNSEEN, int(point["step"]))
    names = dict(zip(points["layer"], short_names(points["layer"], 16), strict=True))
    return f"{place(depth, int(points['depth'].max()))} ({names[point['layer']]})"


def _mark_ties(ax: Axes, line: pd.DataFrame) -> None:
    """Leave the dots of layers that tie with the best filled, and hollow the others, where ties are known."""
    if not has_ties(line):
        return
    for own, look in ((~tied(line), LINE["worse"]), (tied(line), LINE["tied"])):
        points = line[own]
        gid = TIED if look is LINE["tied"] else None
        ax.plot(points["depth"].astype(float), points["value"], zorder=4, gid=gid, **look)


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
