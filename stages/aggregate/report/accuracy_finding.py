"""Finding (i), "high accuracy does not imply generalization": do accuracy and g order networks alike?

The claim is about accurate networks: one whose accuracy is not distinguishable from chance is set aside, and so is one
without an accuracy of its own, which was measured as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from stages.aggregate.curves import CURVE
from stages.aggregate.formatting import estimate, joined, number
from stages.aggregate.metric_info import metric_name
from stages.aggregate.points import spearman
from stages.aggregate.report.status import Status, beaten_by
from stages.aggregate.tables.summary import SummaryRow

CLAIM = "(i) High accuracy on seen classes does not imply generalization"
CAUTION = (
    "g is the best layer's score on unseen classes. Brackets: {intervals} over images, the trained networks as they "
    "are; training again may change more. The networks were chosen, not sampled. Checkpoints of one run share its "
    "history, so that training is described here, not tested."
)

ENOUGH = 10
"""Networks below which a rank correlation gets no interval."""

SHOWN = 3
"""Counter-examples of a kind that are spelled out; the others are counted."""

TRAINED = (("accuracy", "accuracy"), ("unseen", "g"))
"""Columns of steps.csv that are followed over training, and their names in the sentence."""

Pair = tuple[SummaryRow, SummaryRow]


def summary(rows: Sequence[SummaryRow]) -> str:
    """Say whether accuracy and g order the networks of one dataset (main rows of summary.csv) alike."""
    accurate, aside = _accurate(rows), _set_aside(rows)
    if len(accurate) < 2:
        return f"cannot be judged (it takes two networks that are more accurate than chance).{aside}"
    if sum(row.ci_images_low is not None for row in accurate) < 2:
        return f"cannot be judged (without intervals no two networks are distinguishable by their g).{aside}"
    pairs = _compare(accurate)
    better, worse = ("lower", "higher") if rows[0].lower_is_better else ("higher", "lower")
    counts = {
        f"the more accurate one has the {worse} g": len(pairs.against),
        f"the more accurate one has the {better} g": len(pairs.agreeing),
        "g differs and the accuracies are not distinguishable": len(pairs.alike),
        "nothing can be said": pairs.open,
    }
    status: Status = "supported" if pairs.against else "inconclusive"
    return (
        f"{status}. Of {pairs.count} {'pair' if pairs.count == 1 else 'pairs'} of networks: "
        f"{'; '.join(f'{what} in {count}' for what, count in counts.items() if count)}. (Distinguishable: the "
        f"intervals do not overlap.){aside}"
    )


def details(rows: Sequence[SummaryRow], steps: pd.DataFrame) -> list[str]:
    """Give the networks' accuracies and g, the counter-examples, the rank correlation, and both over training."""
    networks, accurate = _by_accuracy(rows), _accurate(rows)
    parts = []
    if len(networks) >= 2:
        shown = "; ".join(f"{row.model} {_both(row)}" for row in networks)
        parts.append(f"Accuracy and g ({metric_name(rows[0].metric)}): {shown}.")
        parts += _counter_examples(accurate)
        parts += _rank_correlation(accurate)
        weak = [row.model for row in networks if beaten_by(row)]
        parts += [f"No layer beats raw pixels or chance: {joined(weak)}."] if weak else []
    return [*parts, *_over_training(rows, steps)]


