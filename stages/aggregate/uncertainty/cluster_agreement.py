"""How well clusters agree with classes, from many contingency tables at once."""

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.uncertainty.bootstrap import Float64

NO_INFORMATION = 1e-12
"""What is smaller is rounding of a mutual information of 0."""


def mutual_information_score(tables: NDArray[np.int64], expected: Float64) -> Float64:
    """(I - E) / (mean entropy - E) of contingency tables (B, M, K, C) with expected informations (M,): (B, M)."""
    largest = int(tables.sum(axis=(2, 3)).max())
    counts = np.arange(largest + 1, dtype=np.float64)
    xlogx = counts * np.log(np.maximum(counts, 1))
    total = tables.sum(axis=(2, 3))
    joint, classes, clusters = (
        xlogx[table].sum(axis=-1) for table in (tables.reshape(*tables.shape[:2], -1), tables.sum(3), tables.sum(2))
    )
    base = xlogx[total]
    information = (joint - classes - clusters + base) / total
    mean_entropy = (2 * base - classes - clusters) / (2 * total)
    # As in scikit-learn: one cluster has no information, but of a single class all there is; 1 where chance gives all.
    most = mean_entropy - expected
    undefined = (clusters == base) | (most < NO_INFORMATION)
    limits = np.where(clusters == base, classes == base, 1.0)
    return np.where(undefined, limits, (information - expected) / np.where(undefined, 1.0, most))


def adjusted_rand_index(tables: NDArray[np.int64]) -> Float64:
    """Adjusted Rand index of contingency tables (B, M, K, C): (B, M)."""
    pairs, classes, clusters = (
        (counts * (counts - 1) // 2).sum(axis=-1).astype(np.float64)
        for counts in (tables.reshape(*tables.shape[:2], -1), tables.sum(3), tables.sum(2))
    )
    total = tables.sum(axis=(2, 3))
    most = total * (total - 1) / 2
    expected = classes * clusters / np.maximum(most, 1)
    largest = (classes + clusters) / 2
    # One class in one cluster, or every image on its own: 1, as in scikit-learn.
    trivial = (classes == clusters) & ((classes == most) | (classes == 0))
    return np.asarray(np.where(trivial, 1.0, pairs - expected) / np.where(trivial, 1.0, largest - expected))
