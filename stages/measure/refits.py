"""Scores of one embedding fitted again: of all its classes but each one, and of halves of its images.

What an interval is made of. Leaving a class out shows how much a score depends on which classes there are, halves how
much on which images (docs/uncertainty.md). Everything that a score fits is fitted again on each subset, from nothing:
K - 1 clusters where a class is left out, k neighbours from the classes that are left.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Float64
from stages.measure.embedded_split import EmbeddedSplit
from stages.measure.metrics import LAYER_SCORES, needs_of
from stages.measure.scores.kmeans import Search
from stages.measure.scores.subset_neighbours import subset_scans

MIN_CLASSES = 4
"""Classes below which none is left out: what remains would be too few to compare."""


@dataclass(frozen=True)
class Refits:
    """Scores of one embedding of N images of K classes, M scores; NaN where a score is undefined.

    Attributes:
        metrics: names of the scores.
        without: (K, M) of all classes but one, in the order of classes; (0, M) of fewer than `MIN_CLASSES`.
        halves: (B, M) of halves of the images.
    """

    metrics: tuple[str, ...]
    without: Float64
    halves: Float64

    def of(self, metric: str) -> tuple[Float64, Float64]:
        """One score without each class, (K,), and of halves, (B,)."""
        column = self.metrics.index(metric)
        return self.without[:, column], self.halves[:, column]


def refit(split: EmbeddedSplit, halves: NDArray[np.bool_], metrics: Collection[str], halves_search: Search) -> Refits:
    """Fit the scores of one embedding again on all classes but each one, and on halves of the images.

    Args:
        split: N images of K classes; without a class, k-means searches as hard as its settings say.
        halves: (B, N) from `halves.complementary_halves`.
        metrics: names of scores, of those that have `refit`.
        halves_search: of k-means on halves.
    """
    K = len(split.class_sizes)
    without = split.y != np.arange(K)[:, None] if K >= MIN_CLASSES else np.empty((0, len(split.y)), bool)
    subsets = np.concatenate([without, halves])
    searches = [split.settings.search] * len(without) + [halves_search] * len(halves)
    table = subset_scores(split, subsets, searches, metrics)
    return Refits(tuple(metrics), table[: len(without)], table[len(without) :])


def subset_scores(
    split: EmbeddedSplit, subsets: NDArray[np.bool_], searches: Sequence[Search], metrics: Collection[str]
) -> Float64:
    """Score subsets of the images of one embedding, (S, M).

    Args:
        split: N images.
        subsets: (S, N) which images belong; at least two of at least two classes.
        searches: of k-means on each subset.
        metrics: names of M scores, of those that have `refit`.
    """
    needs, table = needs_of(metrics), np.empty((len(subsets), len(metrics)))
    scans = {}
    if needs & {"neighbours", "class_distances"} and len(subsets):
        found = subset_scans(split.X, split.y, subsets, distances_to_classes="class_distances" in needs)
        scans = dict(enumerate(found))
    for number, (subset, search) in enumerate(zip(subsets, searches, strict=True)):
        part = split.part(subset, search=search, needs=needs, scan=scans.get(number))
        table[number] = [LAYER_SCORES[name].compute(part).value for name in metrics]
    return table
