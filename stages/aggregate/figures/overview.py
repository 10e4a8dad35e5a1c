"""All networks of a dataset: the main score on unseen classes against relative depth, best layers ringed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.figures import style
from stages.aggregate.figures.bands import LIMITS, explain_intervals, interval_scope, limits
from stages.aggregate.figures.end_labels import EndLabels, settle
from stages.aggregate.formatting import at_last_step, place, shorten
from stages.aggregate.metric_info import Scope, metric_name
from stages.aggregate.points import Row, best_of
from stages.shared.split_names import UNSEEN


def overview_figure(
    points: pd.DataFrame, levels: Mapping[str, float], models: list[str], averages: style.Averages
) -> Figure:
    """Draw a line per network.

    Args:
        points: one dataset's rows of depth.csv, of one score, the main pooling and the mean over folds. The bar at a
            best layer is its interval, of other classes if known, else of these; else ± 1 standard deviation.
        levels: `raw pixels` and `chance` on unseen classes, those that were measured.
        models: every model of the grid, in order, which fixes its colour.
        averages: over how many folds and seeds every value is a mean.
    """
    figure = Figure(figsize=(style.WIDTH, 3.3))
    ax = figure.subplots()
    unseen, metric = points[points["split"] == UNSEEN], str(points.iloc[0]["metric"])
    values = [*pd.concat([unseen["value"], *limits(unseen)]).dropna(), *levels.values()]
    ax.set_xlim(-0.02, 1.02)
    style.score_axis(ax, min(values), max(values))
    labels = EndLabels(ax)
    for model, line in unseen.groupby("model", sort=False):
        look = style.model_style(models.index(str(model)))
        _line(ax, labels, str(model), line.sort_values("depth"), look, bars=interval_scope(unseen))
    labels.add_levels(levels)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["first layer", "0.25", "0.5", "0.75", "last layer"])
    ax.set_xlabel("position of the layer")
    lower = " (lower is better)" if points.iloc[0]["better"] == "lower" else ""
    ax.set_title(f"{metric_name(metric)} on unseen classes{lower}")
    caption = [points.iloc[0]["dataset"], at_last_step(points["step"]), "best layers ringed and named"]
    caption.append(averages.words())
    if interval_scope(unseen):
        caption.append(explain_intervals(unseen, "bars"))
    elif averages.vary:
        caption.append(f"bars: {averages.bars}")
    style.caption(figure, " · ".join(caption))
    settle(figure, [labels])
    return figure


def _line(
    ax: Axes, labels: EndLabels, model: str, line: pd.DataFrame, look: dict[str, Any], *, bars: Scope | None
) -> None:
    best = best_of(line)
    assert best is not None  # check_main_score() guarantees a best layer
    ax.plot(line["relative_depth"], line["value"], markersize=3.4, markeredgewidth=0.0, **look)
    ax.errorbar(
        best["relative_depth"], best["value"], yerr=_bar(best, bars), color=look["color"], marker="o", markersize=7.5,
        markerfacecolor="none", markeredgewidth=1.4, elinewidth=0.9, capsize=2, zorder=4,
    )  # fmt: skip
    last, layer = line.iloc[-1], shorten(str(best["layer"]).partition("@")[0], 18)
    text = f"{shorten(model, 30)}: {place(best['depth'], last['depth'])} ({layer})"
    labels.add(float(last["value"]), text, look["color"], x=float(last["relative_depth"]))


def _bar(point: Row, scope: Scope | None) -> list[list[float]] | None:
    """How far the bar at a point reaches down and up, None for no bar; all bars of a figure show the same."""
    if scope is not None:
        low, high = (point[name] for name in LIMITS[scope])
        known = pd.notna(low) and pd.notna(high)
        return [[max(point["value"] - low, 0.0)], [max(high - point["value"], 0.0)]] if known else None
    return None if pd.isna(point["sd"]) else [[point["sd"]], [point["sd"]]]
