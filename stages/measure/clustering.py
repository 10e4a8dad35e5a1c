"""K-means clusterings of one embedding, and how well one agrees with the classes."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.shared.seeding import child_seed


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


def cluster(X: NDArray[np.float32], clusters: int, *, starts: int, seed: int) -> list[Clustering]:
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


def _fit(X: NDArray[np.float32], clusters: int, seed: int) -> Clustering:
    from sklearn.cluster import (
        KMeans,
    )  # here, since the check of params needs the catalogue's names in its first second
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # reported as `found` of every start
        warnings.filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        fitted = KMeans(n_clusters=clusters, random_state=seed, n_init=1).fit(X)
    return Clustering(seed, float(fitted.inertia_), fitted.labels_)


def normalized_mutual_information(y: NDArray[np.int64], labels: NDArray[np.int32]) -> float:
    """Mutual information of classes and clusters over the mean of their entropies; 0 if there is one cluster only."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(y, labels, average_method="arithmetic"))


def chance_of_nmi(y: NDArray[np.int64], labels: NDArray[np.int32]) -> float:
    """NMI expected when these cluster sizes are dealt to the images at random (Vinh, Epps and Bailey 2010).

    Returns:
        Expected mutual information under the permutation model over the mean entropy; 0 if there is one cluster only.
    """
    from scipy.stats import entropy
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    mean_entropy = (entropy(np.bincount(y)) + entropy(np.bincount(labels))) / 2
    if len(np.unique(labels)) == 1:
        return 0.0
    contingency = contingency_matrix(y, labels, sparse=True).astype(np.int64)
    return float(expected_mutual_information(contingency, len(y)) / mean_entropy)
