"""Inference in two scopes, other classes of the domain and other images of these: the errors of layers' scores.

Other classes, from folds of unseen classes and scores without each class. The estimand: if other classes of this domain
were drawn, as many left out at a time and the network trained again on the rest, a layer's average score over all such
repetitions. Each fold of unseen classes is one repetition, and the variance between folds is unbiased for everything
that a new repetition draws anew, but has few degrees of freedom. Scores fitted again without each class show how layers
vary together, but are biased as a level and blind to training. So the delete-one-class jackknife and the training seeds
give the shape of the covariance, and the folds set its level, by one ratio over all contrasts of a family. Halves of
the images are not added: leaving a class out takes its images along.

Other images, with these trained networks, from scores fitted again on halves. The two halves of a pair hold each
other's complement, so a half's score deviates from the score of all images about as much as the score of as many new
images would. A pair counts as one degree of freedom, since its halves deviate in opposite directions. Where images come
in groups, halves keep these whole, and no more is known than groups can tell: with few of them, halves repeat.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np

from ...aggregate.network_data import MIN_DF, MIN_GROUPS, Refits, degrees_of_freedom, fewest_groups
from .contrasts import Float64, Inference

Scope = Literal["classes", "images"]
"""What a statement is about: other classes of the domain, or other images of these classes."""

BOTH: tuple[Scope, ...] = ("classes", "images")

PROVEN: dict[str, tuple[Scope, ...]] = {
    "nmi": ("classes",),
    "ami": ("classes",),
    "knn_purity": BOTH,
    "nn1_accuracy": BOTH,
    "probe_accuracy": ("classes",),
    "silhouette": ("images",),
    "r_precision": BOTH,
    "map_at_r": BOTH,
}
"""The scopes in which simulation bears out the level of a score's intervals (docs/uncertainty.md#validation); one that
is not listed has none. docs/statistics.md#where-intervals-fail names the exceptions."""

Statement = TypeVar("Statement")

MIN_FOLDS = 3
"""Folds from which on their differences tell how far other classes and another training differ."""

MIN_CLASSES = 10
"""Left-out classes (or groups of them) from which on these alone tell of other classes, of a frozen network."""


def is_proven(metric: str, scope: Scope) -> bool:
    """Return whether statements about a score keep their level in a scope; only then is a claim supported by it."""
    return scope in PROVEN.get(metric, ())


def over_classes(*networks: Refits) -> Inference | None:
    """Infer about other classes: by left-out classes and folds, or by folds alone where that may stand in.

    Args:
        networks: of the same folds; their embeddings stand one after the other.

    Returns:
        None of fewer than three folds, unless the networks are frozen and have ten classes or more; and where the
        score was not fitted again, or not alike.
    """
    (J, _, K, _), several = networks[0].without.shape, len(networks[0].values) >= MIN_FOLDS
    if {network.without.shape[2] for network in networks} != {K} or K == 0:
        stands_in = several and all(network.score.over_folds for network in networks)
        return fold_inference(*(network.values for network in networks)) if stands_in else None
    if not several and not (all(network.frozen for network in networks) and J * K >= MIN_CLASSES):
        return None
    return class_inference(*networks)


def class_inference(*networks: Refits) -> Inference:
    """Combine folds, left-out classes and seeds of one network, or of several on the same folds and classes.

    With three folds or more, these set the level: the jackknife knows nothing of training. Of frozen networks it has
    the level at any number of folds, and of fewer.

    Args:
        networks: of the same folds and classes; their layers stand one after the other, their seeds are unpaired.
    """
    J, _, K, _ = networks[0].without.shape
    scores = np.concatenate([network.values.mean(axis=1) for network in networks], axis=1)
    mean = scores.mean(axis=0)
    without = np.concatenate([network.without.mean(axis=1) for network in networks], axis=2)  # (J, K, L)
    deviations = without - without.mean(axis=1, keepdims=True)
    shape = (K - 1) / K * np.einsum("jcl,jcm->lm", deviations, deviations) / J**2 + training(*networks)
    if J < MIN_FOLDS or all(network.frozen for network in networks):
        return Inference(mean, shape, J * (K - 1))
    between = (scores - mean).T @ (scores - mean) / (J * (J - 1))
    return Inference(mean, shape, J - 1, between)


def training(*networks: Refits) -> Float64:
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


def fold_inference(*networks: Float64) -> Inference | None:
    """Combine folds of scores (J, S, L) of networks on the same folds; None of a single fold."""
    scores = np.concatenate([values.mean(axis=1) for values in networks], axis=1)
    J = len(scores)
    if J < 2:
        return None
    deviations = scores - scores.mean(axis=0)
    return Inference(scores.mean(axis=0), deviations.T @ deviations / (J * (J - 1)), J - 1, correlated=False)


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
    df, shared = (np.inf, False) if groups is None else degrees_of_freedom(*groups)
    if df < MIN_DF or (groups is not None and fewest_groups(groups) < MIN_GROUPS):
        return None
    return Inference(mean, covariance * J if shared else covariance, min(J * B / 2, df))


def lacks_groups(refits: Refits) -> bool:
    """Return whether nothing is said of other images since these have too few groups."""
    return refits.groups is not None and refits.halves.size > 0 and over_images(refits) is None


def infer(*networks: Refits | None) -> dict[Scope, Inference]:
    """Infer about networks of the same folds in every scope that is known, the wider one first."""
    refits = [network for network in networks if network is not None]
    if not refits or len(refits) < len(networks):
        return {}
    known: dict[Scope, Inference | None] = {"classes": over_classes(*refits), "images": over_images(*refits)}
    return {scope: inference for scope, inference in known.items() if inference is not None}


def state_widest(
    statement: Callable[[Inference], Statement | None], *networks: Refits | None
) -> tuple[Scope, Statement] | None:
    """Make a statement about networks of the same folds in the wider scope in which it can be made."""
    stated = ((scope, statement(inference)) for scope, inference in infer(*networks).items())
    return next(((scope, made) for scope, made in stated if made is not None), None)
