"""How well a clustering agrees with the classes.

SciPy and scikit-learn are loaded when first used: `metrics` imports this module, and must load fast.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Classes, Counts

RANDOM_TABLES = 200
"""Random deals of clusters whose mean is the chance level of the best assignment."""


def mean_agreement(partitions: Sequence[NDArray[np.int32]]) -> float:
    """Mean adjusted mutual information of the first partition with each of the others.

    Args:
        partitions: labels, (N,) each.

    Returns:
        At most 1; NaN where there is no other, or the first has one part alone, which says nothing.
    """
    first, *others = (by_appearance(labels) for labels in partitions)
    if not others or not first.any():
        return np.nan
    counts = Counter(labels.tobytes() for labels in others)  # many starts end alike
    each = [_adjusted_mutual_information(first, np.frombuffer(labels, dtype=np.int32)) for labels in counts]
    return float(np.average(each, weights=list(counts.values())))


def by_appearance(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number a partition's parts in the order in which they appear: the same for the same partition.

    Args:
        labels: (N,) integers.
    """
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes].astype(np.int32)


def _adjusted_mutual_information(first: NDArray[np.int32], second: NDArray[np.int32]) -> float:
    """Mutual information of two partitions, corrected for chance; scikit-learn's takes twice as long."""
    if np.array_equal(first, second):
        return 1.0
    chance = chance_of_nmi(first, second)
    return (normalized_mutual_information(first, second) - chance) / (1 - chance)


def adjusted_mutual_information(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """Mutual information of classes and clusters, corrected for chance, as scikit-learn computes it.

    Args:
        y: (N,) classes.
        labels: (N,) clusters.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(y, labels))


def adjusted_rand_index(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """Agreement of classes and clusters on pairs of images, corrected for chance.

    Args:
        y: (N,) classes.
        labels: (N,) clusters.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(y, labels))


def normalized_mutual_information(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """Mutual information of classes and clusters over the mean of their entropies; 0 if there is one cluster only.

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters.
    """
    from sklearn.metrics import mutual_info_score

    table = contingency(y, labels)
    return min(1.0, float(mutual_info_score(None, None, contingency=table) / _mean_entropy(table)))  # 1, not 1 + 2e-16


def chance_of_nmi(y: NDArray[np.integer], labels: NDArray[np.int32]) -> float:
    """NMI expected when these cluster sizes are dealt to the images at random (Vinh, Epps and Bailey 2010).

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters.

    Returns:
        Expected mutual information under the permutation model over the mean entropy; 0 if there is one cluster only.
    """
    from sklearn.metrics.cluster import expected_mutual_information

    table = contingency(y, labels)
    table = table[:, table.any(axis=0)]
    if table.shape[1] == 1:
        return 0.0
    return float(expected_mutual_information(table, len(y)) / _mean_entropy(table))


def contingency(y: NDArray[np.integer], labels: NDArray[np.integer]) -> Counts:
    """Count the images of every class in every cluster, (K, C).

    Args:
        y: (N,) classes 0 ... K - 1.
        labels: (N,) clusters 0 ... C - 1.
    """
    table = np.zeros((y.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(table, (y, labels), 1)
    return table


def _mean_entropy(table: Counts) -> float:
    """Mean of the entropies of the rows' and of the columns' sums."""
    from scipy.stats import entropy

    return float(entropy(table.sum(axis=1)) + entropy(table.sum(axis=0))) / 2


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
