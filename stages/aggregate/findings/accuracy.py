"""Finding (i), "high accuracy does not imply generalization": do accuracy and g order networks alike?"""

from itertools import combinations

import numpy as np
import pandas as pd

from stages.aggregate.names import metric_name
from stages.aggregate.words import Row, beaten_by, interval, joined, known, lower_is_better, number, with_interval

CLAIM = "(i) High accuracy on seen classes does not imply generalization"
CAUTION = (
    "g is the best layer's score on unseen classes. Networks that someone chose are no sample of all networks. "
    "Checkpoints of one run share its history, so that training is described here, not tested."
)

ENOUGH = 10
"""Networks below which a rank correlation gets no interval."""

SHOWN = 3
"""Counter-examples that are spelled out; the others are counted."""

TRAINED = (("accuracy", "accuracy"), ("unseen", "g"))
"""Columns of steps.csv that are followed over training, and their names in the sentence."""


def ruling(rows: pd.DataFrame) -> str:
    """Say whether accuracy and g order the networks of one dataset (main rows of summary.csv) alike."""
    rows = _by_accuracy(rows)
    if len(rows) < 2:
        return "cannot be judged over networks, which takes at least two with an accuracy."
    if not rows.apply(interval, axis=1, name="ci_images").all():
        return "open. Without intervals no networks can be told apart by their g."
    against, agreeing, pairs = _compare(rows)
    better, worse = ("lower", "higher") if lower_is_better(rows.iloc[0]) else ("higher", "lower")
    word = "supported" if against else "not supported" if agreeing else "open"
    return (
        f"{word}. Of {pairs} {'pair' if pairs == 1 else 'pairs'} of networks, the more accurate one has the {worse} g "
        f"in {len(against)} and the {better} g in {agreeing}, beyond both intervals; "
        f"{pairs - len(against) - agreeing} open."
    )


def details(rows: pd.DataFrame, steps: pd.DataFrame) -> list[str]:
    """Give the networks' accuracies and g, the counter-examples, the rank correlation, and both over training."""
    networks = _by_accuracy(rows)
    parts = []
    if len(networks) >= 2:
        shown = (f"{row['model']} {number(row['accuracy'])}, {_g(row)}" for _, row in networks.iterrows())
        parts.append(f"Accuracy and g ({metric_name(str(rows.iloc[0]['metric']))}): {'; '.join(shown)}.")
        parts += _counter_examples(networks)
        parts += _rank_correlation(networks)
        weak = [str(row["model"]) for _, row in networks.iterrows() if beaten_by(row)]
        parts += [f"Learnt little (no layer beats raw pixels or chance): {joined(weak)}."] if weak else []
    return [*parts, *_over_training(rows, steps)]


def spearman(x: pd.Series, y: pd.Series) -> float:
    """Spearman's rank correlation; NaN where one of them is constant."""
    ranks = np.stack([x.rank().to_numpy(dtype=float), y.rank().to_numpy(dtype=float)])
    return float(np.corrcoef(ranks)[0, 1]) if (np.ptp(ranks, axis=1) > 0).all() else float("nan")


def spearman_interval(r: float, n: int) -> tuple[float, float]:
    """An approximate 95 % interval of a rank correlation of n > 3 independent pairs (Bonett and Wright, 2000)."""
    half = 1.959964 * np.sqrt((1 + r**2 / 2) / (n - 3))
    with np.errstate(divide="ignore"):
        return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _by_accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    known_rows = rows[rows["accuracy"].notna() & rows["unseen"].notna()]
    return known_rows.sort_values("accuracy", ascending=False, kind="stable")


def _compare(rows: pd.DataFrame) -> tuple[list[tuple[Row, Row]], int, int]:
    """Compare g within every pair of networks, the more accurate first.

    Returns:
        The pairs in which the more accurate network (or one of two equally accurate ones) has the worse g, the largest
        difference first; in how many it has the better one; the number of pairs. A difference counts where the
        intervals over images do not overlap.
    """
    pairs = list(combinations([row for _, row in rows.iterrows()], 2))
    pairs = [pair[::-1] if _equal(*pair) and _worse(pair[1], pair[0]) else pair for pair in pairs]
    against = [pair for pair in pairs if _worse(*pair)]
    against.sort(key=lambda pair: -abs(pair[0]["unseen"] - pair[1]["unseen"]))
    return against, sum(_worse(second, first) for first, second in pairs), len(pairs)


def _equal(row: Row, other: Row) -> bool:
    return bool(row["accuracy"] == other["accuracy"])


def _worse(row: Row, other: Row) -> bool:
    """Whether a row's g is worse than the other's, with their intervals apart."""
    low, high = ("ci_images_high", "ci_images_low") if lower_is_better(row) else ("ci_images_low", "ci_images_high")
    own, others = known(row, high), known(other, low)
    if own is None or others is None:
        return False
    return own > others if lower_is_better(row) else own < others


def _counter_examples(rows: pd.DataFrame) -> list[str]:
    against, _, _ = _compare(rows)
    texts = []
    for first, second in against[:SHOWN]:
        than = "more accurate than" if _surely_more_accurate(first, second) else "at least as accurate as"
        accuracies = f"{number(first['accuracy'])} against {number(second['accuracy'])}"
        g = f"{number(first['unseen'])} against {number(second['unseen'])}"
        texts.append(f"{first['model']} is {than} {second['model']} ({accuracies}), yet has g {g}")
    more = f"; and {len(against) - SHOWN} more" if len(against) > SHOWN else ""
    return [f"Counter-examples: {'; '.join(texts)}{more}."] if texts else []


def _surely_more_accurate(row: Row, other: Row) -> bool:
    low, high = known(row, "accuracy_ci_low"), known(other, "accuracy_ci_high")
    return low is not None and high is not None and low > high


def _rank_correlation(rows: pd.DataFrame) -> list[str]:
    n = len(rows)
    g = -rows["unseen"] if lower_is_better(rows.iloc[0]) else rows["unseen"]
    r = spearman(rows["accuracy"], g) if n >= 3 else float("nan")
    if np.isnan(r):
        return []
    if n < ENOUGH:
        return [f"Rank correlation over {n} networks: {r:+.2f}; descriptive, so few give no useful interval."]
    low, high = spearman_interval(r, n)
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
            change = (f"{name} {number(first[c])} to {number(last[c])}" for c, name in TRAINED)
            texts.append((f"{row['model']} {', '.join(change)}", f"steps {first['step']} to {last['step']}"))
    spans = {span for _, span in texts}
    return [f"Over training, {span}: {'; '.join(text for text, s in texts if s == span)}." for span in sorted(spans)]


def _g(row: Row) -> str:
    return with_interval(row, "unseen", "ci_images")
