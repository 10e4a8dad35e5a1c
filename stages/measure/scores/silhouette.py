"""Silhouettes: how much nearer each image is to its own class than to the nearest other class."""

import numpy as np

from stages.measure.arrays import Classes, Float64


def silhouettes(sums: Float64, y: Classes) -> Float64:
    """Compare an image's mean distance a to its own class with b, the least to another: (b - a) / max(a, b).

    Source: Rousseeuw 1987.

    Args:
        sums: (N, K) sums of every image's distances to each class.
        y: (N,) classes 0 ... K - 1, each occurring.

    Returns:
        (N,) between -1 and 1; 0 of an image that is alone in its class, and where a = b = 0.
    """
    sizes, each = np.bincount(y), np.arange(len(y))
    others = sums / sizes
    others[each, y] = np.inf
    nearest_other = others.min(axis=1)
    own = sums[each, y] / np.maximum(sizes[y] - 1, 1)
    larger = np.maximum(own, nearest_other)
    ratio = (nearest_other - own) / np.where(larger > 0, larger, 1.0)
    return np.where(sizes[y] > 1, ratio, 0.0)
