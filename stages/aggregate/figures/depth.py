"""Every score against depth, for one network on one dataset: the paper's third figure."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.aggregate.figures import style
from stages.aggregate.names import metric_name, short_names
from stages.aggregate.scores import SEEN, UNSEEN, Scores
from stages.aggregate.tables import baseline_at, best

MOST_LABELS = 26
"""Layer names on one axis; deeper networks show every second, third, ... name."""


def depth_figure(scores: Scores, curves: Sequence[pd.DataFrame]) -> Figure:
    """Draw a panel per score: seen and unseen at the last step, unseen at the first, raw pixels, chance, best layer.

    Args:
        scores: everything that was measured; for the baseline.
        curves: the curves of one dataset, model and pooling, one per score.
    """
    columns = 1 if len(curves) in (1, 3) else 2
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(style.WIDTH if columns == 2 else 4.6, 2.15 * rows + 0.75))
    grid = figure.subplots(rows, columns, squeeze=False)
    labels = []
    for i, ax in enumerate(grid.flat):
        if i >= len(curves):
            ax.set_visible(False)
            continue
        labels.append(_panel(ax, scores, curves[i], int(curves[0]["step"].max())))
        _name_layers(ax, curves[i], shown=i + columns >= len(curves))
    style.caption(figure, _title(curves[0], scores.n_seeds))
    style.settle(figure, labels)
    return figure


def _panel(ax: Axes, scores: Scores, curve: pd.DataFrame, step: int) -> style.EndLabels:
    last = int(curve.loc[curve["split"] == UNSEEN, "step"].max())
    first = int(curve.loc[curve["split"] == UNSEEN, "step"].min())
    baseline = baseline_at(scores, curve, UNSEEN, last)
    chance = _line(curve, UNSEEN, last)["chance"].mean()
    _set_limits(ax, curve, [first, last], [v for v in (baseline, chance) if v is not None and pd.notna(v)])
    labels = style.EndLabels(ax)
    if first != last:
        _draw(ax, labels, _line(curve, UNSEEN, first), style.FIRST, f"unseen, step {first}", light=True)
    _draw(ax, labels, _line(curve, SEEN, last), style.SEEN, "seen")
    _draw(ax, labels, _line(curve, UNSEEN, last), style.UNSEEN, "unseen")
    _level(ax, labels, baseline, style.BASELINE, "raw pixels", style.BASELINE_DASHES)
    _level(ax, labels, chance, style.CHANCE, "chance", style.CHANCE_DASHES)
    _mark_best(ax, curve, last)
    other = f" at step {last}" if last != step else ""  # a score may have been measured at fewer steps
    ax.set_title(metric_name(str(curve.iloc[0]["metric"])) + other, pad=style.TEXT + 8)
    return labels


def _line(curve: pd.DataFrame, split: str, step: int) -> pd.DataFrame:
    return curve[(curve["split"] == split) & (curve["step"] == step)].sort_values("depth")


def _draw(ax: Axes, labels: style.EndLabels, line: pd.DataFrame, color: str, text: str, *, light: bool = False) -> None:
    if line.empty:
        return
    x, y = line["depth"].astype(float), line["value"].astype(float)
    errors = None if light or line["sd"].isna().all() else line["sd"].fillna(0.0)
    ax.errorbar(
        x, y, yerr=errors, color=color, marker="o", markersize=2.2 if light else 3.2, linewidth=1.0 if light else 1.5,
        elinewidth=0.8, capsize=1.5, capthick=0.8, markeredgewidth=0.0, zorder=2 if light else 3,
    )  # fmt: skip
    labels.add(float(y.iloc[-1]), text, color, x=float(x.iloc[-1]))


def _level(ax: Axes, labels: style.EndLabels, value: float | None, color: str, text: str, dashes: style.Dashes) -> None:
    if value is None or pd.isna(value):
        return
    ax.axhline(value, color=color, linewidth=0.9, linestyle=dashes, zorder=1)
    labels.add(float(value), text, color)


def _mark_best(ax: Axes, curve: pd.DataFrame, step: int) -> None:
    point = best(curve, UNSEEN, step)
    assert point is not None  # average() guarantees the unseen split
    depth, value = float(point["depth"]), float(point["value"])
    ax.vlines(depth, ax.get_ylim()[0], value, color=style.UNSEEN, linewidth=0.6, linestyle=(0, (1, 1.5)), zorder=1)
    ax.plot([depth], [value], "o", markersize=7.5, markerfacecolor="none", markeredgecolor=style.UNSEEN, zorder=4)
    layers = list(_line(curve, UNSEEN, step)["layer"])
    name = short_names(layers)[layers.index(point["layer"])]
    where: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "xycoords": "axes fraction"}
    ax.annotate(f"best on unseen: {name}, {value:.2f}", (0, 1), **where, color=style.UNSEEN)


def _set_limits(ax: Axes, curve: pd.DataFrame, steps: list[int], levels: list[float]) -> None:
    points = curve[curve["step"].isin(steps) & curve["split"].isin([SEEN, UNSEEN])]
    values = pd.concat([points["value"] - points["sd"].fillna(0), points["value"] + points["sd"].fillna(0)])
    values = pd.concat([values.astype(float), pd.Series(levels, dtype=float)])
    deepest = int(points["depth"].max())
    ax.set_xlim(-0.03 * max(deepest, 1) - 0.1, deepest + 0.03 * deepest + 0.1)
    style.score_axis(ax, float(values.min()), float(values.max()))


def _name_layers(ax: Axes, curve: pd.DataFrame, *, shown: bool) -> None:
    names = curve.drop_duplicates("depth").sort_values("depth")
    stride = -(-len(names) // MOST_LABELS)
    depths = [int(d) for d in names["depth"]]
    ax.set_xticks(depths[::stride], short_names(names["layer"])[::stride] if shown else [""] * len(depths[::stride]))
    if shown:
        ax.tick_params(axis="x", rotation=90 if len(depths) > 16 else 45)
        for label in ax.get_xticklabels():
            label.set(
                ha="center" if len(depths) > 16 else "right", rotation_mode="default" if len(depths) > 16 else "anchor"
            )
        ax.set_xlabel("layer, from input to output")


def _title(curve: pd.DataFrame, n_seeds: int) -> str:
    name = curve.iloc[0]
    spread = f"mean of {n_seeds} seeds, bars ± 1 standard deviation" if n_seeds > 1 else "one seed"
    return f"{name['dataset']} · {name['model']} · step {curve['step'].max()} · pooling {name['pooling']} · {spread}"
