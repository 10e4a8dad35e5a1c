"""The page's data as one block of JSON: tables column by column, rounded, safe inside an HTML script element."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

DECIMALS = 3
"""Of every number on the page, as in all texts; the tables beside it have full precision."""

UNSAFE = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
"""What could end a script element, start a comment in it, or break a line of JavaScript, and its escape in JSON."""

Columns = dict[str, list[Any]]
"""Column -> its values, all of the same length."""


def script_json(data: Any) -> str:
    """Write data as compact JSON that may stand in a script element, whatever text it holds.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(UNSAFE)


def rounded(value: Any) -> float | int | None:
    """Round a number to `DECIMALS`, a whole one to an int, which is shorter; None where it is missing or infinite."""
    if value is None or pd.isna(value) or not math.isfinite(value):
        return None
    number = round(float(value), DECIMALS)
    return int(number) if number.is_integer() else number


def numbers(values: Iterable[Any]) -> list[float | int | None]:
    """Round many."""
    return [rounded(value) for value in values]


def codes(values: Iterable[Any], names: Sequence[Any]) -> list[int]:
    """Replace names by their place in a list.

    Raises:
        KeyError: a value is not in the list.
    """
    place = {name: i for i, name in enumerate(names)}
    return [place[value] for value in values]


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
    """Turn rows into columns."""
    return {name: [row[name] for row in rows] for name in names}
