"""How the lines and dots of the depth figures look, and their legend, of which each line shows its own look."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stages.aggregate.figures import style
from stages.aggregate.figures.bands import has_ties, interval_scope
from stages.aggregate.words.formatting import joined
from stages.shared.embeddings.split_names import SEEN, UNSEEN

SPLIT_LOOKS = {UNSEEN: (style.UNSEEN, "unseen"), SEEN: (style.SEEN, "seen")}
"""Colour and name of each split: a line of chance or of raw pixels belongs to one of them."""

FOLD_LINE: dict[str, Any] = {"color": style.UNSEEN, "alpha": 0.45, "linewidth": 0.6}

DOT: dict[str, Any] = {"marker": "o", "linestyle": "none", "markeredgecolor": style.UNSEEN, "markeredgewidth": 1.1}

LINE: dict[str, dict[str, Any]] = {
    "last": {"linewidth": 1.5, "marker": "o", "markersize": 3.4, "markeredgewidth": 0.0},
    "first": {"linewidth": 1.0, "marker": "o", "markersize": 2.4, "markeredgewidth": 0.0},
    "tied": DOT | {"markersize": 4.4, "markerfacecolor": style.UNSEEN},
    "worse": DOT | {"markersize": 4.4, "markerfacecolor": "white"},
    "ring": DOT | {"markersize": 9.0, "markerfacecolor": "none", "markeredgewidth": 1.3},
}
"""What is drawn, and its look."""


def depth_legend(points: pd.DataFrame, levels: Mapping[str, Sequence[str]], *, folds: bool) -> list[tuple[Any, str]]:
    """Explain what the panels have in common.

    Args:
        points: of all panels.
        levels: `raw pixels` and `chance` -> the splits that have such a line.
        folds: whether single folds are drawn.
    """
    steps = points.loc[points["split"] == UNSEEN, "step"]
    entries: list[tuple[Any, str]] = [(Line2D([], [], color=style.UNSEEN, **LINE["last"]), "unseen classes")]
    if (points["split"] == SEEN).any():
        entries.append((Line2D([], [], color=style.SEEN, **LINE["last"]), "seen classes"))
    if steps.nunique() > 1:
        entries.append((Line2D([], [], color=style.FIRST, **LINE["first"]), f"unseen classes at step {steps.min()}"))
    entries += [(Line2D([], [], **LINE["ring"]), "best layer")] if _has_best(points) else []
    if has_ties(points):
        entries.append((Line2D([], [], **LINE["tied"]), "ties with the best"))
        entries.append((Line2D([], [], **LINE["worse"]), "worse than the best"))
    entries += [(Line2D([], [], **FOLD_LINE), "unseen classes of one fold")] if folds else []
    if interval_scope(points):
        entries.append((Patch(color=style.UNSEEN, alpha=style.BAND_ALPHA, linewidth=0.0), "interval of unseen classes"))
    return entries + [_level(name, splits) for name, splits in levels.items()]


def _has_best(points: pd.DataFrame) -> bool:
    return bool((points["better"] != "neither").any())


def level_look(name: str, split: str) -> dict[str, Any]:
    """How a line of chance or of raw pixels looks; where both splits' lines coincide, their dashes take turns."""
    _, dashes = style.LEVELS[name]["linestyle"]
    shift = sum(dashes) / 2 if split == SEEN else 0
    return {**style.LEVELS[name], "color": SPLIT_LOOKS[split][0], "linestyle": (shift, dashes)}


def _level(name: str, splits: Sequence[str]) -> tuple[Any, str]:
    """A line of each split's colour beside each other, and the splits' names."""
    lines = tuple(Line2D([], [], **(style.LEVELS[name] | {"color": SPLIT_LOOKS[split][0]})) for split in splits)
    return lines, f"{name}, {joined([SPLIT_LOOKS[split][1] for split in splits])}"
