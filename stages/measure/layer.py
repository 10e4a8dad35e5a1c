"""One layer's embedding of one split, with what several scores need of it, computed once and when first asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.measure.clustering import Clustering, cluster, normalized_mutual_information
from stages.measure.neighbours import neighbour_matches
from stages.measure.probe import held_out_predictions

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """How a split's scores are computed.

    Attributes:
        normalize: `l2`: rows are scaled to length 1 (rows of zeros stay), `none`: taken as they are.
        neighbours: k of `knn_purity`, at most N - 1.
        starts, kmeans_seed: of k-means.
        C, folds, probe_seed: of the linear probe.
    """

    normalize: Literal["none", "l2"]
    neighbours: int
    starts: int
    kmeans_seed: int
    C: float
    folds: int
    probe_seed: int


@dataclass(frozen=True)
class Score:
    """One score of one layer.

    Attributes:
        value: the score.
        chance: the value expected when embedding and class are unrelated.
        ceiling: the largest value that these class sizes allow.
        start_sd: standard deviation (ddof = 1) over k-means starts; NaN of a single start, None of scores without.
        per_image: (N,) float or bool, each image's contribution, whose mean is `value`; None where images have none.
    """

    value: float
    chance: float
    ceiling: float
    start_sd: float | None = None
    per_image: NDArray[np.floating | np.bool_] | None = None


class EmbeddedSplit:
    """N images of one split, embedded by one layer."""

    def __init__(self, X: Floats, y: Classes, settings: Settings) -> None:
        """Take an embedding and its classes.

        Args:
            X: (N, D) float32, finite.
            y: (N,) classes as integers 0 ... K - 1, each occurring.
            settings: how to compute.
        """
        self.X = unit_rows(X) if settings.normalize == "l2" else X
        self.y = y
        self.settings = settings

    @cached_property
    def class_sizes(self) -> Classes:
        """n_c of every class, (K,)."""
        return np.bincount(self.y)

    @cached_property
    def peers(self) -> Classes:
        """For every image, how many others share its class, n_c - 1; (N,)."""
        return self.class_sizes[self.y] - 1

    @cached_property
    def clusterings(self) -> list[Clustering]:
        """K-means into K clusters, one clustering for each start."""
        settings = self.settings
        return cluster(self.X, len(self.class_sizes), starts=settings.starts, seed=settings.kmeans_seed)

    @cached_property
    def best_start(self) -> int:
        """Index of the start of least inertia; the first of equal ones."""
        return int(np.argmin([clustering.inertia for clustering in self.clusterings]))

    @cached_property
    def start_nmi(self) -> list[float]:
        """Normalized mutual information of the classes with every start."""
        return [normalized_mutual_information(self.y, clustering.labels) for clustering in self.clusterings]

    @cached_property
    def matches(self) -> NDArray[np.bool_]:
        """Whether the r-th nearest neighbour has the image's class, (N, k), nearest first."""
        return neighbour_matches(self.X, self.y, self.settings.neighbours)

    @cached_property
    def probe_predictions(self) -> Classes:
        """Class predicted for every image by the linear probe fitted without its fold, (N,)."""
        settings = self.settings
        return held_out_predictions(self.X, self.y, C=settings.C, folds=settings.folds, seed=settings.probe_seed)

    @property
    def clustered(self) -> bool:
        """Whether a score asked for the clusterings."""
        return "clusterings" in vars(self)


def unit_rows(X: Floats) -> Floats:
    """Scale every row of (N, D) to Euclidean length 1; rows of zeros stay zero."""
    length = np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    return (X / np.where(length > 0, length, 1.0)).astype(np.float32)
