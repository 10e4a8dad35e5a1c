"""Robustness: scores of corrupted copies of images, beside those of the clean originals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stages.measure.arrays import Classes, Floats
from stages.measure.scores.clustering import best_of_few, normalized_mutual_information


@dataclass(frozen=True)
class CopyScore:
    """A score of corrupted copies.

    Attributes:
        value: of the copies.
        clean: of the clean originals of the same images.
    """

    value: float
    clean: float

    @property
    def relative(self) -> float:
        """The copies' score as a share of the originals'."""
        return relative(self.value, self.clean)


def relative(value: float, clean: float) -> float:
    """Divide a score of corrupted copies by that of the clean originals; NaN where that is 0."""
    return value / clean if clean != 0 else np.nan


def accuracy_of_copies(predicted: Classes, predicted_clean: Classes, y: Classes) -> CopyScore:
    """Share of copies, and of their originals, whose class was predicted.

    Args:
        predicted: (m,) classes predicted for the copies.
        predicted_clean: (m,) classes predicted for their originals.
        y: (m,) their classes.
    """
    return CopyScore(float((predicted == y).mean()), float((predicted_clean == y).mean()))


def nmi_of_copies(
    clean: Floats, copies: Mapping[str, Floats], y: Classes, *, starts: int, seed: int
) -> dict[str, CopyScore]:
    """Cluster the copies of each corruption alone, and the clean originals, and compare clusters with classes.

    Args:
        clean: (m, D) float32, the originals.
        copies: (m, D) float32 by corruption, in the order of the originals.
        y: (m,) classes.
        starts: number of k-means starts, of which at most 3 are used.
        seed: of the first start.

    Returns:
        NMI by corruption; all have the same clean reference.
    """
    reference = nmi_of_least_inertia(clean, y, starts=starts, seed=seed)
    return {n: CopyScore(nmi_of_least_inertia(X, y, starts=starts, seed=seed), reference) for n, X in copies.items()}


def nmi_of_least_inertia(X: Floats, y: Classes, *, starts: int, seed: int) -> float:
    """Cluster an embedding into as many clusters as there are classes, and score the start of least inertia.

    Args:
        X: (m, D) float32.
        y: (m,) classes, any integers.
        starts: number of k-means starts, of which at most 3 are used.
        seed: of the first start.
    """
    codes = np.unique(y, return_inverse=True)[1]
    best = best_of_few(X, int(codes.max()) + 1, starts=starts, seed=seed)
    return normalized_mutual_information(codes, best.labels)
