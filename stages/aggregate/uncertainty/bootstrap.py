"""Resampling of images within their classes, and the intervals that resampled scores give.

What a resample of fixed contributions cannot show (docs/uncertainty.md): an image also is a neighbour, a query's
support or part of a fit for others. `WIDTHS` makes up for it, as far as simulation shows that it does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]

LEVEL = 0.95
"""Of every interval and every set."""

TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


@dataclass(frozen=True)
class Width:
    """How the interval of one score is made from resampled contributions.

    Attributes:
        factor: by how much their deviations are stretched.
        low, high: limits of the score.
    """

    factor: float = 1.0
    low: float = -np.inf
    high: float = np.inf


PROPORTION = Width(1, 0, 1)
UNKNOWN = Width()

WIDTHS = {
    "nmi": PROPORTION,
    "ami": Width(1, -1, 1),
    "ari": Width(1, -1, 1),
    "cluster_accuracy": PROPORTION,
    "knn_purity": Width(2, 0, 1),
    "r_precision": Width(2, 0, 1),
    "map_at_r": Width(2.2, 0, 1),
    "nn1_accuracy": Width(1.25, 0, 1),
    "few_shot_accuracy_1": Width(2, 0, 1),
    "few_shot_accuracy_5": Width(1.6, 0, 1),
    "probe_accuracy": Width(1.25, 0, 1),
    "silhouette": Width(1.75, -1, 1),
    "accuracy": PROPORTION,
    "collapse": Width(1, 0),
    "intrinsic_dimension": Width(1.1, 0),
}
"""Of every score of images, `UNKNOWN` of others; `python -m tests.bench.coverage` shows what they lead to."""

UNPROVEN = ("ari", "cluster_accuracy", "silhouette")
"""Scores whose intervals are not called 95 % intervals, since they missed that in simulation (docs/uncertainty.md)."""

DETECTION_WIDTHS = {"auroc": Width(1.05, 0, 1), "fpr95": PROPORTION}
"""Of scores that tell unseen images from seen ones."""

START_FACTOR = 1.15
"""Of the spread over k-means starts in intervals: it is known from few starts, and Student's t of ten is wider by so
much."""


def stratified_weights(y: NDArray[np.int64], count: int, rng: np.random.Generator) -> Weights:
    """Draw bootstrap resamples within classes: how often each resample takes each image.

    Args:
        y: (N,) classes as integers; the strata.
        count: number of resamples, B.
        rng: source of randomness.

    Returns:
        (B, N) float32 counts; those of a class sum to its size in every resample.
    """
    weights = np.zeros((count, len(y)), np.float32)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        drawn = rng.integers(len(rows), size=(count, len(rows)))
        drawn += len(rows) * np.arange(count)[:, None]
        weights[:, rows] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(count, len(rows))
    return weights


def stretch(values: Floats, resampled: Floats, width: Width, noise: Floats | float = 0.0) -> Floats:
    """Centre resampled scores at the scores themselves, and give them the spread of new images.

    The bias of resampling is taken off: the NMI of fixed clusters is higher on a resample, which repeats images.

    Args:
        values: (...) scores of the images themselves.
        resampled: (B, ...) scores of the resamples.
        width: of this score.
        noise: (B, ...) spread of k-means starts, to be added.
    """
    return np.asarray(values + width.factor * (resampled - resampled.mean(axis=0)) + noise)


def interval(replicates: Floats, width: Width) -> tuple[Floats, Floats]:
    """Cut the 95 % interval out of stretched replicates, within the score's limits.

    Args:
        replicates: (B, ...), as `stretch` makes them.
        width: of this score.

    Returns:
        Lower and upper ends, (...) each; NaN where a replicate is.
    """
    low, high = np.clip(np.quantile(replicates, TAILS, axis=0), width.low, width.high)
    return low, high
