"""Numbers, intervals and lists as words, the same in the verdict, the findings and the documents."""

from collections.abc import Iterable, Sequence

import pandas as pd

from stages.aggregate.uncertainty.bootstrap import LEVEL, UNPROVEN, WIDTHS

Row = pd.Series  # one row of summary.csv


def number(value: float, sd: float = float("nan"), form: str = "{} ± {}") -> str:
    """Write a value with three decimals and its standard deviation, if there is one; an en dash for a missing value."""
    if pd.isna(value):
        return "–"
    return decimals(value) if pd.isna(sd) else form.format(decimals(value), decimals(sd))


def decimals(value: float, *, sign: bool = False) -> str:
    """Write three decimals, and no minus before zero."""
    rounded = round(float(value), 3) + 0.0
    return f"{rounded:+.3f}" if sign else f"{rounded:.3f}"


def interval(row: Row, name: str) -> str:
    """Write the columns `<name>_low` and `<name>_high` as `[low, high]`; nothing where they are missing or empty."""
    low, high = known(row, f"{name}_low"), known(row, f"{name}_high")
    return "" if low is None or high is None else f"[{decimals(low)}, {decimals(high)}]"


def intervals_of(metric: str) -> str:
    """Name a score's intervals, with their level where simulation bears it out."""
    proven = (metric in WIDTHS and metric not in UNPROVEN) or metric.startswith("ood_")
    return f"{100 * LEVEL:.0f} % intervals" if proven else "intervals of no proven level"


def with_interval(row: Row, value: str, limits: str, *, sd: str = "", sign: bool = False) -> str:
    """Write one column's value, the standard deviation of another, and the interval of `<limits>_low`, `<limits>_high`.

    What is missing is left out; a missing value is an en dash.
    """
    written, spread = known(row, value), known(row, sd)
    text = "–" if written is None else decimals(written, sign=sign)
    text += "" if spread is None else f" ± {decimals(spread)}"
    return f"{text} {interval(row, limits)}".rstrip()


def known(row: Row, name: str) -> float | None:
    """A number of a row, or None where there is no such column or it is empty."""
    value = row.get(name)
    return None if value is None or pd.isna(value) else float(value)


def lower_is_better(row: Row) -> bool:
    """Tell whether a row's score is the better the lower it is; without a column `better` it is not."""
    return bool(row.get("better") == "lower")


def beaten_by(row: Row) -> str | None:
    """Name what no layer of a summary row beats: `raw pixels`, else `chance`, with its score; None if it beats both."""
    sign = -1 if lower_is_better(row) else 1
    for column, name in (("baseline", "raw pixels"), ("chance", "chance")):
        level = known(row, column)
        if level is not None and sign * float(row["unseen"]) <= sign * level:
            return f"{name} ({number(level)})"
    return None


def joined(names: Sequence[str]) -> str:
    """Join names as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def runs(depths: Sequence[int]) -> str:
    """Name ascending whole numbers by their runs: `3`, `3 and 5`, `1, 3 to 5 and 8`."""
    spelled = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else list(map(str, run)) for run in consecutive(depths)]
    return joined([text for run in spelled for text in run])


def consecutive(numbers: Iterable[int]) -> list[list[int]]:
    """Split ascending whole numbers into runs without a gap."""
    groups: list[list[int]] = []
    for value in numbers:
        if groups and value == groups[-1][-1] + 1:
            groups[-1].append(value)
        else:
            groups.append([value])
    return groups


def depths_of(best_set: object) -> list[int]:
    """Read the depths of a `best_set` (`3;4;5`, or a number where it is a single one); none where it is missing."""
    text = "" if best_set is None else str(best_set)
    return [] if text in ("", "nan", "<NA>") else sorted(int(float(depth)) for depth in text.split(";"))
