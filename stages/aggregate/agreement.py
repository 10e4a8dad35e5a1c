"""How well clusters agree with classes, from many contingency tables at once."""

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.resampling import Floats


def mutual_information_score(tables: NDArray[np.int64], expected: Floats) -> Floats:
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
    one_cluster = clusters == base  # no information, as in scikit-learn
    return np.where(one_cluster, 0.0, (information - expected) / np.where(one_cluster, 1.0, mean_entropy - expected))


def adjusted_rand_index(tables: NDArray[np.int64]) -> Floats:
    """Adjusted Rand index of contingency tables (B, M, K, C): (B, M)."""
    pairs, classes, clusters = (
        (counts * (counts - 1) // 2).sum(axis=-1).astype(np.float64)
        for counts in (tables.reshape(*tables.shape[:2], -1), tables.sum(3), tables.sum(2))
    )
    total = tables.sum(axis=(2, 3))
    expected = classes * clusters / (total * (total - 1) / 2)
    return np.asarray((pairs - expected) / ((classes + clusters) / 2 - expected))
