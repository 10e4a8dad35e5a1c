"""K-means searched in few columns and polished in all.

The search for the least inertia, not Lloyd's last digits, decides a cluster score: on 1,280 features of 500 images the
best of 10 starts lies 0.5 % above the least inertia known and moves NMI by several hundredths. Many starts are cheap in
the leading columns of the rotated embedding; their best partitions, polished in all columns, lie within 0.01 %. The
objective is unchanged: a rotation keeps all distances.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...shared.workflow.seeding import child_seed
from . import lockstep
from .agreement import adjusted_mutual_information, normalized_mutual_information
from .arrays import Classes, Float32, blocks
from .geometry import column_products

COLUMNS = 16
"""Least number of leading columns that are searched; twice the number of clusters if that is more."""

MAX_COLUMNS = 80
"""Largest number of them, that of 40 clusters. In 2 K columns a start takes longer as K squared, and ends higher: by
.3 % of the inertia of 100 classes of Omniglot, by 1 % of 300 clusters."""

DROPPED = 3
"""Clusters of which each is tried as the one that classes leave behind."""

REDUCED_STARTS = 5
"""Largest number of starts where many parts or copies of a layer are clustered; the best one alone is polished."""


@dataclass(frozen=True)
class Search:
    """How hard to look for the clustering of least inertia.

    Attributes:
        starts: k-means++ starts in the leading columns; 1: a single start in the embedding as it is, without a search,
            equal to `KMeans(n_clusters, random_state=seed, n_init="auto")`.
        polished: how many of the best distinct partitions are fitted on in all columns.
        seed: random state of the single start, root of the others' child seeds.
    """

    starts: int = 50
    polished: int = 5
    seed: int = 0

    @property
    def single(self) -> bool:
        """Whether it is a single start, without a search."""
        return self.starts == 1

    @property
    def seeds(self) -> tuple[int, ...]:
        """Child seeds of the starts."""
        return _child_seeds(self.seed, self.starts)

    @property
    def reduced(self) -> "Search":
        """The same with at most `REDUCED_STARTS` starts."""
        return self.capped(REDUCED_STARTS, 1)

    def capped(self, starts: int, polished: int) -> "Search":
        """The same with at most so many starts and polished partitions."""
        return replace(self, starts=min(self.starts, starts), polished=min(self.polished, polished))


@lru_cache(maxsize=16)
def _child_seeds(seed: int, starts: int) -> tuple[int, ...]:
    return tuple(child_seed(seed, "kmeans", start) for start in range(starts))


@dataclass(frozen=True)
class Clustering:
    """One k-means clustering.

    Attributes:
        X: (N, D) float32, what was clustered.
        labels: (N,) int32, the cluster of every image.
    """

    X: Float32
    labels: NDArray[np.int32]

    @cached_property
    def inertia(self) -> float:
        """Sum of squared distances to the means of the clusters, in double precision."""
        return inertia_of(self.X, self.labels)


def compare_clusterings(y: Classes, clusterings: Sequence[Clustering]) -> list[dict[str, float]]:
    """Describe clusterings of one embedding, of which the first counts.

    Args:
        y: (N,) classes 0 ... K - 1.
        clusterings: of the same N images.

    Returns:
        Of each its rank, inertia, number of clusters, NMI with the classes, and adjusted mutual information with the
        first one.
    """
    return [
        {
            "rank": rank,
            "inertia": clustering.inertia,
            "clusters": len(np.unique(clustering.labels)),  # fewer than asked for where fewer embeddings are distinct
            "nmi": normalized_mutual_information(y, clustering.labels),
            "agreement": adjusted_mutual_information(clusterings[0].labels, clustering.labels),
        }
        for rank, clustering in enumerate(clusterings)
    ]


def rotate(X: Float32) -> Float32:
    """Centre an embedding and rotate it to its principal axes, largest variance first, in double precision.

    Distances, hence inertia, stay what they were, of all rows and of any of them: a subset of rows is searched and
    polished in the same rotation (its own axes give no less inertia; measured on the layers of a real network).

    Args:
        X: (N, D) float32.

    Returns:
        (N, min(N, D)) float32.
    """
    N, D = X.shape
    mean = X.mean(axis=0, dtype=np.float64)
    if D > N:
        centred = X - mean
        squares, axes = np.linalg.eigh(centred @ centred.T)
        return np.ascontiguousarray(axes[:, ::-1] * np.sqrt(np.maximum(squares[::-1], 0)), dtype=np.float32)
    axes = np.linalg.eigh(column_products(X, mean))[1][:, ::-1]
    rotated = np.empty((N, D), np.float32)
    for rows in blocks(N):
        rotated[rows] = (X[rows] - mean) @ axes
    return rotated


def leading_columns(clusters: int) -> int:
    """Number of leading columns that are searched."""
    return min(max(COLUMNS, 2 * clusters), MAX_COLUMNS)


def cluster(X: Float32, clusters: int, search: Search, *, rotated: Float32 | None = None) -> Clustering:
    """Find the k-means clustering of least inertia.

    Args:
        X: (N, D) float32.
        clusters: number of clusters, at most N.
        search: how hard to look.
        rotated: (N, C) the same rows after `rotate`, of this embedding or of one that holds it; made here if missing;
            a single start takes none.
    """
    rows = X if search.single else rotate(X) if rotated is None else rotated
    return polish(rows, searched_partitions(rows, clusters, search), search)[0]


def searched_partitions(X: Float32, clusters: int, search: Search) -> list[NDArray[np.int32]]:
    """Partitions that the starts reach in the leading columns, or a single start in all.

    Args:
        X: (N, C) float32, columns by falling variance; for a single start an embedding as it is.
        clusters: number of clusters, at most N.
        search: how hard to look.

    Returns:
        Of each start its labels, (N,), least inertia in these columns first. K-means draws by position: another order
        of rows may change them as another seed does. Of fewer distinct rows than `clusters`, they have as many
        clusters as distinct rows.
    """
    if search.single:
        return [_single_start(X, clusters, search.seed)]
    few = np.ascontiguousarray(X[:, : leading_columns(clusters)])
    labels, inertia = lockstep.search(few, clusters, search.seeds)
    return list(labels[np.argsort(inertia, kind="stable")])


def partitions_without(X: Float32, centres: Float32, clusters: int, *, columns: int) -> list[NDArray[np.int32]]:
    """Partitions of the rows that classes leave behind, reached from the clusters of all rows.

    A search from nothing may end in another valley for each class that is left out, which says nothing of the class.
    From where all rows are, the jackknife sees what the class moves, with inertia as low on average.

    Args:
        X: (N, C) float32, the rows that are left.
        centres: (M, C) float32, means of the clusters of all rows.
        clusters: K, at most M: as long as there are more, the one that costs least is dropped; of the last to go,
            `DROPPED` are tried.
        columns: leading ones that are searched.

    Returns:
        Of each its labels, (N,), least inertia in these columns first.
    """
    few, centres = np.ascontiguousarray(X[:, :columns]), np.ascontiguousarray(centres[:, :columns])
    starts = centres[None]
    while len(centres) > clusters:
        nearness = few @ centres.T - np.einsum("kc,kc->k", centres, centres) / 2  # x c - c c / 2
        second, nearest = np.partition(nearness, -2, axis=1)[:, -2:].T
        costs = np.bincount(nearness.argmax(axis=1), nearest - second, len(centres)).argsort(kind="stable")
        starts = np.stack([np.delete(centres, cluster, axis=0) for cluster in costs[:DROPPED]])
        centres = starts[0]
    labels, inertia = lockstep.lloyd(few, starts)
    return list(labels[np.argsort(inertia, kind="stable")])


def polish(X: Float32, searched: Sequence[NDArray[np.int32]], search: Search) -> list[Clustering]:
    """Fit the best distinct partitions on in all columns; that of a single start is what it is.

    Args:
        X: (N, C) float32, as of `searched_partitions`.
        searched: labels, (N,) each, from there; numbered as they appear, unless of a single start.
        search: how hard to look.

    Returns:
        At most `search.polished` different partitions, least inertia first; equal inertias in the order in which they
        were found.
    """
    if search.single:
        return [Clustering(X, searched[0])]
    centres = [class_means(X, labels) for labels in _distinct(searched)[: search.polished]]
    alike = len({len(means) for means in centres}) == 1
    batches = [np.stack(centres)] if alike else [means[None] for means in centres]
    fitted = [labels for batch in batches for labels in lockstep.lloyd(X, batch)[0]]
    found = [Clustering(X, labels) for labels in _distinct(fitted)]
    return sorted(found, key=lambda clustering: clustering.inertia) if len(found) > 1 else found


def inertia_of(X: Float32, labels: NDArray[np.integer]) -> float:
    """Sum of squared distances to the means of a partition's parts, in double precision.

    Args:
        X: (N, D) float32.
        labels: (N,) part of every row, numbers from 0 on.
    """
    sizes = np.bincount(labels)
    sums, squares = np.zeros((len(sizes), X.shape[1])), 0.0
    origin = X[0].astype(np.float64)  # near the rows, so that differences of squares keep their digits
    for rows in blocks(len(X)):
        doubles, members = X[rows] - origin, labels[rows] == np.arange(len(sums))[:, None]
        squares += float(np.einsum("ij,ij->", doubles, doubles))
        sums += members.astype(np.float64) @ doubles
    return squares - float((np.einsum("ij,ij->i", sums, sums) / np.maximum(sizes, 1)).sum())


def class_means(X: Float32, labels: NDArray[np.integer]) -> Float32:
    """Mean row of every label that occurs, in the order of labels, (C, D).

    Args:
        X: (N, D) float32.
        labels: (N,) part of every row.
    """
    members = (labels == np.unique(labels)[:, None]).astype(np.float32)
    return np.asarray(members @ X / members.sum(axis=1, keepdims=True), np.float32)


def _distinct(partitions: Iterable[NDArray[np.int32]]) -> list[NDArray[np.int32]]:
    """Drop partitions that an earlier one equals; the parts of each are numbered as they appear."""
    different: dict[bytes, NDArray[np.int32]] = {}
    for labels in partitions:
        different.setdefault(labels.tobytes(), labels)
    return list(different.values())


def _single_start(X: Float32, clusters: int, seed: int) -> NDArray[np.int32]:
    """Labels of one start of scikit-learn's k-means, which is loaded here: many starts do not use it."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # reported as `clusters`
        warnings.filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        return np.asarray(KMeans(n_clusters=clusters, n_init=1, random_state=seed).fit(X).labels_)
