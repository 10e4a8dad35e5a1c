"""A figure: its message above the panels, its legend and its caption below them, written as SVG and PNG."""

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

from stages.aggregate.charts import theme
from stages.aggregate.charts.theme import SIZE, SOFT, Look, Spec
from stages.aggregate.curves import CURVE
from stages.aggregate.findings.outcomes import DatasetFindings

WIDTH = 504
"""Points: 7 inches, two columns of a printed page."""
EDGE, AXIS, GAP = 6, 26, 12
"""Points around everything, of the labels of a vertical axis, and between panels."""
DPI = 300
TITLE, SMALL = SIZE + 2.5, SIZE - 0.5
"""Points of the message, and of the caption."""
LEADING = SIZE * 1.55
"""Points of a line of a legend or heading."""
BOLD, PLAIN = 0.545, 0.485
"""Mean width of a letter in the size of the font; a line of text ends a little early rather than too late."""

ONE: Spec = {"values": [{}]}
"""Data for a mark that is drawn once, at a place given in points."""
INDEPENDENT: Spec = {"scale": {"color": "independent", "shape": "independent", "strokeDash": "independent"}}

Entry = tuple[str, list[Spec]]
"""A line of a legend: its words, and the marks that are their sample."""


@dataclass(frozen=True)
class Words:
    """What a figure says.

    Attributes:
        message: a sentence, which a reader should take away.
        caption: what else must be known to read the figure.
    """

    message: str
    caption: str


