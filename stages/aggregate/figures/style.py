"""How every figure looks, and how it becomes files: byte-identical SVG and PNG for the same numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.colors
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito's colours (2008), distinguishable with every common kind of colour blindness.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
BLACK = "#222222"
UNSEEN, SEEN, FIRST, ACCURACY = BLUE, VERMILION, "#6FB1DD", BLACK
BASELINE, CHANCE, ASIDE, DETAILS = "#5E5E5E", "#6E6E6E", "#6C6C6C", "#444444"

Dashes = Literal["-"] | tuple[float, tuple[float, ...]]
BASELINE_DASHES: Dashes = (0, (4, 2))
CHANCE_DASHES: Dashes = (0, (1, 1.5))
LEVELS: dict[str, Any] = {
    "raw pixels": {"color": BASELINE, "linestyle": BASELINE_DASHES, "linewidth": 0.9},
    "chance": {"color": CHANCE, "linestyle": CHANCE_DASHES, "linewidth": 0.9},
}
"""Horizontal lines that scores compare with, and their looks."""

MODELS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""A model's marker goes with its colour, so that it is known without colour."""
CONTRAST = 4.5
"""Of text on white, at least (WCAG 2.2, level AA)."""
DASHES: tuple[Dashes, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""Models beyond the palette repeat its colours with the next line style."""

WIDTH = 7.0
"""Inches: two columns of a printed page."""

TEXT = 8.0
"""Points: every label. In a figure of `WIDTH`, shown 830 px wide, that is 13 px."""

SMALLEST = 5.5
"""Points that text must have at least: 9 px in a figure of `WIDTH` that is shown 830 px wide."""

BAND_ALPHA = 0.22

RC: Any = {
    "svg.hashsalt": "whichlayer",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.titlesize": TEXT + 0.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
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

PLACES = 6
"""Decimal places of where a panel stands, as a share of the figure."""


def draw(png: Path, svg: Path, make: Callable[[], Figure]) -> None:
    """Make a figure under the common style and write it as both; their folders are made."""
    for path in (png, svg):
        path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):
        figure = make()
        lay_out(figure)
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
        figure.savefig(png, metadata={"Software": None})


def model_style(index: int) -> dict[str, Any]:
    """Colour, marker and line style of the grid's index-th model."""
    place, again = index % len(MODELS), index // len(MODELS)
    return {"color": MODELS[place], "marker": MARKERS[place], "linestyle": DASHES[again % len(DASHES)]}


def contrast(color: str) -> float:
    """Contrast of a colour with white, from 1 to 21 (WCAG 2.2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(color)]
    return 1.05 / (float(np.dot([0.2126, 0.7152, 0.0722], linear)) + 0.05)


@cache
def text_color(color: str) -> str:
    """Darken a line's colour until text in it can be read on white."""
    red, green, blue = mpl.colors.to_rgb(color)
    shades = (mpl.colors.to_hex((red * s, green * s, blue * s)) for s in np.arange(1, 0, -0.02).tolist())
    return next(shade for shade in shades if contrast(shade) >= CONTRAST)


def score_axis(ax: Axes, low: float, high: float) -> None:
    """Start a score's axis at 0 (below it if scores are negative) and leave some room above the highest point.

    A score that is no share (above 2) and spans a factor of 30 gets a logarithmic axis.
    """
    if high > 2 and low > 0 and high / low > 30:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.3, high * 1.5)
        return
    bottom = 0.0 if low >= 0 else low * 1.15
    ax.set_ylim(bottom, bottom + (high - bottom) * 1.14 if high > bottom else bottom + 1)
    ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))


@dataclass(frozen=True)
class Averages:
    """Over how many folds of unseen classes, and seeds of each, the values of a figure are means."""

    n_folds: int
    n_seeds: int

    @property
    def vary(self) -> bool:
        """Whether values have a standard deviation."""
        return self.n_folds > 1 or self.n_seeds > 1

    def words(self, bars: str = "") -> str:
        """Say it in a caption, and what the bars are, if there are any."""
        seeds = f"{self.n_seeds} seeds" if self.n_seeds > 1 else "one seed"
        if self.n_folds > 1:
            return f"mean of {self.n_folds} folds, {seeds} each{bars}"
        return f"mean of {seeds}{bars}" if self.n_seeds > 1 else seeds

    @property
    def bars(self) -> str:
        """What bars of one standard deviation are."""
        return f"± 1 standard deviation over {'folds' if self.n_folds > 1 else 'seeds'} (ddof = 1)"


def lay_out(figure: Figure) -> None:
    """Place everything once and for all: left to itself, a figure is laid out again for each file it is written to.

    Positions are rounded, since the last digits of matplotlib's layout depend on where its solver's variables lie in
    memory, and SVG files name their clip paths by all digits.
    """
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for ax in figure.axes:
            left, bottom, width, height = (round(share, PLACES) for share in ax.get_position(original=True).bounds)
            ax.set_position((left, bottom, width, height))
