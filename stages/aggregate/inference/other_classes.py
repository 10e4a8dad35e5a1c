"""Inference about other classes of the domain, from folds of unseen classes and scores without each class.

The estimand: if other classes of this domain were drawn, as many left out at a time and the network trained again on
the rest, a layer's average score over all such repetitions.

Each fold of unseen classes is one repetition, and the variance between folds is unbiased for everything that a new
repetition draws anew, but has few degrees of freedom. Scores fitted again without each class show how layers vary
together, but are biased as a level and blind to training. So the delete-one-class jackknife and the training seeds give
the shape of the covariance, and the folds set its level, by one ratio over all contrasts of a family. Halves of the
images are not added: leaving a class out takes its images along.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stages.aggregate.inference.contrasts import Contrasts, Float64, correlation_of


class FoldScores(NamedTuple):
    """Scores of L layers of one network, with J folds of K unseen classes and S training seeds in each.

    Attributes:
        values: (J, S, L) of all classes.
        without: (J, S, K, L) of all classes but one, everything fitted again.
    """

    values: Float64
    without: Float64


@dataclass(frozen=True)
class ClassInference:
    """What several folds say about other classes.

    Attributes:
        mean: (L,) scores, over seeds and folds.
        shape: (L, L) covariance of the mean from classes, with their images, and training seeds.
        between: (L, L) covariance of the mean from the differences between folds.
        folds, classes: J, at least 2, and K.
    """

    mean: Float64
    shape: Float64
    between: Float64
    folds: int
    classes: int

    def contrasts(self, matrix: Float64) -> Contrasts | None:
        """Estimate the rows of a (C, L) matrix times the scores, as one family.

        With three folds or more the variance between folds, summed over the family, sets the level of the variance;
        with two it only raises it (the Birge ratio), for a family has little else to go by. A contrast that neither
        classes nor folds move is dropped.
        """
        family = matrix @ self.shape @ matrix.T
        explained, observed = np.diag(family), np.diag(matrix @ self.between @ matrix.T)
        varying = explained > 0
        total = float(explained.sum())
        if total == 0:
            return None
        ratio = float(observed.sum()) / total
        level = ratio if self.folds > 2 else max(1.0, ratio)
        variance = np.where(varying, level * explained, np.where(observed > 0, observed, np.nan))
        both = np.fmax(variance, observed) if self.folds > 2 else variance
        correlation = np.eye(len(family))
        correlation[np.ix_(varying, varying)] = correlation_of(family[np.ix_(varying, varying)])
        kept = ~np.isnan(variance)
        return Contrasts(
            value=matrix @ self.mean,
            variance=variance,
            variance_alone=both,
            df=self._df(family),
            correlation=correlation[np.ix_(kept, kept)],
        )

    def _df(self, family: Float64) -> float:
        """Degrees of freedom of a family's ratio (Satterthwaite), or of the jackknife of two folds."""
        if self.folds == 2:
            return self.folds * (self.classes - 1)
        between = self.folds - 1
        return max(between, between * float(np.trace(family)) ** 2 / float((family**2).sum()))


def class_inference(*networks: FoldScores) -> ClassInference | None:
    """Combine folds, left-out classes and seeds of one network, or of several on the same folds and classes.

    Args:
        networks: of the same folds and classes; their layers stand one after the other, their seeds are unpaired.

    Returns:
        None of a single fold: one choice of classes cannot tell how others would come out.
    """
    J, _, K, _ = networks[0].without.shape
    if J < 2:
        return None
    scores = np.concatenate([network.values.mean(axis=1) for network in networks], axis=1)
    mean = scores.mean(axis=0)
    without = np.concatenate([network.without.mean(axis=1) for network in networks], axis=2)  # (J, K, L)
    deviations = without - without.mean(axis=1, keepdims=True)
    shape = (K - 1) / K * np.einsum("jcl,jcm->lm", deviations, deviations) / J**2
    between = (scores - mean).T @ (scores - mean) / (J * (J - 1))
    return ClassInference(mean, shape + _training(networks), between, J, K)


def _training(networks: tuple[FoldScores, ...]) -> Float64:
    """Covariance of the mean from training seeds, (L, L); zero of a single seed and between networks."""
    ends = np.cumsum([network.values.shape[2] for network in networks])
    covariance = np.zeros((ends[-1], ends[-1]))
    for network, end in zip(networks, ends, strict=True):
        J, S, L = network.values.shape
        if S > 1:
            deviations = network.values - network.values.mean(axis=1, keepdims=True)
            own = slice(end - L, end)
            covariance[own, own] = np.einsum("jsl,jsm->lm", deviations, deviations) / (S * (S - 1) * J**2)
    return covariance


@dataclass(frozen=True)
class FoldInference:
    """What several folds say of a score without refits: Student's t over folds, wide but right.

    Attributes:
        mean: (L,) scores, over seeds and folds.
        between: (L, L) covariance of the mean from the differences between folds.
        folds: J, at least 2.
    """

    mean: Float64
    between: Float64
    folds: int

    def contrasts(self, matrix: Float64) -> Contrasts | None:
        """Estimate the rows of a (C, L) matrix times the scores; their correlation has too few folds to be known."""
        variance = np.diag(matrix @ self.between @ matrix.T)
        if not variance.any():
            return None
        known = np.where(variance > 0, variance, np.nan)
        return Contrasts(matrix @ self.mean, known, known, self.folds - 1, None)


def fold_inference(*networks: Float64) -> FoldInference | None:
    """Combine folds of scores (J, S, L) of networks on the same folds; None of a single fold."""
    scores = np.concatenate([values.mean(axis=1) for values in networks], axis=1)
    J = len(scores)
    if J < 2:
        return None
    deviations = scores - scores.mean(axis=0)
    return FoldInference(scores.mean(axis=0), deviations.T @ deviations / (J * (J - 1)), J)
