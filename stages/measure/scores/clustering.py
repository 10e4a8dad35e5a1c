"""K-means clusterings of one embedding, and how well one agrees with the classes."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import entropy, random_table
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import expected_mutual_information

from stages.measure.arrays import Classes, Counts, Float32
from stages.shared.seeding import child_seed

FEW_STARTS = 3
"""Largest number of starts where many embeddings or numbers of clusters are clustered."""

RANDOM_TABLES = 200
"""Random deals of clusters whose mean is the chance level of the best assignment."""


@dataclass(frozen=True)
class Clustering:
    """One k-means start.

    Attributes:
        seed: its random state.
        inertia: sum of squared distances to the nearest centre.
        labels: (N,) int32, the cluster of every image.
        found: number of clusters that hold an image; less than asked for only where fewer distinct embeddings exist.
    """

    seed: int
    inertia: float
    labels: NDArray[np.int32]

    @property
    def found(self) -> int:
        """Number of clusters that hold an image."""
        return len(np.unique(self.labels))


def cluster(X: Float32, clusters: int, *, starts: int, seed: int) -> list[Clustering]:
    """Cluster an embedding by scikit-learn's k-means, every start fitted alone.

    The first start has `seed` itself as its random state, so that one start equals
    `KMeans(n_clusters=clusters, random_state=seed, n_init="auto")`; the others have child seeds.

    Args:
        X: (N, D) float32.
        clusters: number of clusters, at most N.
        starts: number of k-means++ starts.
        seed: root seed.

    Returns:
        One clustering for each start. Of fewer distinct rows than `clusters`, as many clusters as distinct rows.
    """
    return [_fit(X, clusters, seed if start == 0 else child_seed(seed, "kmeans", start)) for start in range(starts)]


def least_inertia(clusterings: Sequence[Clustering]) -> int:
    """Index of the start of least inertia; the first of equal ones."""
    return int(np.argmin([clustering.inertia for clustering in clusterings]))


def best_of_few(X: Float32, clusters: int, *, starts: int, seed: int) -> Clustering:
    """Cluster an embedding, with at most `FEW_STARTS` starts, and keep the one of least inertia."""
    clusterings = cluster(X, clusters, starts=min(starts, FEW_STARTS), seed=seed)
    return clusterings[least_inertia(clusterings)]


def _fit(X: Float32, clusters: int, seed: int) -> Clustering:
    with warnings.catch_warnings():  # reported as `found` of every start
        warnings.filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        fitted = KMeans(n_clusters=clusters, random_state=seed, n_init=1).fit(X)
    return Clustering(seed, float(fitted.inertia_), fitted.labels_)


def normalized_mutual_information(y: Classes, labels: NDArray[np.int32]) -> float:
    """Mutual information of classes and clusters over the mean of their entropies; 0 if there is one cluster only."""
    table = contingency(y, labels)
    return min(1.0, float(mutual_info_score(None, None, contingency=table) / _mean_entropy(table)))  # 1, not 1 + 2e-16


def chance_of_nmi(y: Classes, labels: NDArray[np.int32]) -> float:
    """NMI expected when these cluster sizes are dealt to the images at random (Vinh, Epps and Bailey 2010).

    Returns:
        Expected mutual information under the permutation model over the mean entropy; 0 if there is one cluster only.
    """
    table = contingency(y, labels)
    table = table[:, table.any(axis=0)]
    if table.shape[1] == 1:
        return 0.0
    return float(expected_mutual_information(table, len(y)) / _mean_entropy(table))


def contingency(y: Classes, labels: NDArray[np.integer]) -> Counts:
    """Count the images of every class in every cluster, (K, C)."""
    table = np.zeros((y.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(table, (y, labels), 1)
    return table


def _mean_entropy(table: Counts) -> float:
    """Mean of the entropies of the rows' and of the columns' sums."""
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

    Returns:
        Mean over 200 random contingency tables with these margins, the same ones whenever the margins are.
    """
    sizes, clusters = np.bincount(y), np.unique(labels, return_counts=True)[1]
    tables = random_table(sizes, clusters).rvs(RANDOM_TABLES, random_state=np.random.default_rng(0))
    return float(np.mean([table[_best_assignment(table)].sum() for table in tables]) / len(y))


def _best_assignment(table: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns, one of each, whose cells have the largest sum."""
    rows, columns = linear_sum_assignment(table, maximize=True)
    return rows, columns
