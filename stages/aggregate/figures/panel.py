"""One score against depth in one network: the panel that depth figures are made of."""

import pandas as pd
from matplotlib.axes import Axes

from stages.aggregate.curves import Scores
from stages.aggregate.figures import style
from stages.aggregate.formatting import consecutive
from stages.aggregate.metric_info import metric_name, short_names
from stages.aggregate.points import Row, baseline_at, best
from stages.shared.split_names import SEEN, UNSEEN

MOST_LABELS = 26
"""Layer names on one axis; deeper networks show every second, third, ... name."""

BEST_SET = "best_set"
"""The id of the pieces of the axis under the best set."""

BAND = ("ci_images_low", "ci_images_high")


def draw_panel(ax: Axes, scores: Scores, curve: pd.DataFrame, step: int, *, narrow: bool) -> style.EndLabels:
    """Draw one score: seen and unseen at its last step, unseen at its first, raw pixels, chance, the best layers.

    Args:
        ax: where.
        scores: everything that was measured; for the baseline.
        curve: the score's curve; intervals (`BAND`) and the best set (`in_best_set`) are shown where they are known.
        step: the figure's step, named in the title if this score was last measured at another.
        narrow: draw no labels at the lines' ends, for a panel without room for them.

    Returns:
        The labels, to be settled.
    """
    unseen = curve[curve["split"] == UNSEEN]
    first, last = int(unseen["step"].min()), int(unseen["step"].max())
    baseline = baseline_at(scores, curve, UNSEEN, last)
    chance = at_step(curve, UNSEEN, last)["chance"].mean()
    _set_limits(ax, curve, [first, last], [v for v in (baseline, chance) if v is not None and pd.notna(v)])
    labels = style.EndLabels(ax, shown=not narrow)
    if first != last:
        _draw(ax, labels, at_step(curve, UNSEEN, first), style.FIRST, f"unseen, step {first}", light=True)
    _draw(ax, labels, at_step(curve, SEEN, last), style.SEEN, "seen")
    _draw(ax, labels, at_step(curve, UNSEEN, last), style.UNSEEN, "unseen")
    _level(ax, labels, baseline, style.BASELINE, "raw pixels", style.BASELINE_DASHES)
    _level(ax, labels, chance, style.CHANCE, "chance", style.CHANCE_DASHES)
    _mark_best_set(ax, at_step(curve, UNSEEN, last))
    _write_titles(ax, curve, last, f" at step {last}" if last != step else "", narrow=narrow)
    return labels


def at_step(curve: pd.DataFrame, split: str, step: int) -> pd.DataFrame:
    """One split's points at one step, by depth."""
    return curve[(curve["split"] == split) & (curve["step"] == step)].sort_values("depth")


