"""The horizontal axis of layers: their numbers, counted from 1 at the input side, and below them their names."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from stages.aggregate.figures.style import TEXT
from stages.aggregate.words.formatting import short_names

MOST_NUMBERS = 26
"""Layers numbered on one axis; of more, every second, third, ... one."""

TILTED = 16
"""Layers up to which names are tilted; more stand upright."""


def number_layers(
    ax: Axes,
    depths: Sequence[int],
    names: Sequence[str],
    *,
    named: bool,
    further: Sequence[tuple[float, str]] = (),
    most: int = MOST_NUMBERS,
) -> None:
    """Number the layers of an axis, and name them below their numbers.

    Args:
        ax: whose x is depth.
        depths: of the layers, ascending.
        names: of the layers.
        named: whether the names are written; where panels stand above each other, the lowest suffices.
        further: places that are no layers, and what is written there in the place of a number.
        most: layers that are numbered; of more, every second, third, ... one.
    """
    stride = math.ceil(len(depths) / most)
    shown = list(depths)[::stride]
    ticks = {float(depth): str(depth + 1) for depth in shown} | dict(further)
    ax.set_xticks(list(ticks), list(ticks.values()))
    if not named:
        return
    upright = len(shown) > TILTED
    ax.xaxis.remove_overlapping_locs = False
    ax.set_xticks(shown, short_names(names)[::stride], minor=True)
    ax.tick_params(axis="x", which="minor", length=0, pad=TEXT + 7, rotation=90 if upright else 45)
    for label in ax.get_xticklabels(minor=True):
        label.set(ha="center" if upright else "right", rotation_mode="default" if upright else "anchor")
    ax.set_xlabel(f"layer, from input (1) to output ({depths[-1] + 1})")
