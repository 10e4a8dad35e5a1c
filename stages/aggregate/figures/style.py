"""How every figure looks, and how it becomes files: byte-identical SVG and PNG for the same numbers."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.ticker
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito's colours, told apart with every common kind of colour blindness.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    *("#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9", "#222222"),
)
UNSEEN, SEEN, FIRST, ACCURACY = BLUE, VERMILION, "#85B9DB", BLACK
BASELINE, CHANCE = "#666666", "#8C8C8C"

Dashes = Literal["-"] | tuple[float, tuple[float, ...]]
BASELINE_DASHES: Dashes = (0, (4, 2))
CHANCE_DASHES: Dashes = (0, (1, 1.5))
MODELS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES: tuple[Dashes, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""Models beyond the palette repeat its colours with the next line style."""

WIDTH = 7.0
"""Inches: two columns of a printed page."""

TEXT = 7.0
"""Points: every label; titles are one point larger."""

BAND_ALPHA = 0.22

RC: Any = {
    "svg.hashsalt": "whichlayer",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.titlesize": TEXT + 1,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": TEXT - 0.5,
    "ytick.labelsize": TEXT - 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.hspace": 0.06,
    "savefig.dpi": 300,
}


def draw(folder: Path, name: str, make: Callable[[], Figure]) -> None:
    """Make a figure under the common style and write `<name>.svg` and `<name>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):
        figure = make()
        lay_out(figure)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})


def model_style(index: int) -> dict[str, Any]:
    """Colour and line style of the grid's index-th model."""
    return {"color": MODELS[index % len(MODELS)], "linestyle": DASHES[index // len(MODELS) % len(DASHES)]}


def score_axis(ax: Axes, low: float, high: float) -> None:
    """Start a score's axis at 0 (below it if scores are negative) and leave some room above the highest point.

    A score that is no share (above 2) and spans a factor of 30 gets a logarithmic axis.
    """
    if high > 2 and low > 0 and high / low > 30:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.3, high * 1.5)
        ax.grid(axis="y", color="#E6E6E6", linewidth=0.5)
        ax.set_axisbelow(True)
        return
    bottom = 0.0 if low >= 0 else low * 1.15
    ax.set_ylim(bottom, bottom + (high - bottom) * 1.14 if high > bottom else bottom + 1)
    ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.5)
    ax.set_axisbelow(True)


def band(ax: Axes, x: Any, low: Any, high: Any, color: str) -> None:
    """Shade between two curves where both are known."""
    known = ~(pd.isna(low) | pd.isna(high))
    if known.any():
        ax.fill_between(x, low, high, where=known, color=color, alpha=BAND_ALPHA, linewidth=0.0, zorder=1)


def caption(figure: Figure, text: str) -> None:
    """Write what a figure shows above it, in as many lines as its width needs."""
    characters = int(15 * figure.get_figwidth())
    figure.suptitle(textwrap.fill(text, characters), x=0.01, ha="left", fontsize=TEXT + 1)


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
            text, ends_at, xytext=(1.03, y), textcoords=("axes fraction", "data"), color=color, va="center", ha="left",
            annotation_clip=False, fontsize=TEXT - 0.5,
        )  # fmt: skip
        self.texts.append((y, label))

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


def lay_out(figure: Figure) -> None:
    """Place everything once and for all: left to itself, a figure is laid out again for each file it is written to."""
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


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
    blocks: list[tuple[float, int]] = []  # (mean, size), ascending
    for i, position in enumerate(positions):
        block = (position - i * gap, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, size = blocks.pop()
            block = ((mean * size + block[0] * block[1]) / (size + block[1]), size + block[1])
        blocks.append(block)
    flat = [mean for mean, size in blocks for _ in range(size)]
    top = high - (len(positions) - 1) * gap
    return [max(min(mean, top), low) + i * gap for i, mean in enumerate(flat)]
