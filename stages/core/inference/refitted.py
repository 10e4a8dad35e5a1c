"""One score of a network's layers, and the same fitted again on parts of the images: what inference starts from.

Groups of images (of one writer, patient or video), where there are any, are what was drawn independently.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ..scores.description import Score
from .contrasts import Float64

Key = tuple[str, str]
"""An embedding's `layer` and `pooling`."""

MIN_DF = 5
"""Degrees of freedom below which nothing is said about other images: six groups, where each has images of every class.
With fewer, halves of the images are few different ones."""

MIN_GROUPS = 3
"""Groups of every class below which halves tell nothing about other images: of two, each half has one, so that how far
groups of one class lie apart is not seen."""

Groups = frozenset[tuple[str, str]]
"""The groups of some images: each group with each class that it has images of."""


def find_groups(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> Groups | None:
    """Find the groups of N images, from the class and the group of each; None where images are not grouped."""
    return frozenset(zip(groups.tolist(), labels.tolist(), strict=True)) if (groups != "").any() else None


@cache
def degrees_of_freedom(*folds: Groups) -> tuple[float, bool]:
    """Count what the groups of several folds leave free, and whether folds share groups, which then count once.

    Returns:
        Groups less the effective rank (participation ratio) of the table of which group has images of which class, its
        rows of length 1: less one where each has images of every class, and hardly more where some lack some; less
        classes where each has images of one.
    """
    groups, labels = zip(*frozenset().union(*folds), strict=True)
    rows, columns = (np.unique(names, return_inverse=True)[1] for names in (groups, labels))
    classes = np.bincount(rows)  # of each group
    table = csr_array((classes[rows] ** -0.5, (rows, columns)))
    alike = table.T @ table
    shared = len(classes) < sum(len({group for group, _ in each}) for each in folds)
    rank = max(connected_components(alike)[0], len(classes) ** 2 / float(alike.multiply(alike).sum()))
    return round(len(classes) - rank, 9), shared


def fewest_groups(folds: Iterable[Groups]) -> int:
    """Count the groups of the class that has the fewest."""
    return min(min(Counter(label for _, label in each).values()) for each in folds)


@dataclass(frozen=True)
class Refits:
    """One score of E embeddings of one network at one step, with J folds of unseen classes and S seeds in each.

    Attributes:
        keys: the embeddings.
        values: (J, S, E) of all unseen classes, turned so that higher is better, as what follows is.
        without: (J, S, K, E) of all classes but one, everything fitted again; K is 0 where that was not done.
        halves: (J, S, B, E) of halves of the images; halves 2 i and 2 i + 1 are a pair, the same for every seed. B is 0
            as well.
        score: the facts of the score.
        groups: of the images of each fold; None where these are not grouped.
        frozen: whether the network was measured before any training on these data: then every class is unseen, and one
            fold of many classes tells of others.
    """

    keys: tuple[Key, ...]
    values: Float64
    without: Float64
    halves: Float64
    score: Score
    groups: tuple[Groups, ...] | None = None
    frozen: bool = False

    @classmethod
    def of(cls, keys: Sequence[Key], score: Score, values: Float64, without: Float64, halves: Float64) -> "Refits":
        """Turn scores so that higher is better; those of parts of the images count only if all are finite.

        Args:
            keys: the E embeddings.
            score: the facts of the score.
            values: (J, S, E), finite.
            without: (J, S, K, E), NaN where a fold has fewer parts.
            halves: (J, S, B, E), likewise.
        """
        without, halves = (each if np.isfinite(each).all() else each[:, :, :0] for each in (without, halves))
        return cls(tuple(keys), score.sign * values, score.sign * without, score.sign * halves, score)

    def take(self, keys: Sequence[Key]) -> "Refits":
        """The same of some embeddings, in this order."""
        at = [self.keys.index(key) for key in keys]
        return replace(self._select((..., at)), keys=tuple(keys))

    def of_fold(self, fold: int) -> "Refits":
        """The same of one fold."""
        return replace(self._select([fold]), groups=self.groups and self.groups[fold : fold + 1])

    def _select(self, index: Any) -> "Refits":
        return replace(self, values=self.values[index], without=self.without[index], halves=self.halves[index])
