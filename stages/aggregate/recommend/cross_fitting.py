"""The regret of a choice: by how much the best candidate is better, on classes that the choice did not know."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from stages.aggregate.inference.contrasts import LEVEL
from stages.aggregate.points import equally_best
from stages.aggregate.recommend.criteria import Choice, Float64

FEWEST_PAIRS = 3
"""Pairs of a dataset and a network below which a mean regret has no interval."""


def regret(halves: Float64, choice: Choice) -> tuple[float, float]:
    """Score a choice and the best candidate on images on which the best one was not chosen.

    The best candidate of each half is scored on the other half of the images, both ways, and so is the choice: the
    maximum's optimism is not counted as regret. A choice may do better than that best one, a negative regret.

    Args:
        halves: (B, T, L) scores on halves, higher is better; halves 2 i and 2 i + 1 are a pair.
        choice: the candidates, of which one is drawn at random.

    Returns:
        The choice's score and the best candidate's, means over halves. Their difference is the regret.
    """
    B = len(halves)
    flat = halves.transpose(0, 2, 1).reshape(B, -1)  # of equally good candidates the shallowest, then the earliest
    best = equally_best(flat, "higher").argmax(axis=1)
    steps, layers = zip(*choice, strict=True)
    return float(halves[:, steps, layers].mean()), float(flat[np.arange(B) ^ 1, best].mean())


@dataclass(frozen=True)
class MeanRegret:
    """A criterion's regret over pairs of a dataset and a network.

    Attributes:
        value: the mean.
        low, high: its interval by Student's t over pairs; None below `FEWEST_PAIRS`.
        pairs: how many.
    """

    value: float
    low: float | None
    high: float | None
    pairs: int


def mean_regret(regrets: Sequence[float]) -> MeanRegret:
    """Average regrets, one of each pair of a dataset and a network."""
    values = np.asarray(regrets, dtype=np.float64)
    n, mean = len(values), float(values.mean())
    if n < FEWEST_PAIRS:
        return MeanRegret(mean, None, None, n)
    error = float(values.std(ddof=1) / np.sqrt(n) * student.ppf((1 + LEVEL) / 2, n - 1))
    return MeanRegret(mean, mean - error, mean + error, n)
