"""Scores of all layers of one curve, on any reweighting of the images, from what each image contributed.

Nothing is fitted again: neighbours, folds and clusters stay those of the images themselves. A resample that repeats
images would make duplicates each other's neighbours and put copies of one image into both parts of a fold.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.metric_info import PROPORTION, UNLIMITED, ClusterScore, DetectionScore, Width, metric_info
from stages.aggregate.uncertainty.bootstrap import START_FACTOR, Float64, Weights, stretch
from stages.aggregate.uncertainty.cluster_agreement import adjusted_rand_index, mutual_information_score
from stages.aggregate.uncertainty.ood_detection import false_positive_rate, placements, reweighted_auroc

Classes = NDArray[np.int64]

BLOCK_BYTES = 32 * 2**20
"""Memory for one block of contingency tables."""


class CurveScorer(ABC):
    """One score of S seeds and L layers on the same N images.

    Attributes:
        y: (N,) classes, the strata of resampling.
        width: how intervals are made of this score.
    """

    def __init__(self, y: Classes, shape: tuple[int, ...], width: Width, start_sd: NDArray[np.floating] | None) -> None:
        """Take (N,) classes, (S, L), the score's width, and its (S, L) standard deviation over k-means starts."""
        self.y, self.width, self._shape = y, width, shape
        self._start_sd = np.zeros(shape) if start_sd is None else np.nan_to_num(start_sd, nan=0.0)

    @abstractmethod
    def per_seed(self, weights: Weights) -> Float64:
        """Score B reweightings: (B, N) counts -> (B, S, L); NaN for a layer that was not scored."""

    @abstractmethod
    def _keep(self, embeddings: NDArray[np.int64]) -> None:
        """Keep of (S L,) embeddings, seed by seed, some alone."""

    def select(self, layers: Sequence[int]) -> Self:
        """The same score of some layers, in this order."""
        chosen, (seeds, count) = copy(self), self._shape
        chosen._shape, chosen._start_sd = (seeds, len(layers)), self._start_sd[:, layers]
        chosen._keep((np.arange(seeds)[:, None] * count + np.asarray(layers)).ravel())
        return chosen

    def __call__(self, weights: Weights) -> Float64:
        """Score B reweightings, mean over seeds: (B, N) counts -> (B, L)."""
        return np.asarray(self.per_seed(weights).mean(axis=1))

    def noise(self, count: int, rng: np.random.Generator) -> Float64:
        """Draw what other k-means starts would add, (count, S, L); zeros for scores without."""
        return np.asarray(rng.normal(size=(count, *self._shape)) * self._start_sd)

    def replicates(self, weights: Weights, rng: np.random.Generator) -> Float64:
        """Scores of B resamples, centred at the scores and with the spread of new images: (B, N) -> (B, S, L)."""
        values = self.per_seed(np.ones((1, len(self.y)), np.float32))[0]
        return stretch(values, self.per_seed(weights), self.width, START_FACTOR * self.noise(len(weights), rng))


class MeanScorer(CurveScorer):
    """A score that is the mean of what images contribute."""

    def __init__(
        self,
        y: Classes,
        contributions: NDArray[np.floating],
        width: Width = UNLIMITED,
        start_sd: NDArray[np.floating] | None = None,
    ) -> None:
        """Take what is known of one score.

        Args:
            y: (N,) classes.
            contributions: (S, L, N); NaN of images that take no part, all NaN of a layer that has no score.
            width: of its intervals.
            start_sd: (S, L) standard deviation over k-means starts; NaN of one start, which adds nothing.
        """
        super().__init__(y, contributions.shape[:2], width, start_sd)
        flat = contributions.reshape(-1, contributions.shape[2])
        taking_part = ~np.isnan(flat)
        counts = taking_part.sum(axis=1)
        # Less their mean, so that the sums in single precision lose nothing.
        self._centre = np.nansum(flat, axis=1, dtype=np.float64) / np.where(counts > 0, counts, np.nan)
        self._deviations = np.where(taking_part, flat - self._centre[:, None], 0).astype(np.float32)
        self._taking_part = None if taking_part.all() else taking_part.astype(np.float32)

    def _keep(self, embeddings: NDArray[np.int64]) -> None:
        self._centre, self._deviations = self._centre[embeddings], self._deviations[embeddings]
        self._taking_part = None if self._taking_part is None else self._taking_part[embeddings]

    def per_seed(self, weights: Weights) -> Float64:
        """(B, N) counts -> (B, S, L)."""
        sums = (weights @ self._deviations.T).astype(np.float64)
        if self._taking_part is None:
            totals = weights.sum(axis=1, dtype=np.float64, keepdims=True)
        else:
            totals = (weights @ self._taking_part.T).astype(np.float64)
        means = sums / np.where(totals > 0, totals, np.nan) + self._centre
        return means.reshape(len(weights), *self._shape)


