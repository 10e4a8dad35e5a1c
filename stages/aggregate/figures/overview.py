"""All networks of a dataset: the main score on unseen classes against relative depth, best layers ringed."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.curves import best_index
from stages.aggregate.figures import style
from stages.aggregate.figures.panel import BAND
from stages.aggregate.formatting import intervals_of, known
from stages.aggregate.metric_info import metric_name, shorten
from stages.shared.split_names import UNSEEN

LEVELS: tuple[tuple[str, str, style.Dashes], ...] = (
    ("raw pixels", style.BASELINE, style.BASELINE_DASHES),
    ("chance", style.CHANCE, style.CHANCE_DASHES),
)


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
    unseen = points[points["split"] == UNSEEN]
    values = [*pd.concat([unseen[name] for name in ("value", *BAND)]).dropna().astype(float), *levels.values()]
    ax.set_xlim(-0.02, 1.02)
    style.score_axis(ax, min(values), max(values))
    labels = style.EndLabels(ax)
    for model, line in unseen.groupby("model", sort=False):
        _line(ax, labels, str(model), line.sort_values("depth"), models)
    for text, color, dashes in LEVELS:
        if text in levels:
            ax.axhline(levels[text], color=color, linewidth=0.9, linestyle=dashes, zorder=1)
            labels.add(levels[text], text, color)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["first layer", "0.25", "0.5", "0.75", "last layer"])
    ax.set_xlabel("depth relative to the last layer")
    lower = " (lower is better)" if points.iloc[0]["better"] == "lower" else ""
    ax.set_title(f"{metric_name(str(points.iloc[0]['metric']))} on unseen classes{lower}")
    caption = [points.iloc[0]["dataset"], f"step {points['step'].max()}", "best layers ringed and named"]
    caption.append(f"mean of {n_seeds} seeds" if n_seeds > 1 else "one seed")
    if unseen[BAND[0]].notna().any():
        caption.append(f"bars: {intervals_of(str(points.iloc[0]['metric']))} over images")
    elif n_seeds > 1:
        caption.append("bar: ± 1 standard deviation (ddof = 1) at the best layer")
    style.caption(figure, " · ".join(caption))
    style.settle(figure, [labels])
    return figure


def _line(ax: Axes, labels: style.EndLabels, model: str, line: pd.DataFrame, models: list[str]) -> None:
    look = style.model_style(models.index(model))
    x, y = (line[name].to_numpy(dtype=float) for name in ("relative_depth", "value"))
    top = best_index(y, str(line.iloc[0]["better"]))
    assert top is not None  # check_main_score() guarantees a best layer
    ax.plot(x, y, marker="o", markersize=2.6, markeredgewidth=0.0, **look)
    ax.errorbar(
        x[top], y[top], yerr=_bar(line.iloc[top]), color=look["color"], marker="o", markersize=7.5,
        markerfacecolor="none", markeredgewidth=1.4, elinewidth=0.9, capsize=2, zorder=4,
    )  # fmt: skip
    layer = shorten(str(line.iloc[top]["layer"]).partition("@")[0], 18)
    labels.add(float(y[-1]), f"{shorten(model, 30)}: {layer}", look["color"], x=float(x[-1]))


def _bar(point: "pd.Series[float]") -> list[list[float]] | None:
    """How far the bar at a point reaches down and up, None for no bar."""
    low, high = (known(point, name) for name in BAND)
    if low is not None and high is not None:
        return [[max(float(point["value"]) - low, 0.0)], [max(high - float(point["value"]), 0.0)]]
    sd = known(point, "sd")
    return None if sd is None else [[sd], [sd]]
