"""Labels at the right end of lines, moved apart where they would overlap."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from stages.aggregate.figures.style import LEVELS, TEXT, lay_out, text_color


class EndLabels:
    """Labels at the right end of an axes' lines, moved apart where they would overlap.

    Add labels while drawing, then `settle` once the figure is laid out. Nothing is written unless `shown`.
    """

    def __init__(self, ax: Axes, *, shown: bool = True) -> None:
        self.ax = ax
        self.shown = shown
        self.texts: list[tuple[float, Any]] = []

    def add(self, y: float, text: str, color: str, x: float | None = None) -> None:
        """Label the line that ends at height y (in data units), at x if it ends before the right edge."""
        if not self.shown:
            return
        ends_at = (self.ax.get_xlim()[1], y) if x is None else (x, y)
        label = self.ax.annotate(
            text, ends_at, xytext=(1.03, y), textcoords=("axes fraction", "data"), color=text_color(color),
            va="center", ha="left", annotation_clip=False, fontsize=TEXT - 0.5,
        )  # fmt: skip
        self.texts.append((y, label))

    def add_levels(self, levels: Mapping[str, float], *, color: str | None = None, of: str = "") -> None:
        """Draw and label a horizontal line at each of `LEVELS` that has a value.

        Args:
            levels: name -> height.
            color: in the place of the levels' own.
            of: what follows the name in a label, for example `, seen`.
        """
        for text, look in LEVELS.items():
            if text in levels:
                own = look | ({"color": color} if color else {})
                self.ax.axhline(levels[text], zorder=1, **own)
                self.add(levels[text], f"{text}{of}", own["color"])

    def confine(self) -> None:
        """Put labels of lines that end outside the axes at its edge, else the layout would make room for them there."""
        low, high = self.ax.get_ylim()
        for y, label in self.texts:
            label.set_y(min(max(y, low), high))

    def settle(self) -> None:
        """Move labels apart, and join those that moved to their line's end with a hairline."""
        low, high = self.ax.get_ylim()
        height = self.ax.get_window_extent().height / self.ax.figure.dpi * 72  # points
        gap = (TEXT + 1.0) * (high - low) / height
        self.texts.sort(key=lambda item: item[0])
        for (y, label), moved in zip(self.texts, spread([y for y, _ in self.texts], gap, low, high), strict=True):
            label.set_y(moved)
            x, shown = label.xy[0], min(max(y, low), high)
            edge = self.ax.transData.inverted().transform(self.ax.transAxes.transform((1.02, 0)))[0]
            self.ax.plot(
                [x, edge], [shown, moved], color=label.get_color(), linewidth=0.4, clip_on=False, scalex=False,
                scaley=False, solid_capstyle="butt", zorder=1,
            )  # fmt: skip


def settle(figure: Figure, labels: list[EndLabels]) -> None:
    """Lay the figure out, then move every axes' labels apart."""
    for each in labels:
        each.confine()
    lay_out(figure)
    for each in labels:
        each.settle()


def spread(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending positions as little as possible (least squares) so that neighbours are `gap` apart.

    The result stays within [low, high] where there is room.
    Computed by isotonic regression of the positions less their rank times the gap.
    """
    steps = gap * np.arange(len(positions))
    flat = isotonic_regression(np.asarray(positions) - steps).x if positions else steps
    top = high - gap * (len(positions) - 1)
    return list(np.maximum(np.minimum(flat, top), low) + steps)
