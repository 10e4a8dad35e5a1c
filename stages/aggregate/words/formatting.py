"""Numbers, intervals, layers and lists as text, alike in the verdict, the findings, the documents and the figures."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from wcwidth import clip, wcswidth, wrap

from ..names import Parts

MISSING = "–"


def number(value: float | None, sd: float | None = None) -> str:
    """Write a value with three decimals and its standard deviation, if there is one; an en dash for a missing value."""
    if value is None or math.isnan(value):
        return MISSING
    return decimals(value) if sd is None or math.isnan(sd) else f"{decimals(value)} ± {decimals(sd)}"


def decimals(value: float, *, sign: bool = False) -> str:
    """Write three decimals, and no minus before zero."""
    rounded = round(float(value), 3) + 0.0
    return f"{rounded:+.3f}" if sign else f"{rounded:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """Write `[low, high]`; nothing where an end is missing."""
    return "" if low is None or high is None else f"[{decimals(low)}, {decimals(high)}]"


def change_interval(value: float, low: float, high: float) -> str:
    """Write a difference and its interval, all with their signs."""
    value_words, *ends = (decimals(number, sign=True) for number in (value, low, high))
    return f"{value_words} [{', '.join(ends)}]"


def percent(share: float) -> str:
    """Write a share as whole percents, a small one as `under 1%`."""
    return f"{100 * share:.0f}%" if share >= 0.01 or share == 0 else "under 1%"


def place(depth: int, last_depth: int) -> str:
    """Count a layer from 1 at the input side: `8 of 9`; depth counts from 0."""
    return f"{depth + 1} of {last_depth + 1}"


def layers(depths: Iterable[int]) -> str:
    """Name layers of ascending depths by number, from 1: `layer 3`, `layers 1, 3-5 and 8`."""
    numbers = [depth + 1 for depth in depths]
    return f"layer{'s' if len(numbers) > 1 else ''} {joined(_runs(numbers))}"


def runs(depths: Iterable[int]) -> str:
    """Number layers of ascending depths from 1, briefly: `1, 3-5, 8`."""
    return ", ".join(_runs([depth + 1 for depth in depths]))


def capitalized(text: str) -> str:
    """Write a text with a capital, as a sentence starts."""
    return text[:1].upper() + text[1:]


def plural(count: int, what: str) -> str:
    """Count things: `1 network`, `2 networks`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def of_parts(text: str, parts: Parts) -> str:
    """Call the choices of unseen classes what they are in a study, its folds or its sets, in a text about folds."""
    return text if parts == "folds" else text.replace("fold", "set").replace("Fold", "Set")


def joined(names: Sequence[str]) -> str:
    """Join names as a list in a sentence: `a`, `a and b`, `a, b and c`; no names give no text."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def short_names(layers: Iterable[str], limit: int = 18) -> list[str]:
    """Shorten layer names for an axis: drop the dotted prefix they share, cut the middle of what is still too long."""
    parts = [name.partition("@")[0].split(".") for name in layers]
    shared = 0
    while len(parts) > 1 and all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return [shorten(".".join(p[shared:]), limit) for p in parts]


def numbered(layers: Iterable[str], limit: int = 18) -> list[str]:
    """Number layers from 1, with their short names."""
    return [f"{number} {name}" for number, name in enumerate(short_names(layers, limit), 1)]


def wrapped(text: str, width: int) -> str:
    """Fill lines of so many terminal columns; paths, `[0.1, 0.2]` and `95%` stay whole, and control codes harmless."""
    whole = re.sub(r"(\[\S+,|\d) (?=\S+\]|%)", "\\1\N{NO-BREAK SPACE}", harmless(text))
    lines = wrap(
        whole, width, line_break="ascii", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def harmless(text: str) -> str:
    r"""Write what a terminal would obey, or does not show, as an escape: `\x1b`, `\u202e`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shorten(text: str, limit: int) -> str:
    """Cut the middle of a text that takes more than `limit` columns, of which a wide character takes two."""
    columns = wcswidth(text)
    if columns <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{clip(text, 0, limit - 1 - tail).rstrip()}…{clip(text, columns - tail, columns).lstrip()}"


def _runs(numbers: Sequence[int]) -> list[str]:
    """Name ascending whole numbers by their runs without a gap: `3`, `3`, `5`, or `1`, `3-5`, `8`."""
    names: list[str] = []
    for _, pairs in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):  # the same along a run
        run = [number for _, number in pairs]
        names += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
    return names