class ClusterScorer(CurveScorer):
    """Agreement of the classes with fixed clusters, from weighted contingency tables."""

    def __init__(
        self,
        y: Classes,
        clusters: NDArray[np.integer],
        score: ClusterScore,
        start_sd: NDArray[np.floating] | None = None,
    ) -> None:
        """Take the clusters of every image.

        `nmi`: mutual information over the mean of the two entropies. `ami`: the same with the mutual information that
        is expected by chance taken off both (Vinh, Epps and Bailey 2010), expected for the sizes of the unweighted
        images. `ari`: Rand index adjusted for chance (Hubert and Arabie 1985).

        Args:
            y: (N,) classes.
            clusters: (S, L, N) from 0; a layer with a negative one has no score.
            score: which.
            start_sd: (S, L) standard deviation over k-means starts; NaN of one start, which adds nothing.
        """
        super().__init__(y, clusters.shape[:2], metric_info(score).width, start_sd)
        self._score = score
        flat = clusters.reshape(-1, clusters.shape[2])
        self._unknown = flat.min(axis=1) < 0
        self._clusters = np.where(self._unknown[:, None], 0, flat)
        self._strata = [np.flatnonzero(y == label) for label in np.unique(y)]
        self._expected = self._expected_information() if score == "ami" else np.zeros(len(flat))

    def _keep(self, embeddings: NDArray[np.int64]) -> None:
        self._unknown, self._clusters = self._unknown[embeddings], self._clusters[embeddings]
        self._expected = self._expected[embeddings]

    def per_seed(self, weights: Weights) -> Float64:
        """(B, N) counts -> (B, S, L)."""
        function = adjusted_rand_index if self._score == "ari" else self._information
        scores = np.concatenate([function(tables) for tables in self._contingencies(weights)])
        scores[:, self._unknown] = np.nan
        return scores.reshape(len(weights), *self._shape)

    def _information(self, tables: NDArray[np.int64]) -> Float64:
        return mutual_information_score(tables, self._expected)

    def _contingencies(self, weights: Weights) -> Iterator[NDArray[np.int64]]:
        """Count images by class and cluster, a block of resamples at a time: (b, S L, K, C)."""
        columns, width = len(self._clusters), int(self._clusters.max()) + 1
        hot = [
            (self._clusters[:, rows].T[:, :, None] == np.arange(width)).reshape(len(rows), -1).astype(np.float32)
            for rows in self._strata
        ]  # (n_c, S L C) for each class
        size = max(1, BLOCK_BYTES // (8 * columns * len(hot) * width))
        for start in range(0, len(weights), size):
            block = weights[start : start + size]
            counts = np.empty((len(block), columns, len(hot), width), np.int64)
            for k, (rows, members) in enumerate(zip(self._strata, hot, strict=True)):
                counts[:, :, k] = (block[:, rows] @ members).reshape(len(block), columns, width)
            yield counts

    def _expected_information(self) -> Float64:
        """Mutual information of random clusters of the same sizes, (S L,)."""
        from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

        tables = [contingency_matrix(self.y, labels, sparse=True).astype(np.int64) for labels in self._clusters]
        return np.array([expected_mutual_information(table, len(self.y)) for table in tables])


class OodScorer(CurveScorer):
    """How well distances tell images of unseen classes from images of seen ones."""

    def __init__(
        self,
        y: Classes,
        unseen: NDArray[np.bool_],
        distances: NDArray[np.floating],
        score: DetectionScore,
        width: Width = PROPORTION,
    ) -> None:
        """Take (N,) classes, which images are of unseen ones (N,), (S, L, N) distances to seen ones, score and width.

        `auroc`: probability that an unseen image is farther than a seen one, ties half. Resamples are scored to first
        order by placement values (DeLong and others 1988). `fpr95`: share of unseen images that are not farther than
        the distance within which 95 % of seen ones lie.
        """
        super().__init__(y, distances.shape[:2], width, None)
        self._unseen = unseen
        flat = distances.reshape(-1, distances.shape[2])
        self._unknown = np.isnan(flat).any(axis=1)
        self._distances = np.where(self._unknown[:, None], 0, flat)
        self._placement = [placements(d[~unseen], d[unseen]) for d in self._distances] if score == "auroc" else []

    def _keep(self, embeddings: NDArray[np.int64]) -> None:
        self._unknown, self._distances = self._unknown[embeddings], self._distances[embeddings]
        self._placement = [self._placement[i] for i in embeddings] if self._placement else []

    def per_seed(self, weights: Weights) -> Float64:
        """(B, N) counts -> (B, S, L)."""
        seen, unseen = weights[:, ~self._unseen], weights[:, self._unseen]
        if self._placement:
            scores = [reweighted_auroc(seen, unseen, *placement) for placement in self._placement]
        else:
            of_seen, of_unseen = self._distances[:, ~self._unseen], self._distances[:, self._unseen]
            scores = [false_positive_rate(seen, unseen, *pair) for pair in zip(of_seen, of_unseen, strict=True)]
        table = np.stack(scores, axis=1)
        table[:, self._unknown] = np.nan
        return table.reshape(len(weights), *self._shape)
