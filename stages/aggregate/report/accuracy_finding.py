"""Finding (i), "high accuracy does not imply generalization": do accuracy and g order networks alike?"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from stages.aggregate.formatting import Row, beaten_by, interval, joined, known, lower_is_better, number, with_interval
from stages.aggregate.metric_info import metric_name
from stages.aggregate.points import spearman

CLAIM = "(i) High accuracy on seen classes does not imply generalization"
CAUTION = (
    "g is the best layer's score on unseen classes. Brackets: {intervals} over images, the trained networks as they "
    "are; training again may change more. Networks that someone chose are no sample of all networks. Checkpoints of "
    "one run share its history, so that training is described here, not tested."
)

ENOUGH = 10
"""Networks below which a rank correlation gets no interval."""

SHOWN = 3
"""Counter-examples of a kind that are spelled out; the others are counted."""

TRAINED = (("accuracy", "accuracy"), ("unseen", "g"))
"""Columns of steps.csv that are followed over training, and their names in the sentence."""


def ruling(rows: pd.DataFrame) -> str:
    """Say whether accuracy and g order the networks of one dataset (main rows of summary.csv) alike.

    The claim is about accurate networks: those whose accuracy cannot be told from chance are set aside.
    """
    rows, aside = _above_chance(_by_accuracy(rows))
    if len(rows) < 2:
        return f"cannot be judged over networks, which takes at least two that are more accurate than chance.{aside}"
    if (rows.apply(interval, axis=1, name="ci_images") != "").sum() < 2:
        return f"open. Without intervals no networks can be told apart by their g.{aside}"
    pairs = _compare(rows)
    better, worse = ("lower", "higher") if lower_is_better(rows.iloc[0]) else ("higher", "lower")
    words = {"supported": pairs.against, "supported in part": pairs.alike, "not supported": pairs.agreeing}
    word = next((word for word, found in words.items() if found), "open")
    counts = {
        f"the more accurate one has the {worse} g": len(pairs.against),
        f"the more accurate one has the {better} g": len(pairs.agreeing),
        "g differs though the accuracies cannot be told apart": len(pairs.alike),
        "neither can be said": pairs.open,
    }
    return (
        f"{word}. Of {pairs.count} {'pair' if pairs.count == 1 else 'pairs'} of networks: "
        f"{'; '.join(f'{what} in {count}' for what, count in counts.items() if count)}. (Told apart is what has "
        f"intervals that do not overlap.){aside}"
    )


def details(rows: pd.DataFrame, steps: pd.DataFrame) -> list[str]:
    """Give the networks' accuracies and g, the counter-examples, the rank correlation, and both over training."""
    networks = _by_accuracy(rows)
    parts = []
    if len(networks) >= 2:
        shown = (f"{row['model']} {_both(row)}" for _, row in networks.iterrows())
        parts.append(f"Accuracy and g ({metric_name(str(rows.iloc[0]['metric']))}): {'; '.join(shown)}.")
        accurate, _ = _above_chance(networks)
        parts += _counter_examples(accurate)
        parts += _rank_correlation(accurate)
        weak = [str(row["model"]) for _, row in networks.iterrows() if beaten_by(row)]
        parts += [f"Learnt little (no layer beats raw pixels or chance): {joined(weak)}."] if weak else []
    return [*parts, *_over_training(rows, steps)]


def spearman_interval(r: float, n: int) -> tuple[float, float]:
    """An approximate 95 % interval of a rank correlation of n > 3 independent pairs (Bonett and Wright, 2000)."""
    half = 1.959964 * np.sqrt((1 + r**2 / 2) / (n - 3))
    with np.errstate(divide="ignore"):
        return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _by_accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    known_rows = rows[rows["accuracy"].notna() & rows["unseen"].notna()]
    return known_rows.sort_values("accuracy", ascending=False, kind="stable")


