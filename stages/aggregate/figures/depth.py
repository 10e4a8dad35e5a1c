"""Every score against depth, for one network on one dataset: the paper's third figure."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stages.aggregate.curves import Scores
from stages.aggregate.figures import style
from stages.aggregate.figures.panel import BAND, draw_panel, name_layers
from stages.shared.split_names import UNSEEN

MOST_LABELLED = 6
"""Panels up to which every line is labelled at its end; more are drawn small and share one legend."""


def depth_figure(scores: Scores, curves: Sequence[pd.DataFrame]) -> Figure:
    """Draw a panel per score: seen and unseen at the last step, unseen at the first, raw pixels, chance, best layers.

    Args:
        scores: everything that was measured; for the baseline.
        curves: the curves of one dataset, model and pooling, one per score. Bands show their intervals over images,
            thick pieces of the axis the layers that cannot be told apart from the best, where they have them.
    """
    narrow = len(curves) > MOST_LABELLED
    columns = 3 if narrow else 1 if len(curves) in (1, 3) else 2
    rows = -(-len(curves) // columns)
    height = 1.5 * rows + 1.3 if narrow else 2.15 * rows + 0.9
    figure = Figure(figsize=(4.6 if columns == 1 else style.WIDTH, height))
    grid = figure.subplots(rows, columns, squeeze=False)
    labels, step = [], max(int(curve["step"].max()) for curve in curves)
    for i, ax in enumerate(grid.flat):
        if i >= len(curves):
            ax.set_visible(False)
            continue
        labels.append(draw_panel(ax, scores, curves[i], step, narrow=narrow))
        name_layers(ax, curves[i], shown=i + columns >= len(curves))
    style.caption(figure, _title(pd.concat(curves), step, scores.n_seeds))
    if narrow:
        figure.legend(handles=_legend(pd.concat(curves)), loc="outside lower center", ncols=6, frameon=False)
    style.settle(figure, labels)
    return figure


def _title(points: pd.DataFrame, step: int, n_seeds: int) -> str:
    name = points.iloc[0]
    spread = f"mean of {n_seeds} seeds, bars ± 1 standard deviation (ddof = 1)" if n_seeds > 1 else "one seed"
    parts = [name["dataset"], name["model"], f"step {step}", f"pooling {name['pooling']}", spread]
    if _has(points, BAND[0]):
        parts.append("bands: intervals over images")
    if _has(points, "in_best_set"):
        parts.append("thick axis: layers not told apart from the best")
    return " · ".join(parts)


def _has(points: pd.DataFrame, column: str) -> bool:
    return bool(points[column].notna().any())


def _legend(points: pd.DataFrame) -> list[Any]:
    steps = points.loc[points["split"] == UNSEEN, "step"]
    line: dict[str, Any] = {"marker": "o", "markersize": 3.2, "markeredgewidth": 0.0}
    handles = [
        Line2D([], [], color=style.UNSEEN, label="unseen", **line),
        Line2D([], [], color=style.SEEN, label="seen", **line),
        Line2D([], [], color=style.BASELINE, linestyle=style.BASELINE_DASHES, linewidth=0.9, label="raw pixels"),
        Line2D([], [], color=style.CHANCE, linestyle=style.CHANCE_DASHES, linewidth=0.9, label="chance"),
    ]
    if steps.nunique() > 1:
        first = Line2D([], [], color=style.FIRST, label=f"unseen, step {steps.min()}", **{**line, "markersize": 2.2})
        handles.insert(2, first)
    bands = (
        [Patch(color=style.UNSEEN, alpha=style.BAND_ALPHA, linewidth=0.0, label="interval")]
        if _has(points, BAND[0])
        else []
    )
    return [*handles, *bands]
