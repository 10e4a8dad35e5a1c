"""The lower panel of the picture of a study: the main score against layers."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stages.aggregate.figures import style
from stages.aggregate.figures.bands import draw_band, interval_scope, limits
from stages.aggregate.figures.layer_axis import number_layers
from stages.aggregate.formatting import decimals, shorten
from stages.aggregate.metric_info import metric_name
from stages.aggregate.report.scopes import SCOPES, lead_bounds, level
from stages.commands.study.hero.contents import Hero
from stages.commands.study.hero.layout import HEAD, TEXT
from stages.shared.embeddings.split_names import SEEN, UNSEEN


def draw_curve(ax: Axes, hero: Hero) -> None:
    """Draw the main score against layers: unseen classes with their interval, seen ones thin."""
    seen, unseen = (hero.points[hero.points["split"] == split].sort_values("depth") for split in (SEEN, UNSEEN))
    values = [unseen["value"], seen["value"], *limits(unseen)]
    levels = {"raw pixels": hero.row.baseline, "chance": hero.row.chance}
    known = {name: level for name, level in levels.items() if level is not None}
    reached = np.concatenate([*(v.dropna().to_numpy(dtype=float) for v in values), [*known.values()]])
    style.score_axis(ax, float(reached.min()), float(reached.max()))
    x = unseen["depth"].astype(float)
    draw_band(ax, x, *limits(unseen), style.UNSEEN)
    ax.plot(seen["depth"].astype(float), seen["value"], color=style.ASIDE, linewidth=1.0, zorder=2)
    ax.plot(x, unseen["value"], color=style.UNSEEN, linewidth=2.2, marker="o", markersize=5, zorder=3)
    ax.plot([hero.row.best_depth], [hero.row.unseen], "o", markersize=12, color=style.UNSEEN, mfc="none", mew=1.8)
    for name, height in known.items():
        ax.axhline(height, zorder=1, **style.LEVELS[name])
    number_layers(ax, [*x.astype(int)], [*unseen["layer"]], named=False)
    ax.tick_params(labelsize=TEXT)
    ax.set_xlabel(
        f"layer of {shorten(hero.cell.model, 40)}, from input (1) to output ({hero.row.last_depth + 1})", size=TEXT
    )
    ax.set_ylabel(metric_name(hero.row.metric), size=TEXT)
    ax.set_title(" ")
    ax.annotate(
        "b", (0, 1), xytext=(-46, 8), xycoords="axes fraction", textcoords="offset points", size=HEAD, weight="bold"
    )
    head = f"Score of every layer, mean of {_folds(hero)}"
    ax.annotate(head, (0, 1), xytext=(-32, 8), xycoords="axes fraction", textcoords="offset points", size=HEAD)
    _bracket(ax, hero)
    ax.legend(
        *_legend(hero, known), loc="upper left", bbox_to_anchor=(-0.08, -0.2), frameon=False, fontsize=TEXT,
        handlelength=2.2, borderaxespad=0.0, ncols=3, columnspacing=2.0,
    )  # fmt: skip


def _legend(hero: Hero, known: dict[str, float]) -> tuple[list[Any], list[str]]:
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color=style.UNSEEN, linewidth=2.2, marker="o", markersize=5), "unseen classes")
    ]
    if interval_scope(hero.points):
        entries.append((Patch(color=style.UNSEEN, alpha=style.BAND_ALPHA, linewidth=0), "interval"))
    entries.append(
        (Line2D([], [], color=style.UNSEEN, marker="o", markersize=9, mfc="none", mew=1.6, ls=""), "best layer")
    )
    if (hero.points["split"] == SEEN).any():
        entries.append((Line2D([], [], color=style.ASIDE, linewidth=1.0), "seen classes"))
    entries += [(Line2D([], [], **style.LEVELS[name]), f"{name}, unseen") for name in known]
    handles, words = zip(*entries, strict=True)
    return list(handles), list(words)


def _bracket(ax: Axes, hero: Hero) -> None:
    """Join the heights of the best and the last layer, and say by how much an earlier layer beats the last."""
    row = hero.row
    ax.set_xlim(-0.03 * row.last_depth - 0.1, row.last_depth * 1.06 + 0.1)
    if row.last_value is None or row.best_is_last:
        return
    x, arm = row.last_depth * 1.05, 0.012 * row.last_depth
    ends = [row.unseen, row.unseen, row.last_value, row.last_value]
    ax.plot([x - arm, x, x, x - arm], ends, color=style.UNSEEN, linewidth=1.4)
    scope = next((scope for scope in SCOPES if lead_bounds(row, scope)), None)
    lead = lead_bounds(row, scope) if scope else None
    if lead is not None and scope is not None:
        words = (
            f"an earlier layer beats\nthe last by {decimals(lead.low, sign=True)}\nto {decimals(lead.high, sign=True)}"
            f"{level(row.metric, scope)}"
        )
        ax.annotate(
            words, (x, (row.unseen + row.last_value) / 2), xytext=(8, 0), textcoords="offset points", va="center",
            color=style.UNSEEN, size=HEAD, annotation_clip=False,
        )  # fmt: skip


def _folds(hero: Hero) -> str:
    return style.Averages(hero.row.n_folds, hero.row.n_seeds).words().removeprefix("mean of ")
