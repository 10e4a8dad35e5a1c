"""All networks of a dataset: the main score on unseen classes against relative depth, best layers ringed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.figures import style
from stages.aggregate.figures.end_labels import EndLabels, settle
from stages.aggregate.formatting import at_last_step, place, shorten
from stages.aggregate.metric_info import intervals_of, metric_name
from stages.aggregate.points import Row, best_of
from stages.shared.split_names import UNSEEN


def overview_figure(points: pd.DataFrame, levels: Mapping[str, float], models: list[str], n_seeds: int) -> Figure:
    """Draw a line per network.

    Args:
        points: one dataset's rows of depth.csv, of one score and of the main pooling. The bar at a best layer is its
            interval over images, where there is one, else ± 1 standard deviation over seeds.
        levels: `raw pixels` and `chance` on unseen classes, those that were measured.
        models: every model of the grid, in order, which fixes its colour.
        n_seeds: number of seeds behind every mean.
    """
    figure = Figure(figsize=(style.WIDTH, 3.3))
    ax = figure.subplots()
    unseen, metric = points[points["split"] == UNSEEN], str(points.iloc[0]["metric"])
    values = [*pd.concat([unseen[name] for name in ("value", *style.BAND)]).dropna(), *levels.values()]
    ax.set_xlim(-0.02, 1.02)
    style.score_axis(ax, min(values), max(values))
    labels = EndLabels(ax)
    for model, line in unseen.groupby("model", sort=False):
        _line(ax, labels, str(model), line.sort_values("depth"), style.model_style(models.index(str(model))))
    labels.add_levels(levels)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["first layer", "0.25", "0.5", "0.75", "last layer"])
    ax.set_xlabel("position of the layer")
    lower = " (lower is better)" if points.iloc[0]["better"] == "lower" else ""
    ax.set_title(f"{metric_name(metric)} on unseen classes{lower}")
    caption = [points.iloc[0]["dataset"], at_last_step(points["step"]), "best layers ringed and named"]
    caption.append(style.spread_over_seeds(n_seeds))
    if unseen[style.BAND[0]].notna().any():
        caption.append(f"bars: {intervals_of(metric)} over images")
    elif n_seeds > 1:
        caption.append("bar: ± 1 standard deviation (ddof = 1) at the best layer")
    style.caption(figure, " · ".join(caption))
    settle(figure, [labels])
    return figure


def _line(ax: Axes, labels: EndLabels, model: str, line: pd.DataFrame, look: dict[str, Any]) -> None:
    best = best_of(line)
    assert best is not None  # check_main_score() guarantees a best layer
    ax.plot(line["relative_depth"], line["value"], marker="o", markersize=2.6, markeredgewidth=0.0, **look)
    ax.errorbar(
        best["relative_depth"], best["value"], yerr=_bar(best), color=look["color"], marker="o", markersize=7.5,
        markerfacecolor="none", markeredgewidth=1.4, elinewidth=0.9, capsize=2, zorder=4,
    )  # fmt: skip
    last, layer = line.iloc[-1], shorten(str(best["layer"]).partition("@")[0], 18)
    text = f"{shorten(model, 30)}: {place(best['depth'], last['depth'])} ({layer})"
    labels.add(float(last["value"]), text, look["color"], x=float(last["relative_depth"]))


def _bar(point: Row) -> list[list[float]] | None:
    """How far the bar at a point reaches down and up, None for no bar."""
    low, high = (point[name] for name in style.BAND)
    if pd.notna(low) and pd.notna(high):
        return [[max(point["value"] - low, 0.0)], [max(high - point["value"], 0.0)]]
    return None if pd.isna(point["sd"]) else [[point["sd"]], [point["sd"]]]