def records(table: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as JSON has them: None for a missing value."""
    rows = table[list(columns)]
    return rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[return-value]


def main_rows(findings: DatasetFindings, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of a dataset's main curves."""
    return table.merge(pd.DataFrame([vars(row) for row in findings.rows])[CURVE], on=CURVE)


def panel(
    layers: Sequence[Spec], sets: Mapping[str, Sequence[Any]], size: tuple[float, float], heading: Sequence[Spec] = ()
) -> Spec:
    """One chart of a figure: its layers with the rows of the data sets that they name, below its heading."""
    filled = [
        part | {"data": {"values": sets.get(part["data"]["name"], [])}}
        | {"encoding": {channel: own for channel, own in part["encoding"].items() if channel != "tooltip"}}
        for part in layers
    ]  # fmt: skip
    return {"width": size[0], "height": size[1], "layer": [*filled, *heading]}


def heading(index: int, count: int, text: str, subtitle: str = "", color: str = SOFT) -> list[Spec]:
    """Head one of several panels by its letter and two lines; a single panel has no letter."""
    letter = f"({'abcdefghijklmnopqrstuvwxyz'[index % 26]}) " if count > 1 else ""
    bold = _text(f"{letter}{text}", 0, -8 - bool(subtitle) * LEADING, fontWeight="bold")
    return [*([bold] if text else []), *([_text(subtitle, 0, -8, color=color)] if subtitle else [])]


def explain_marks(
    field: str, looks: Mapping[str, Look], rows: Sequence[Spec], levels: Iterable[str], names: Mapping[str, str] = {}
) -> list[Entry]:
    """Give the legend of what `line_layers` draws: the lines, the best points and ties, and what scores compare with.

    Args:
        field, looks: of the lines.
        rows: the points of all panels.
        levels: kinds of levels.
        names: words for lines and levels, where they are not their names.
    """
    used = {row[field] for row in rows}
    dot = {"type": "point", "color": next(iter(looks.values())).color, "opacity": 1, "size": 26}
    entries = [(names.get(name, name), look.sample()) for name, look in looks.items() if name in used]
    entries += [("best layer", [dot | {"size": 104, "strokeWidth": 1.4}])] if any(r.get("best") for r in rows) else []
    if any(row.get("tied") is not None for row in rows):
        tied, worse = dot | {"filled": True}, dot | {"fill": theme.GROUND}
        entries += [("ties with the best", [tied]), ("worse than the best", [worse])]
    if any(row.get("tied", True) is None and row.get("split") != "seen" for row in rows):
        entries += [("ties not known", [dot | {"fill": theme.PALE}])]
    return entries + [(names.get(kind, kind), [theme.level_mark(kind)]) for kind in sorted(levels, reverse=True)]


def inner_width(columns: int) -> float:
    """Points of each of so many panels beside each other, without their axis."""
    return (WIDTH - 2 * EDGE - GAP * (columns - 1)) / columns - AXIS - 4


def figure(
    panels: Sequence[Spec], words: Words, *, columns: int = 1, legend: Sequence[Entry] = (), per_line: int = 3,
    axis: float = AXIS,
) -> Spec:  # fmt: skip
    """Put panels, legend and words together.

    Args:
        panels: read line by line.
        words: above and below them.
        columns: of panels.
        legend: samples and their words, read line by line.
        per_line: entries of the legend in one line.
        axis: points that the labels of the vertical axes take.
    """
    text = theme.config(theme.FONT, SIZE)
    text["axisY"] = {"minExtent": axis, "maxExtent": axis, "tickCount": 6}
    below = [*([_legend(legend, per_line, axis)] if legend else []), _caption(words.caption, axis)]
    return {
        "description": f"{words.message}. {words.caption}",
        "title": {"text": _fill(words.message, TITLE * BOLD), "fontSize": TITLE, "frame": "bounds", "offset": 8},
        "vconcat": [{"concat": list(panels), "columns": columns, "spacing": GAP, "resolve": INDEPENDENT}, *below],
        "padding": EDGE,
        "config": text,
        "background": "white",
        "spacing": 8,
    }


def _fill(text: str, letter: float) -> list[str]:
    """Break a text into lines, but none within a number and its unit."""
    whole = re.sub(r" (?=[%=])|(?<==) |(?<=CKA) ", "\N{NO-BREAK SPACE}", text)  # `95 %`, `ddof = 1`, `CKA 0.64`
    return textwrap.wrap(whole, int((WIDTH - 2 * EDGE) / letter)) or [""]


def _legend(entries: Sequence[Entry], columns: int, axis: float) -> Spec:
    width, layers = (WIDTH - 2 * EDGE) / columns, []
    for i, (words, marks) in enumerate(entries):
        x, y = i % columns * width - axis, (i // columns + 0.5) * LEADING
        for mark in marks:
            ends = {} if mark["type"] == "point" else {"x2": {"value": x + 22}}
            place = {"x": {"value": x if ends else x + 11}, "y": {"value": y}}
            layers.append({"data": ONE, "mark": mark, "encoding": place | ends})
        layers.append(_text(words, x + 28, y, baseline="middle"))
    return {
        "width": inner_width(1) + AXIS - axis,
        "height": math.ceil(len(entries) / columns) * LEADING,
        "layer": layers,
    }


def _caption(words: str, axis: float) -> Spec:
    lines, leading = _fill(words, SMALL * PLAIN), SMALL * 1.25
    text = _text(lines, -axis, 0, baseline="top", lineHeight=leading, fontSize=SMALL, color=SOFT)
    return text | {"width": inner_width(1) + AXIS - axis, "height": len(lines) * leading}


def _text(words: str | list[str], x: float, y: float, **look: Any) -> Spec:
    mark = {"type": "text", "text": words, "align": "left"} | look
    return {"data": ONE, "mark": mark, "encoding": {"x": {"value": x}, "y": {"value": y}}}


def with_notice(spec: Spec, notice: str) -> Spec:
    """Put a notice, if there is one, above the message of a figure."""
    title = spec["title"]
    return spec | {"title": title | {"text": [*_fill(notice, TITLE * BOLD), *title["text"]]}} if notice else spec


def write_figure(png: Path, svg: Path, spec: Spec) -> None:
    """Draw a figure as both, byte for byte alike for the same specification; their folders are made."""
    for path in (png, svg):
        path.parent.mkdir(parents=True, exist_ok=True)
    drawn = draw_svg(spec)
    svg.write_text(drawn, encoding="utf-8")
    png.write_bytes(vl_convert.svg_to_png(drawn, ppi=DPI))


def draw_svg(spec: Spec) -> str:
    """Draw a specification, on paper, as SVG that screen readers can read out."""
    text = json.dumps(spec, allow_nan=False)
    for name, color in theme.PRINT.items():
        text = text.replace(f'"{name}"', f'"{color}"')
    drawn: str = vl_convert.vegalite_to_svg(text)
    numbers: dict[str, str] = {}
    drawn = re.sub(  # Vega counts them on from figure to figure
        r'(?<=[#"])(clip|gradient_)\d+(?=["\)])', lambda m: numbers.setdefault(m[0], f"{m[1]}{len(numbers)}"), drawn
    )
    message, caption = " ".join(spec["title"]["text"]), spec["description"]
    about = f'role="img"><title>{escape(message)}</title><desc>{escape(caption)}</desc>'
    return drawn.replace(">", f" {about}", 1)
