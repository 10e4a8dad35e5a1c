"""One layer's embedding of one split, with what several scores need of it, computed once and when first asked for."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from .arrays import Classes, Counts, Float32, Float64, Matches, Need, Rows, blocks
from .description import Normalize
from .geometry import covariance_spectrum
from .kmeans import (
    Clustering,
    Search,
    class_means,
    compare_clusterings,
    leading_columns,
    partitions_without,
    polish,
    rotate,
    searched_partitions,
)
from .neighbours import Scan, distance_sums, memberships, others, scan
from .probe import Floats, held_out_scores

NEAREST = 3
"""Neighbours that are kept by index."""

SHUFFLES = 20
"""Random deals of the classes whose mean silhouette is the chance level."""

EQUALS_MEAN = 2.0**-40
"""A row whose difference from the mean is shorter than this share of the mean equals it, up to rounding."""

GROUPS: tuple[Need, ...] = ("class_distances", "cluster_distances")
"""Sums of distances that the pass that finds neighbours can bring along."""


@dataclass(frozen=True)
class Settings:
    """How a split's scores are computed.

    Attributes:
        neighbours: k of `knn_purity`, at most N - 1.
        search: how hard k-means looks for the least inertia.
        C, folds, probe_seed: of the linear probe.
        few_shot_seed: of the few-shot episodes.
        own_groups: (N,) group of every image, 0 ... G - 1, none of whose images is its neighbour; None: all may be.
    """

    neighbours: int
    search: Search
    C: float
    folds: int
    probe_seed: int
    few_shot_seed: int
    own_groups: Classes | None = None


@dataclass(eq=False)
class EmbeddedSplit:
    """N images of one split, embedded by one layer, in the rows that some scores take.

    Attributes:
        whole: (N, D) float32, finite; of a part, that of the whole, (>= N, D), of which `rows` are taken when first
            asked for.
        y: (N,) classes as integers 0 ... K - 1, each occurring.
        settings: how to compute.
        needs: what scores will need: neighbours and distances to classes then come from one pass. What is not named can
            be asked for all the same.
        rows: (N,) indices, or (>= N,) whether an image belongs; None: all.
        known_rotated: (N, C) float32, of a part: the same rows of the whole's `rotated`.
        known_centres: (M, C) float32, of a part that lacks classes: means of the whole's clusters, from which its own
            are reached; None: they are searched for.
        known_clusters: (N,) what `clusters` is, if it was computed before.
        known_scan: of the same images, with distances to their classes if `needs` names them; made here if missing.
    """

    whole: Float32
    y: Classes
    settings: Settings
    needs: Collection[Need] = ()
    rows: Rows | Matches | None = None
    known_rotated: Float32 | None = None
    known_centres: Float32 | None = None
    known_clusters: NDArray[np.int32] | None = None
    known_scan: Scan | None = None

    @cached_property
    def X(self) -> Float32:  # noqa: N802, as everywhere
        """The embedding, (N, D)."""
        return self.whole if self.rows is None else self.whole[self.rows]

    @cached_property
    def class_sizes(self) -> Counts:
        """n_c of every class, (K,)."""
        return np.bincount(self.y)

    @cached_property
    def n_same_class(self) -> Counts:
        """For every image, how many that can be its neighbours share its class, n_c - 1 of all; (N,)."""
        return others(self.y, self.settings.own_groups)[0]

    @cached_property
    def n_others(self) -> Counts:
        """For every image, how many can be its neighbours, N - 1 of all; (N,)."""
        return others(self.y, self.settings.own_groups)[1]

    @cached_property
    def rotated(self) -> Float32:
        """The rows in the principal axes in which k-means searches, (N, C)."""
        return rotate(self.X) if self.known_rotated is None else self.known_rotated

    @cached_property
    def variances(self) -> Float64:
        """Variance along every principal axis, times N, largest first."""
        return covariance_spectrum(self.rotated if self.known_rotated is None else rotate(self.X))

    @property
    def _searched_rows(self) -> Float32:
        """The rows in which k-means searches: a single start takes them as they are."""
        return self.X if self.settings.search.single else self.rotated

    @cached_property
    def starts(self) -> list[NDArray[np.int32]]:
        """Partitions that the starts of k-means reach, before they are polished, least inertia first; (N,) each."""
        rows, K, centres = self._searched_rows, len(self.class_sizes), self.known_centres
        if centres is None or len(centres) < K:
            return searched_partitions(rows, K, self.settings.search)
        columns = rows.shape[1] if self.settings.search.single else leading_columns(K)
        return partitions_without(rows, centres, K, columns=columns)

    @cached_property
    def clusterings(self) -> list[Clustering]:
        """K-means into K clusters: different partitions, least inertia first."""
        return polish(self._searched_rows, self.starts, self.settings.search)

    @property
    def compared_clusterings(self) -> list[dict[str, float]]:
        """A row for each of them, as `compare_clusterings` describes it."""
        return compare_clusterings(self.y, self.clusterings)

    @property
    def clusters(self) -> NDArray[np.int32]:
        """Every image's cluster in the clustering of least inertia, (N,)."""
        return self.clusterings[0].labels if self.known_clusters is None else self.known_clusters

    @cached_property
    def centres(self) -> Float32:
        """Mean of every cluster in the rows in which k-means searches, (C, D)."""
        return class_means(self._searched_rows, self.clusters)

    @cached_property
    def scan(self) -> Scan:
        """What one pass over all distances gives, with three nearest neighbours of each image, or all others."""
        if self.known_scan is not None:
            return self.known_scan
        k, own_groups = self.settings.neighbours, self.settings.own_groups
        groups = {name: self._members(name) for name in GROUPS if name in self.needs}
        return scan(self.X, self.y, k, kept=NEAREST, groups=groups, own_groups=own_groups)

    @cached_property
    def shuffled_y(self) -> Classes:
        """The classes dealt to the images at random, the same for every layer, (SHUFFLES, N)."""
        return np.random.default_rng(0).permuted(np.tile(self.y, (SHUFFLES, 1)), axis=1)

    @property
    def class_distances(self) -> Float64:
        """Sums of every image's distances to each class, (N, K)."""
        return self._class_sums[:, : len(self.class_sizes)]

    @property
    def shuffled_class_distances(self) -> Float64:
        """Sums of every image's distances to each of the shuffled classes, (SHUFFLES, N, K)."""
        K = len(self.class_sizes)
        return self._class_sums[:, K:].reshape(-1, SHUFFLES, K).swapaxes(0, 1)

    @cached_property
    def _class_sums(self) -> Float64:
        """Sums of every image's distances to each class, then to shuffled ones; of a given scan to classes alone."""
        return self._distances("class_distances")

    @cached_property
    def cluster_distances(self) -> Float64:
        """Sums of every image's distances to each cluster of the clustering of least inertia, (N, C)."""
        return self._distances("cluster_distances")

    def _distances(self, groups: Need) -> Float64:
        """Sums of every image's distances to groups, from the pass that finds neighbours if it brings them along."""
        scanned = self.known_scan is not None or "neighbours" in self.needs
        found = self.scan.sums.get(groups) if scanned else None
        return distance_sums(self.X, self._members(groups)) if found is None else found

    def _members(self, groups: Need) -> csc_array:
        """Membership of classes, then of shuffled classes, (N, (1 + SHUFFLES) K); or of clusters, (N, C)."""
        if groups == "cluster_distances":
            return memberships([np.unique(self.clusters, return_inverse=True)[1]])
        return memberships([self.y, *self.shuffled_y])

    @property
    def centred_directions(self) -> Float32:
        """Rows less the split's mean, scaled to length 1, (N, D); rows that equal the mean are 0."""
        directions = centred(self.X)
        return unit_rows(directions, out=directions)

    @cached_property
    def probe_scores(self) -> Floats:
        """Score of every class for every image by the probe fitted without its fold, (N, K)."""
        settings = self.settings
        return held_out_scores(self.X, self.y, C=settings.C, folds=settings.folds, seed=settings.probe_seed)

    def leaves_neighbours(self, rows: Rows | Matches) -> bool:
        """Whether some images are not all of one group, of which none may be a neighbour of its own."""
        groups = self.settings.own_groups
        return groups is None or len(np.unique(groups[rows])) > 1

    def part(
        self,
        rows: Rows | Matches,
        *,
        search: Search | None = None,
        needs: Collection[Need] = (),
        scan: Scan | None = None,
    ) -> "EmbeddedSplit":
        """Take some images as a split of their own, with k the size of their largest class.

        Args:
            rows: (M,) indices, or (N,) whether an image belongs.
            search: of k-means; None: it starts from the clusters of the whole (`kmeans.partitions_without`).
            needs: what scores will need of it.
            scan: of these images alone; made when needed if missing.

        Raises:
            ValueError: no image would have a neighbour.
        """
        if not self.leaves_neighbours(rows):
            raise ValueError("a part must have images of at least two groups")
        y = np.unique(self.y[rows], return_inverse=True)[1]
        groups = self.settings.own_groups
        groups = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
        settings = replace(
            self.settings,
            neighbours=min(int(np.bincount(y).max()), int(others(y, groups)[1].min())),
            own_groups=groups,
            search=search or self.settings.search,
        )
        clustered = "clusterings" in needs
        rotated = self.rotated[rows] if clustered and not settings.search.single else None
        centres = self.centres if clustered and search is None else None
        return EmbeddedSplit(
            self.X, y, settings, needs, rows=rows, known_rotated=rotated, known_centres=centres, known_scan=scan
        )