def spearman_interval(r: float, n: int) -> tuple[float, float]:
    """An approximate 95 % interval of a rank correlation of n > 3 independent pairs (Bonett and Wright, 2000)."""
    half = 1.959964 * np.sqrt((1 + r**2 / 2) / (n - 3))
    with np.errstate(divide="ignore"):
        return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _by_accuracy(rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    return sorted((row for row in rows if row.accuracy is not None), key=lambda row: -(row.accuracy or 0))


def _accurate(rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    return [row for row in _by_accuracy(rows) if not _reaches_chance(row)]


def _reaches_chance(row: SummaryRow) -> bool:
    low, chance = row.accuracy_ci_low, row.accuracy_chance
    return low is not None and chance is not None and low <= chance


def _set_aside(rows: Sequence[SummaryRow]) -> str:
    """Name the networks that the claim is not about, in a sentence for each reason."""
    weak = [f"{row.model} ({number(row.accuracy)})" for row in _by_accuracy(rows) if _reaches_chance(row)]
    without = [row.model for row in rows if row.accuracy is None]
    reasons = {"Set aside as no more accurate than chance": weak, "Left out, having no fine-tuned head": without}
    return "".join(f" {reason}: {joined(names)}." for reason, names in reasons.items() if names)


@dataclass(frozen=True)
class _Pairs:
    """The pairs of networks whose g differs beyond both intervals over images, the largest difference first.

    Attributes:
        against: the first is more accurate beyond both intervals, and has the worse g.
        agreeing: the first is more accurate beyond both intervals, and has the better g.
        alike: the intervals of the accuracies overlap; the first has the worse g.
        count: of all pairs.
    """

    against: list[Pair]
    agreeing: list[Pair]
    alike: list[Pair]
    count: int

    @property
    def open(self) -> int:
        """Pairs of which nothing can be said."""
        return self.count - len(self.against) - len(self.agreeing) - len(self.alike)


def _compare(rows: Sequence[SummaryRow]) -> _Pairs:
    pairs = list(combinations(rows, 2))
    known = [pair for pair in pairs if all(row.accuracy_ci_low is not None for row in pair)]
    differing = [pair if _worse(*pair) else pair[::-1] for pair in known if _worse(*pair) or _worse(*pair[::-1])]
    differing.sort(key=lambda pair: -abs(pair[0].unseen - pair[1].unseen))
    return _Pairs(
        against=[pair for pair in differing if _more_accurate(*pair)],
        agreeing=[pair[::-1] for pair in differing if _more_accurate(*pair[::-1])],
        alike=[pair for pair in differing if not _more_accurate(*pair) and not _more_accurate(*pair[::-1])],
        count=len(pairs),
    )


def _worse(row: SummaryRow, other: SummaryRow) -> bool:
    """Whether a row's g is worse than the other's, with their intervals apart."""
    return _below(other, row, "ci_images") if row.lower_is_better else _below(row, other, "ci_images")


def _more_accurate(row: SummaryRow, other: SummaryRow) -> bool:
    return _below(other, row, "accuracy_ci")


def _below(row: SummaryRow, other: SummaryRow, name: Literal["ci_images", "accuracy_ci"]) -> bool:
    """Whether a row's interval lies below the other's; not where one of them is missing."""
    high, low = getattr(row, f"{name}_high"), getattr(other, f"{name}_low")
    return high is not None and low is not None and high < low


def _counter_examples(rows: Sequence[SummaryRow]) -> list[str]:
    if len(rows) < 2:
        return []
    pairs, worse = _compare(rows), "higher" if rows[0].lower_is_better else "lower"
    return [
        *_spelled(f"More accurate, with {worse} g", pairs.against),
        *_spelled(f"Accuracies not distinguishable, {worse} g", pairs.alike),
    ]


def _spelled(what: str, pairs: Sequence[Pair]) -> list[str]:
    texts = [
        f"{first.model} than {second.model} (accuracy {number(first.accuracy)} and {number(second.accuracy)}, "
        f"g {number(first.unseen)} and {number(second.unseen)})"
        for first, second in pairs[:SHOWN]
    ]
    more = f"; and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return [f"{what}: {'; '.join(texts)}{more}."] if texts else []


def _rank_correlation(rows: Sequence[SummaryRow]) -> list[str]:
    n = len(rows)
    if n < 3:
        return []
    sign = -1 if rows[0].lower_is_better else 1
    r = spearman(pd.Series([row.accuracy for row in rows]), pd.Series([sign * row.unseen for row in rows]))
    if np.isnan(r):
        return []
    if n < ENOUGH:
        return [f"Rank correlation over {n} networks: {r:+.2f}; descriptive, so few give no useful interval."]
    low, high = spearman_interval(r, n)
    if np.isclose(low, high):  # a perfect order: the approximation has no width there
        return [f"Rank correlation over {n} networks: {r:+.2f}; the approximate interval is not defined for it."]
    return [f"Rank correlation over {n} networks: {r:+.2f} [{low:+.2f}, {high:+.2f}], as if they had been sampled."]


def _over_training(rows: Sequence[SummaryRow], steps: pd.DataFrame) -> list[str]:
    spans: dict[str, list[str]] = {}
    for row in rows:
        of_curve = np.logical_and.reduce([steps[key] == getattr(row, key) for key in CURVE])
        own = steps[of_curve].sort_values("step")
        if len(own) > 1:
            changes = (_change(own, column, name) for column, name in TRAINED if own[column].notna().any())
            span = f"steps {own['step'].iloc[0]} to {own['step'].iloc[-1]}"
            spans.setdefault(span, []).append(f"{row.model} {', '.join(changes)}")
    return [f"Over training, {span}: {'; '.join(texts)}." for span, texts in sorted(spans.items())]


def _change(own: pd.DataFrame, column: str, name: str) -> str:
    """Give a column's first and last known value; where the first step has none, the step that the first is from."""
    known = own[own[column].notna()]
    first, last = known.iloc[0], known.iloc[-1]
    where = "" if first["step"] == own["step"].iloc[0] else f" (step {first['step']})"
    if len(known) == 1:
        return f"{name} {number(last[column])}{where}"
    return f"{name} {number(first[column])}{where} to {number(last[column])}"


def _both(row: SummaryRow) -> str:
    score = estimate(row.unseen, row.ci_images_low, row.ci_images_high, sd=row.unseen_sd)
    return f"{number(row.accuracy, row.accuracy_sd)}, {score}"
