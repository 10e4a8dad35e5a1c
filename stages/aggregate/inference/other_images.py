"""Inference about other images of these classes with these trained networks, from scores fitted again on halves.

The two halves of a pair hold each other's complement, so a half's score deviates from the score of all images about as
much as the score of as many new images would. A pair counts as one degree of freedom, since its halves deviate in
opposite directions. Where images come in groups, halves keep these whole, and no more is known than groups can tell:
with few of them, halves repeat.
"""

import numpy as np

from stages.aggregate.inference.contrasts import Inference
from stages.aggregate.inference.groups import MIN_DF, degrees_of_freedom
from stages.aggregate.inference.refits import Refits


def over_images(*networks: Refits) -> Inference | None:
    """Combine the halves of one network, or of several on the same images and halves.

    Args:
        networks: of the same images and halves; their layers stand one after the other. Folds that share groups may
            move together, and are no further evidence.

    Returns:
        None where scores were not fitted again on as many halves, or where the images have too few groups.
    """
    (J, _, B, _), groups = networks[0].halves.shape, networks[0].groups
    if B < 2 or {network.halves.shape[2] for network in networks} != {B}:
        return None
    scores = np.concatenate([network.halves.mean(axis=1) for network in networks], axis=2)  # (J, B, L)
    deviations = scores - scores.mean(axis=1, keepdims=True)
    mean = np.concatenate([network.values.mean(axis=(0, 1)) for network in networks])
    covariance = np.einsum("jbl,jbm->lm", deviations, deviations) / ((B - 1) * J**2)
    df, shared = (np.inf, False) if groups is None else degrees_of_freedom(groups)
    if df < MIN_DF:
        return None
    return Inference(mean, covariance * J if shared else covariance, min(J * B / 2, df))


def lacks_groups(refits: Refits) -> bool:
    """Return whether nothing is said of other images since these have too few groups."""
    return refits.groups is not None and refits.halves.size > 0 and over_images(refits) is None