def name_layers(ax: Axes, curve: pd.DataFrame, *, shown: bool) -> None:
    """Put a tick at every layer, and its name if `shown`."""
    names = curve.drop_duplicates("depth").sort_values("depth")
    stride = -(-len(names) // MOST_LABELS)
    depths = [int(d) for d in names["depth"]]
    ax.set_xticks(depths[::stride], short_names(names["layer"])[::stride] if shown else [""] * len(depths[::stride]))
    if shown:
        tilt_names(ax, len(depths))
        ax.set_xlabel("layer, from input to output")


def tilt_names(ax: Axes, count: int) -> None:
    """Turn an x axis' `count` names so that they do not overlap."""
    ax.tick_params(axis="x", rotation=90 if count > 16 else 45)
    for label in ax.get_xticklabels():
        label.set(ha="center" if count > 16 else "right", rotation_mode="default" if count > 16 else "anchor")


def _draw(ax: Axes, labels: style.EndLabels, line: pd.DataFrame, color: str, text: str, *, light: bool = False) -> None:
    if line.empty:
        return
    x, y = line["depth"].astype(float), line["value"].astype(float)
    errors = None if light or line["sd"].isna().all() else line["sd"].fillna(0.0)
    ax.errorbar(
        x, y, yerr=errors, color=color, marker="o", markersize=2.2 if light else 3.2, linewidth=1.0 if light else 1.5,
        elinewidth=0.8, capsize=1.5, capthick=0.8, markeredgewidth=0.0, zorder=2 if light else 3,
    )  # fmt: skip
    if not light:
        style.band(ax, x, line[BAND[0]].astype(float), line[BAND[1]].astype(float), color)
    labels.add(float(y.iloc[-1]), text, color, x=float(x.iloc[-1]))


def _level(ax: Axes, labels: style.EndLabels, value: float | None, color: str, text: str, dashes: style.Dashes) -> None:
    if value is None or pd.isna(value):
        return
    ax.axhline(value, color=color, linewidth=0.9, linestyle=dashes, zorder=1)
    labels.add(float(value), text, color)


def _write_titles(ax: Axes, curve: pd.DataFrame, step: int, at: str, *, narrow: bool) -> None:
    """Name the score, say which direction is better, and ring and name the best layer, if there is one."""
    ax.set_title(metric_name(str(curve.iloc[0]["metric"])) + at, pad=style.TEXT + 8)
    better, point = str(curve.iloc[0]["better"]), best(curve, UNSEEN, step)
    if better == "neither":
        words = "neither high nor low is better"
    elif point is None:
        words = "undefined on unseen classes"
    else:
        words = f"{'best' if narrow else 'best on unseen'}: {_ring(ax, curve, point)}, {point['value']:.2f}"
        words = f"lower is better; {words}" if better == "lower" else words
    ax.annotate(words, (0, 1), xytext=(0, 4), textcoords="offset points", xycoords="axes fraction", color=style.UNSEEN)


def _ring(ax: Axes, curve: pd.DataFrame, point: Row) -> str:
    """Ring one point of the unseen curve, drop a line to the axis; returns its layer's short name."""
    depth, value = float(point["depth"]), float(point["value"])
    ax.vlines(depth, ax.get_ylim()[0], value, color=style.UNSEEN, linewidth=0.6, linestyle=(0, (1, 1.5)), zorder=1)
    ax.plot([depth], [value], "o", markersize=7.5, markerfacecolor="none", markeredgecolor=style.UNSEEN, zorder=4)
    layers = list(at_step(curve, UNSEEN, int(point["step"]))["layer"])
    return short_names(layers)[layers.index(point["layer"])]


def _mark_best_set(ax: Axes, line: pd.DataFrame) -> None:
    """Thicken the axis under the layers that cannot be told apart from the best."""
    kept = line.loc[line["in_best_set"].fillna(False).astype(bool), "depth"]
    for run in consecutive(int(depth) for depth in kept):
        ax.plot(
            [run[0] - 0.5, run[-1] + 0.5], [0, 0], transform=ax.get_xaxis_transform(), color=style.UNSEEN,
            linewidth=3.0, solid_capstyle="butt", zorder=5, gid=BEST_SET, scalex=False, scaley=False,
        )  # fmt: skip


def _set_limits(ax: Axes, curve: pd.DataFrame, steps: list[int], levels: list[float]) -> None:
    points = curve[curve["step"].isin(steps) & curve["split"].isin([SEEN, UNSEEN])]
    values = [points["value"] - points["sd"].fillna(0), points["value"] + points["sd"].fillna(0)]
    values += [points[name] for name in BAND]
    reached = pd.concat([*(v.astype(float) for v in values), pd.Series(levels, dtype=float)])
    reached = reached.dropna() if reached.notna().any() else pd.Series([0.0, 1.0])
    deepest = int(points["depth"].max())
    ax.set_xlim(-0.03 * max(deepest, 1) - 0.1, deepest + 0.03 * deepest + 0.1)
    style.score_axis(ax, float(reached.min()), float(reached.max()))