def _above_chance(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Set aside the networks whose accuracy cannot be told from chance, and name them in a sentence."""
    reached = [_reaches_chance(row) for _, row in rows.iterrows()]
    names = [f"{row['model']} ({number(row['accuracy'])})" for _, row in rows[reached].iterrows()]
    aside = f" Set aside, as no more accurate than chance: {joined(names)}." if names else ""
    return rows[[not out for out in reached]], aside


def _reaches_chance(row: Row) -> bool:
    low, chance = known(row, "accuracy_ci_low"), known(row, "accuracy_chance")
    return low is not None and chance is not None and low <= chance


@dataclass(frozen=True)
class _Pairs:
    """The pairs of networks whose g differs beyond both intervals over images, the largest difference first.

    Attributes:
        against: the first is more accurate beyond both intervals, and has the worse g.
        agreeing: the first is more accurate beyond both intervals, and has the better g.
        alike: the intervals of the accuracies overlap; the first has the worse g.
        count: of all pairs.
    """

    against: list[tuple[Row, Row]]
    agreeing: list[tuple[Row, Row]]
    alike: list[tuple[Row, Row]]
    count: int

    @property
    def open(self) -> int:
        """Pairs of which nothing can be said."""
        return self.count - len(self.against) - len(self.agreeing) - len(self.alike)


def _compare(rows: pd.DataFrame) -> _Pairs:
    pairs = list(combinations([row for _, row in rows.iterrows()], 2))
    known_pairs = [pair for pair in pairs if all(interval(row, "accuracy_ci") for row in pair)]
    known_pairs.sort(key=lambda pair: -abs(pair[0]["unseen"] - pair[1]["unseen"]))
    differing = [pair if _worse(*pair) else pair[::-1] for pair in known_pairs if _worse(*pair) or _worse(*pair[::-1])]
    return _Pairs(
        against=[pair for pair in differing if _more_accurate(*pair)],
        agreeing=[pair[::-1] for pair in differing if _more_accurate(*pair[::-1])],
        alike=[pair for pair in differing if not _more_accurate(*pair) and not _more_accurate(*pair[::-1])],
        count=len(pairs),
    )


def _worse(row: Row, other: Row) -> bool:
    """Whether a row's g is worse than the other's, with their intervals apart."""
    low, high = ("ci_images_high", "ci_images_low") if lower_is_better(row) else ("ci_images_low", "ci_images_high")
    own, others = known(row, high), known(other, low)
    if own is None or others is None:
        return False
    return own > others if lower_is_better(row) else own < others


def _more_accurate(row: Row, other: Row) -> bool:
    return bool(row["accuracy_ci_low"] > other["accuracy_ci_high"])


def _counter_examples(rows: pd.DataFrame) -> list[str]:
    pairs = _compare(rows)
    return [
        *_spelled("More accurate, yet with a worse g", pairs.against),
        *_spelled("As accurate as far as can be told, yet with a worse g", pairs.alike),
    ]


def _spelled(what: str, pairs: list[tuple[Row, Row]]) -> list[str]:
    texts = [
        f"{first['model']} than {second['model']} (accuracy {number(first['accuracy'])} and "
        f"{number(second['accuracy'])}, g {number(first['unseen'])} and {number(second['unseen'])})"
        for first, second in pairs[:SHOWN]
    ]
    more = f"; and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return [f"{what}: {'; '.join(texts)}{more}."] if texts else []


def _rank_correlation(rows: pd.DataFrame) -> list[str]:
    n = len(rows)
    if n < 3:
        return []
    g = -rows["unseen"] if lower_is_better(rows.iloc[0]) else rows["unseen"]
    r = spearman(rows["accuracy"], g)
    if np.isnan(r):
        return []
    if n < ENOUGH:
        return [f"Rank correlation over {n} networks: {r:+.2f}; descriptive, so few give no useful interval."]
    low, high = spearman_interval(r, n)
    if np.isclose(low, high):  # a perfect order: the approximation has no width there
        return [f"Rank correlation over {n} networks: {r:+.2f}; the approximate interval is not defined for it."]
    return [
        f"Rank correlation over {n} networks: {r:+.2f} [{low:+.2f}, {high:+.2f}], as if they had been drawn at random."
    ]


def _over_training(rows: pd.DataFrame, steps: pd.DataFrame) -> list[str]:
    texts = []
    for _, row in rows.iterrows():
        own = steps
        for key in ("dataset", "model", "pooling", "metric"):
            own = own[own[key] == row[key]] if len(own) else own
        own = own.sort_values("step") if len(own) else own
        if len(own) > 1:
            first, last = own.iloc[0], own.iloc[-1]
            known_there = ((c, name) for c, name in TRAINED if pd.notna(first[c]) and pd.notna(last[c]))
            change = (f"{name} {number(first[c])} to {number(last[c])}" for c, name in known_there)
            texts.append((f"{row['model']} {', '.join(change)}", f"steps {first['step']} to {last['step']}"))
    spans = {span for _, span in texts}
    return [f"Over training, {span}: {'; '.join(text for text, s in texts if s == span)}." for span in sorted(spans)]


def _both(row: Row) -> str:
    accuracy = number(row["accuracy"], row.get("accuracy_sd", float("nan")))
    return f"{accuracy}, {with_interval(row, 'unseen', 'ci_images', sd='unseen_sd')}"
