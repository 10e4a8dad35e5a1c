"""A figure: its message and caption above the panels, its legend below them, laid out by Vega, as SVG and PNG."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

from ..curves import CURVE
from ..findings.outcomes import DatasetFindings
from . import theme
from .theme import SIZE, SOFT, Spec

WIDTH = 504
"""Points: 7 inches, two columns of a printed page."""
EDGE, AXIS, GAP = 6, 26, 12
"""Points around everything, of the labels of a vertical axis, and between panels."""
DPI = 300
TITLE, SMALL = SIZE + 2.5, SIZE - 0.5
"""Points of the message, and of the caption."""
MESSAGE_LETTERS, CAPTION_LETTERS = 82, 130
"""Letters of a line of each."""


Words = tuple[str, str]
"""What a figure says: its message, a sentence to take away, and its caption, without which it cannot be read."""


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
    marks: list[Spec] = [{"text": f"{letter}{text}", "dy": -20 if subtitle else -8, "fontWeight": "bold"}]
    marks += [{"text": subtitle, "dy": -8, "color": color}] if subtitle else []
    text_mark, place = {"type": "text", "align": "left"}, {"x": {"value": 0}, "y": {"value": 0}}
    return [{"data": {"values": [{}]}, "mark": text_mark | own, "encoding": place} for own in marks]


def legend_of(columns: int, names: Mapping[str, str] | None = None) -> Spec:
    """The legend of lines below the panels; with names, of these lines alone and with words for their names."""
    words = {"labelExpr": f"{json.dumps(names)}[datum.label]", "values": list(names)} if names else {}
    return {"orient": "bottom", "columns": columns, "labelLimit": 0, "symbolStrokeWidth": 0} | words


def inner_width(columns: int) -> float:
    """Points of each of so many panels beside each other, without their axis."""
    return (WIDTH - 2 * EDGE - GAP * (columns - 1)) / columns - AXIS - 4


def figure(panels: Sequence[Spec], words: Words, *, columns: int = 1, axis: float = AXIS) -> Spec:
    """Put panels and words together.

    Args:
        panels: read line by line.
        words: above them.
        columns: of panels.
        axis: points that the labels of the vertical axes take.
    """
    text, (message, caption) = theme.config(theme.FONT, SIZE), words
    text["axisY"] = {"minExtent": axis, "maxExtent": axis, "tickCount": 6}
    title = {"text": _fill(message, MESSAGE_LETTERS), "fontSize": TITLE, "frame": "bounds", "offset": 8}
    subtitle = {"subtitle": _fill(caption, CAPTION_LETTERS), "subtitleFontSize": SMALL, "subtitleColor": SOFT}
    return {
        "description": f"{message}. {caption}",
        "title": title | subtitle,
        "concat": list(panels),
        "columns": columns,
        "spacing": GAP,
        "resolve": {"scale": dict.fromkeys(("color", "fill", "shape", "strokeDash"), "independent")},
        "padding": EDGE,
        "config": text,
        "background": "white",
    }


def _fill(text: str, letters: int) -> list[str]:
    """Break a text into lines, but none within a number and its unit."""
    whole = re.sub(r" (?=[%=])|(?<==) |(?<=CKA) ", "\N{NO-BREAK SPACE}", text)  # `95%`, `ddof = 1`, `CKA 0.64`
    return textwrap.wrap(whole, letters) or [""]


def with_notice(spec: Spec, notice: str) -> Spec:
    """Put a notice, if there is one, above the message of a figure."""
    title = spec["title"]
    return spec | {"title": title | {"text": [*_fill(notice, MESSAGE_LETTERS), *title["text"]]}} if notice else spec


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
