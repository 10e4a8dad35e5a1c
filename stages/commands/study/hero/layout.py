"""Places in the picture of a study, in inches, and sizes of its text."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH, HEIGHT = 8.3, 7.1
"""Inches: 830 px in a page of that width."""

DPI = 200
"""Twice the page's pixels, for dense screens."""

TITLE, HEAD, TEXT = 13.0, 9.5, 8.5
"""Points: the message, the heads of panels, and the rest."""

BASE = 3.8
"""Inches: the lower end of the upper row."""

PICTURE = 0.4
"""Inches: the side of a shown image."""


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches."""
    return figure.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))


def text_at(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Text at a place given in inches."""
    figure.text(x / WIDTH, y / HEIGHT, text, {"size": TEXT, "va": "bottom"} | look)
