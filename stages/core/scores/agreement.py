"""How well a clustering agrees with the classes.

SciPy and scikit-learn are loaded when first used: `metrics` imports this module, and must load fast.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .arrays import Classes, Counts

RANDOM_TABLES = 200
"""Random deals of clusters whose mean is the chance level of the best assignment."""


def mean_agreement(partitions: Sequence[NDArray[np.int32]]) -> float:
    """Mean adjusted mutual information of the first partition with each of the others.

    Args:
        partitions: labels, (N,) each, whose parts are numbered as they appear.

    Returns:
        At most 1; NaN where there is no other, or the first has one part alone, which says nothing.
    """
    first, *others = partitions
    if not others or not first.any():
        return np.nan
    counts = Counter(labels.tobytes() for labels in others)  # many starts end alike
    each = [adjusted_mutual_information(first, np.frombuffer(labels, dtype=np.int32)) for labels in counts]
    return float(np.average(each, weights=list(counts.values())))


def adjusted_mutual_information(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """Mutual information of two partitions over the mean of their entropies, corrected for chance: 1 of equal ones.

    Args:
        y: (N,) classes 0 ... K - 1, of at least two images.
        labels: (N,) clusters.
    """
    if np.array_equal(y, labels):
        return 1.0
    value, chance = nmi_with_chance(y, labels)
    return 1.0 if value == 1 else (value - chance) / (1 - chance)  # parts of one image each have no other value


def adjusted_rand_index(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """Agreement of two partitions on pairs of images, corrected for chance (Hubert and Arabie 1985).

    Args:
        y: (N,) classes 0 ... K - 1, at least two.
        labels: (N,) clusters.
    """
    table = contingency(y, labels)
    both, in_rows, in_columns = (
        float((counts * (counts - 1)).sum()) for counts in (table, table.sum(axis=1), table.sum(axis=0))
    )
    expected = in_rows * in_columns / (len(y) * (len(y) - 1))
    most = (in_rows + in_columns) / 2
    return 1.0 if both == most else (both - expected) / (most - expected)  # both are 0 of parts of one image each


def normalized_mutual_information(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """Mutual information of classes and clusters over the mean of their entropies; 0 if there is one cluster only.

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters.
    """
    return _nmi(contingency(y, labels))[0]


def nmi_with_chance(y: NDArray[np.integer], labels: NDArray[np.int32]) -> tuple[float, float]:
    """NMI, and that expected when these cluster sizes are dealt to the images at random (Vinh, Epps and Bailey 2010).

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters.

    Returns:
        Both over the mean entropy, the latter from the expected mutual information under the permutation model; both
        are 0 if there is one cluster only.
    """
    from sklearn.metrics.cluster import expected_mutual_information

    table = contingency(y, labels)
    value, together = _nmi(table)
    table = table[:, table.any(axis=0)]
    return value, 0.0 if table.shape[1] == 1 else float(expected_mutual_information(table, len(y)) / (together / 2))


def contingency(y: NDArray[np.integer], labels: NDArray[np.integer]) -> Counts:
    """Count the images of every class in every cluster, (K, C).

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters 0 ... C - 1.
    """
    classes, clusters = int(y.max()) + 1, int(labels.max()) + 1
    cells = y.astype(np.int64) * clusters + labels
    return np.bincount(cells, minlength=classes * clusters).reshape(classes, clusters)


def _nmi(table: Counts) -> tuple[float, float]:
    """NMI of a contingency table, and the sum of the entropies of its rows' and its columns' sums."""
    together = _entropy(table.sum(axis=1)) + _entropy(table.sum(axis=0))
    return min(1.0, max(0.0, 2 * (together - _entropy(table)) / together)), together  # 1, not 1 + 2e-16


def _entropy(counts: Counts) -> float:
    shares = counts[counts > 0] / counts.sum()
    return -float((shares * np.log(shares)).sum())


def assigned_classes(y: Classes, labels: NDArray[np.int32]) -> Classes:
    """Give every image the class of its cluster, under the one-to-one assignment that is right most often.

    Args:
        y: (N,) classes 0 ... K - 1, each occurring.
        labels: (N,) clusters.

    Returns:
        (N,) classes; -1 in a cluster that got no class.
    """
    clusters, codes = np.unique(labels, return_inverse=True)
    classes, columns = _best_assignment(contingency(y, codes))
    class_of = np.full(len(clusters), -1)
    class_of[columns] = classes
    return class_of[codes]


def chance_of_assignment(y: Classes, labels: NDArray[np.int32]) -> float:
    """Share of images that the best assignment gets right when these cluster sizes are dealt to the images at random.

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters.

    Returns:
        Mean over 200 random contingency tables with these margins, the same ones whenever the margins are.
    """
    from scipy.stats import random_table

    sizes, clusters = np.bincount(y), np.unique(labels, return_counts=True)[1]
    tables = random_table(sizes, clusters).rvs(RANDOM_TABLES, random_state=np.random.default_rng(0))
    return float(np.mean([table[_best_assignment(table)].sum() for table in tables]) / len(y))


def _best_assignment(table: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns, one of each, whose cells have the largest sum."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    return rows, columns