def scaled(X: Float32, scaling: Normalize) -> Float32:
    """Scale every row of (N, D) in one way, which may be none at all; of rows of zeros see `mark_zero_rows`."""
    return X if scaling == "none" else unit_rows(*mark_zero_rows(X))


def mark_zero_rows(*arrays: Float32) -> list[Float32]:
    """Add a feature that is 1 in rows of zeros and 0 in others, where any array has such rows: (N, D) or (N, D + 1).

    A row of zeros has no direction. Scaled to length 1 and marked, it has a cosine similarity of 0 to every other row,
    as in scikit-learn, and of 1 to another row of zeros. Unmarked, it would be everybody's nearest neighbour.
    """
    zeros = [~X.any(axis=1, keepdims=True) for X in arrays]
    if not any(zero.any() for zero in zeros):
        return [*arrays]
    return [np.hstack([X, zero.astype(np.float32)]) for X, zero in zip(arrays, zeros, strict=True)]


def unit_rows(X: Float32, *, out: Float32 | None = None) -> Float32:
    """Scale every row of (N, D) to Euclidean length 1, in place if `out` is X; rows of zeros stay zero."""
    scaled = np.empty_like(X) if out is None else out
    for rows in blocks(len(X)):
        length = np.linalg.norm(X[rows].astype(np.float64), axis=1, keepdims=True)
        scaled[rows] = X[rows] / np.where(length > 0, length, 1.0)
    return scaled


def centred(X: Float32) -> Float32:
    """Subtract the mean row, taken in double precision; of a row that equals it, what is left is rounding: set to 0."""
    mean = X.mean(axis=0, dtype=np.float64)
    difference = np.empty_like(X)
    for rows in blocks(len(X)):
        doubles = X[rows] - mean
        doubles[np.linalg.norm(doubles, axis=1) <= EQUALS_MEAN * np.linalg.norm(mean)] = 0
        difference[rows] = doubles
    return difference
