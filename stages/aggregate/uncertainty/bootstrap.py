"""Resampling of images within their classes, and the intervals that resampled scores give.

What a resample of fixed contributions cannot show (docs/uncertainty.md): an image also is a neighbour, a query's
support or part of a fit for others. The width of each score (`METRIC_INFO`) makes up for it, as far as simulation shows
that it does.
"""

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.metric_info import LEVEL, Width

Float64 = NDArray[np.float64]
Weights = NDArray[np.float32]

TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

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


def stretch(values: Float64, resampled: Float64, width: Width, noise: Float64 | float = 0.0) -> Float64:
    """Centre resampled scores at the scores themselves, and give them the spread of new images.

    The bias of resampling is taken off: the NMI of fixed clusters is higher on a resample, which repeats images.

    Args:
        values: (...) scores of the images themselves.
        resampled: (B, ...) scores of the resamples.
        width: of this score.
        noise: (B, ...) spread of k-means starts, to be added.
    """
    return np.asarray(values + width.factor * (resampled - resampled.mean(axis=0)) + noise)


def interval(replicates: Float64, width: Width) -> tuple[Float64, Float64]:
    """Cut the 95 % interval out of stretched replicates, within the score's limits.

    Args:
        replicates: (B, ...), as `stretch` makes them.
        width: of this score.

    Returns:
        Lower and upper ends, (...) each; NaN where a replicate is.
    """
    low, high = np.clip(np.quantile(replicates, TAILS, axis=0), width.low, width.high)
    return low, high
