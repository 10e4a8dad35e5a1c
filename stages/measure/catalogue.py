"""The catalogue of scores: a score is one function here and one line in `METRICS`.

Every function takes one layer's embedding of one split and returns a `Score`; docs/scores.md defines each.
What several scores share (neighbours, clusterings) is a cached property of `EmbeddedSplit`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stages.measure.clustering import chance_of_nmi
from stages.measure.layer import EmbeddedSplit, Score


def nmi(split: EmbeddedSplit) -> Score:
    """Agreement of classes with the k-means start of least inertia."""
    values, best = split.start_nmi, split.best_start
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    chance = chance_of_nmi(split.y, split.clusterings[best].labels)
    return Score(values[best], chance, 1.0, start_sd=spread)


def knn_purity(split: EmbeddedSplit) -> Score:
    """Mean share of the k nearest neighbours that have the image's class."""
    k = split.settings.neighbours
    share = split.matches[:, :k].sum(axis=1) / k
    ceiling = float(np.minimum(split.peers, k).mean() / k)
    return Score(float(share.mean()), chance_of_neighbours(split), ceiling, per_image=share)


def nn1_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images whose nearest neighbour has their class."""
    match = split.matches[:, 0]
    return Score(float(match.mean()), chance_of_neighbours(split), float((split.peers > 0).mean()), per_image=match)


def probe_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images that a linear classifier fitted without them recognizes."""
    correct = split.probe_predictions == split.y
    return Score(float(correct.mean()), largest_share(split.class_sizes), 1.0, per_image=correct)


METRICS: dict[str, Callable[[EmbeddedSplit], Score]] = {
    "nmi": nmi,
    "knn_purity": knn_purity,
    "nn1_accuracy": nn1_accuracy,
    "probe_accuracy": probe_accuracy,
}


def accuracy(logits: NDArray[np.float32], heads: NDArray[np.str_], labels: NDArray[np.str_]) -> Score:
    """Share of images for which the network's own head ranks their class first.

    Args:
        logits: (N, classes) float32.
        heads: (classes,) names of the head's outputs.
        labels: (N,) class names.
    """
    correct = heads[logits.argmax(axis=1)] == labels
    sizes = np.unique(labels, return_counts=True)[1]
    return Score(float(correct.mean()), largest_share(sizes), 1.0, per_image=correct)


HEAD_METRICS: dict[str, Callable[[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_]], Score]] = {
    "accuracy": accuracy,
}

NAMES = (*METRICS, *HEAD_METRICS)


def chance_of_neighbours(split: EmbeddedSplit) -> float:
    """Probability that a random other image shares the class, mean of (n_c - 1) / (N - 1)."""
    return float(split.peers.mean() / (len(split.y) - 1))


def largest_share(class_sizes: NDArray[np.int64]) -> float:
    """Share of the largest class: the accuracy of a classifier that knows class sizes and nothing else."""
    return float(class_sizes.max() / class_sizes.sum())
