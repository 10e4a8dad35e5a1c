"""A figure with room for its panels: the message above them, the legend and the details below, none over a line."""

import math
import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend_handler import HandlerTuple
from matplotlib.textpath import text_to_path

from stages.aggregate.figures.style import DETAILS, TEXT, WIDTH

TITLE = TEXT + 2.5
"""Points: the message."""

SMALL = TEXT - 0.5
"""Points: the details."""

BOLD, PLAIN = FontProperties(size=TITLE, weight="bold"), FontProperties(size=SMALL)
"""Of the message, and of the details."""

LEADING = 1.35
"""Height of a line of text in its size."""

HINTED = 0.96
"""Share of a line that text may measure: in pixels, letters are a little wider than their outlines."""

EDGE = 0.08
"""Inches around everything."""

Handles = Sequence[tuple[Any, str]]
"""What a legend shows, a line or several of them beside each other, and its words."""


def framed(
    message: str, details: str, height: float, *, width: float = WIDTH, legend: Handles = (), columns: int = 3
) -> Figure:
    """Make a figure whose panels are still to be drawn, between its message and its legend and details.

    Args:
        message: a sentence, which a reader should take away.
        details: what else must be known to read the figure.
        height: of the panels, in inches.
        width: of the figure, in inches.
        legend: in the order in which it is read, line by line.
        columns: of the legend.
    """
    title, notes = fill(message, width, BOLD), fill(details, width, PLAIN)
    rows = math.ceil(len(legend) / columns)
    above, below = _inches(title, TITLE) + 0.06, _inches(notes, SMALL) + 0.02
    keys = rows * TEXT * 1.55 / 72
    whole = height + above + below + keys
    figure = Figure(figsize=(width, whole), layout="constrained")
    left = EDGE / width
    for text in (
        figure.suptitle(title, x=left, y=1 - EDGE / whole, ha="left", va="top", fontsize=TITLE, weight="bold"),
        figure.supxlabel(
            notes, x=left, y=EDGE / whole, ha="left", va="bottom", fontsize=SMALL, color=DETAILS,
            linespacing=LEADING - 0.15,
        ),
    ):  # fmt: skip
        text.set_in_layout(False)
    if legend:
        handles, labels = zip(*_by_column(legend, columns), strict=True)
        figure.legend(
            list(handles), list(labels), loc="lower left", bbox_to_anchor=(0, below / whole), ncols=columns,
            frameon=False, borderaxespad=0.3, columnspacing=1.4, handlelength=2.6,
            handler_map={tuple: HandlerTuple(ndivide=None, pad=0.4)},
        ).set_in_layout(False)  # fmt: skip
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, (below + keys) / whole, 1, (height) / whole))  # type: ignore[call-arg]
    return figure


def message_of(figure: Figure) -> str:
    """The message of a framed figure, in one line."""
    return " ".join(figure.get_suptitle().split())


def details_of(figure: Figure) -> str:
    """The details of a framed figure, in one line."""
    return " ".join(figure.get_supxlabel().split())


def fill(text: str, width: float, font: FontProperties) -> str:
    """Break a text into lines of at most `width` inches, but none within a number and its unit."""
    whole = re.sub(r" (?=[%=])|(?<==) |(?<=CKA) ", "\N{NO-BREAK SPACE}", text)  # `95 %`, `ddof = 1`, `CKA 0.64`
    room = (width - 2 * EDGE) * 72 * HINTED
    lines: list[str] = []
    for word in whole.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_to_path.get_text_width_height_descent(longer, font, False)[0] > room:
            lines.append(word)
        else:
            lines[-1:] = [longer]
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def head(ax: Axes, index: int, count: int, text: str, color: str) -> None:
    """Head one of several panels by its letter and a line of text; a single panel has no letter."""
    ax.set_title("abcdefghijklmnopqrstuvwxyz"[index % 26] if count > 1 else " ", loc="left")
    label = ax.annotate(
        text, (0, 1), xytext=(TEXT * 1.5 if count > 1 else 0, 6), textcoords="offset points", xycoords="axes fraction",
        color=color, annotation_clip=False,
    )  # fmt: skip
    label.set_in_layout(False)  # a panel is no narrower for it


def _inches(lines: str, size: float) -> float:
    return (lines.count("\n") + 1) * size * LEADING / 72 + EDGE if lines else EDGE


def _by_column(legend: Handles, columns: int) -> list[tuple[Any, str]]:
    """Reorder what is read line by line for matplotlib, which fills column after column, the first ones fuller."""
    return [entry for column in range(columns) for entry in legend[column::columns]]
