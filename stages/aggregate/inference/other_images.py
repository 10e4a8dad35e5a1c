"""Inference about other images of these classes with these trained networks, from scores fitted again on halves.

The two halves of a pair hold each other's complement, so a half's score deviates from the score of all images about as
much as the score of as many new images would. A pair counts as one degree of freedom, since its halves deviate in
opposite directions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stages.aggregate.inference.contrasts import Contrasts, Float64, correlation_of


class HalfScores(NamedTuple):
    """Scores of L layers of one network, with J folds of unseen classes and S training seeds in each.

    Attributes:
        values: (J, S, L) of all images.
        halves: (J, S, B, L) of halves of the images; halves 2 i and 2 i + 1 are a pair, the same for every seed.
    """

    values: Float64
    halves: Float64


@dataclass(frozen=True)
class ImageInference:
    """What halves say about other images of these classes.

    Attributes:
        mean: (L,) scores, over seeds and folds.
        covariance: (L, L) of the mean.
        df: degrees of freedom.
    """

    mean: Float64
    covariance: Float64
    df: float

    def contrasts(self, matrix: Float64) -> Contrasts | None:
        """Estimate the rows of a (C, L) matrix times the scores, as one family."""
        family = matrix @ self.covariance @ matrix.T
        variance = np.diag(family)
        varying = variance > 0
        if not varying.any():
            return None
        known = np.where(varying, variance, np.nan)
        correlation = correlation_of(family[np.ix_(varying, varying)])
        return Contrasts(matrix @ self.mean, known, known, self.df, correlation)


def image_inference(*networks: HalfScores) -> ImageInference | None:
    """Combine the halves of one network, or of several on the same images and halves.

    Args:
        networks: of the same images and halves; their layers stand one after the other.

    Returns:
        None without halves.
    """
    J, _, B, _ = networks[0].halves.shape
    if B < 2:
        return None
    scores = np.concatenate([network.halves.mean(axis=1) for network in networks], axis=2)  # (J, B, L)
    deviations = scores - scores.mean(axis=1, keepdims=True)
    mean = np.concatenate([network.values.mean(axis=(0, 1)) for network in networks])
    covariance = np.einsum("jbl,jbm->lm", deviations, deviations) / ((B - 1) * J**2)
    return ImageInference(mean, covariance, J * B / 2)
