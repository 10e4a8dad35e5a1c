"""Inference about other images of these classes with these trained networks, from scores fitted again on halves.

The two halves of a pair hold each other's complement, so a half's score deviates from the score of all images about as
much as the score of as many new images would. A pair counts as one degree of freedom, since its halves deviate in
opposite directions. Where images come in groups, halves keep these whole, and no more is known than groups can tell:
with few of them, halves repeat.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.aggregate.inference.contrasts import Float64, Inference
from stages.aggregate.inference.groups import MIN_DF, Groups, degrees_of_freedom


class HalfScores(NamedTuple):
    """Scores of L layers of one network, with J folds of unseen classes and S training seeds in each.

    Attributes:
        values: (J, S, L) of all images.
        halves: (J, S, B, L) of halves of the images; halves 2 i and 2 i + 1 are a pair, the same for every seed.
    """

    values: Float64
    halves: Float64


def image_inference(*networks: HalfScores, groups: Sequence[Groups] | None = None) -> Inference | None:
    """Combine the halves of one network, or of several on the same images and halves.

    Args:
        networks: of the same images and halves; their layers stand one after the other.
        groups: of the images of each fold; None where these are not grouped. Folds that share groups may move together,
            and are no further evidence.

    Returns:
        None without halves, or of too few groups.
    """
    J, _, B, _ = networks[0].halves.shape
    if B < 2:
        return None
    scores = np.concatenate([network.halves.mean(axis=1) for network in networks], axis=2)  # (J, B, L)
    deviations = scores - scores.mean(axis=1, keepdims=True)
    mean = np.concatenate([network.values.mean(axis=(0, 1)) for network in networks])
    covariance = np.einsum("jbl,jbm->lm", deviations, deviations) / ((B - 1) * J**2)
    df, shared = (np.inf, False) if groups is None else degrees_of_freedom(groups)
    if df < MIN_DF:
        return None
    return Inference(mean, covariance * J if shared else covariance, min(J * B / 2, df))
