"""The catalogue of scores: a score is one function here and one line in `METRICS`.

Every function takes one layer's embedding of one split and returns a `Score`; docs/scores.md defines each.
What several scores share (neighbours, clusterings) is a cached property of `EmbeddedSplit`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, ParamSpec

import numpy as np
from numpy.typing import NDArray

from stages.measure.embedded_split import EmbeddedSplit, Score
from stages.measure.scores.clustering import assigned_classes, chance_of_assignment, chance_of_nmi
from stages.measure.scores.few_shot import WAYS, mean_correctness
from stages.measure.scores.geometry import class_collapse, two_nearest_dimension
from stages.measure.scores.retrieval import chance_of_average_precision
from stages.measure.scores.silhouette import silhouettes

P = ParamSpec("P")


@dataclass(frozen=True)
class Metric(Generic[P]):
    """One entry of the catalogue.

    Attributes:
        score: computes it.
        better: which values are better; `neither`: the score describes an embedding without ranking it.
    """

    score: Callable[P, Score]
    better: Literal["higher", "lower", "neither"] = "higher"


def nmi(split: EmbeddedSplit) -> Score:
    """Agreement of classes with the k-means start of least inertia."""
    values, best = split.start_nmi, split.best_start
    start_sd = spread(values)
    chance = chance_of_nmi(split.y, split.clusterings[best].labels)
    return Score(values[best], chance, 1.0, start_sd=start_sd)


def ami(split: EmbeddedSplit) -> Score:
    """The same, corrected for chance: adjusted mutual information."""
    from sklearn.metrics import adjusted_mutual_info_score

    values = [float(adjusted_mutual_info_score(split.y, c.labels)) for c in split.clusterings]
    return Score(values[split.best_start], 0.0, 1.0, start_sd=spread(values))


def ari(split: EmbeddedSplit) -> Score:
    """Agreement on pairs of images, corrected for chance: adjusted Rand index."""
    from sklearn.metrics import adjusted_rand_score

    values = [float(adjusted_rand_score(split.y, c.labels)) for c in split.clusterings]
    return Score(values[split.best_start], 0.0, 1.0, start_sd=spread(values))


def cluster_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images in the cluster that the best one-to-one assignment gives to their class."""
    correct = [assigned_classes(split.y, c.labels) == split.y for c in split.clusterings]
    best = correct[split.best_start]
    chance = chance_of_assignment(split.y, split.clusterings[split.best_start].labels)
    return Score(float(best.mean()), chance, 1.0, start_sd=spread([float(c.mean()) for c in correct]), per_image=best)


def silhouette(split: EmbeddedSplit) -> Score:
    """How much nearer an image is to its own class than to the nearest other, on average."""
    own, shuffled = split.class_distances
    each = silhouettes(own, split.y)
    return Score(float(each.mean()), float(silhouettes(shuffled, split.shuffled_y).mean()), 1.0, per_image=each)


def knn_purity(split: EmbeddedSplit) -> Score:
    """Mean share of the k nearest neighbours that have the image's class."""
    k = split.settings.neighbours
    share = split.scan.hits / k
    ceiling = float(np.minimum(split.peers, k).mean() / k)
    return Score(float(share.mean()), chance_of_neighbours(split), ceiling, per_image=share)


def nn1_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images whose nearest neighbour has their class."""
    match = split.y[split.nearest[:, 0]] == split.y
    return Score(float(match.mean()), chance_of_neighbours(split), share_with_peers(split), per_image=match)


def r_precision(split: EmbeddedSplit) -> Score:
    """Mean share of an image's n_c - 1 nearest neighbours that have its class."""
    each = split.scan.precisions
    return Score(float(each.mean()), chance_of_neighbours(split), share_with_peers(split), per_image=each)


def map_at_r(split: EmbeddedSplit) -> Score:
    """The same, with the order of neighbours: mean average precision at R = n_c - 1."""
    each = split.scan.average_precisions
    chance = float(chance_of_average_precision(split.peers, len(split.y)).mean())
    return Score(float(each.mean()), chance, share_with_peers(split), per_image=each)


def few_shot_accuracy(split: EmbeddedSplit, *, shots: int) -> Score:
    """Mean over images of the share of episodes in which the nearest class mean is that of their class."""
    each = mean_correctness(split.centred_directions, split.y, shots=shots, seed=split.settings.few_shot_seed)
    taking_part = ~np.isnan(each)
    ways = min(WAYS, len(np.unique(split.y[taking_part])))
    value, chance = (float(each[taking_part].mean()), 1 / ways) if ways else (np.nan, np.nan)
    return Score(value, chance, 1.0, per_image=each, left_out=int((~taking_part).sum()))


def probe_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images that a linear classifier fitted without them recognizes."""
    correct = split.probe_predictions == split.y
    return Score(float(correct.mean()), largest_share(split.class_sizes), 1.0, per_image=correct)


def intrinsic_dimension(split: EmbeddedSplit) -> Score:
    """Dimension of the manifold on which the images lie, from the distances to two nearest neighbours (TwoNN)."""
    value, each, dropped = two_nearest_dimension(split.X, split.nearest)
    return Score(value, np.nan, np.nan, per_image=each, left_out=dropped)


def collapse(split: EmbeddedSplit) -> Score:
    """Variance within classes over variance between their means."""
    value, each = class_collapse(split.X, split.y)
    images, classes = len(split.y), len(split.class_sizes)
    return Score(value, (images - classes) / (classes - 1), 0.0, per_image=each)


METRICS: dict[str, Metric[[EmbeddedSplit]]] = {
    "nmi": Metric(nmi),
    "ami": Metric(ami),
    "ari": Metric(ari),
    "cluster_accuracy": Metric(cluster_accuracy),
    "silhouette": Metric(silhouette),
    "knn_purity": Metric(knn_purity),
    "nn1_accuracy": Metric(nn1_accuracy),
    "r_precision": Metric(r_precision),
    "map_at_r": Metric(map_at_r),
    "few_shot_accuracy_1": Metric(partial(few_shot_accuracy, shots=1)),
    "few_shot_accuracy_5": Metric(partial(few_shot_accuracy, shots=5)),
    "probe_accuracy": Metric(probe_accuracy),
    "intrinsic_dimension": Metric(intrinsic_dimension, "neither"),
    "collapse": Metric(collapse, "lower"),
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


HEAD_METRICS: dict[str, Metric[[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_]]]] = {
    "accuracy": Metric(accuracy),
}

NAMES = (*METRICS, *HEAD_METRICS)


def spread(values: list[float]) -> float:
    """Standard deviation (ddof = 1) over k-means starts; NaN of one start."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def chance_of_neighbours(split: EmbeddedSplit) -> float:
    """Probability that a random other image shares the class, mean of (n_c - 1) / (N - 1)."""
    return float(split.peers.mean() / (len(split.y) - 1))


def share_with_peers(split: EmbeddedSplit) -> float:
    """Share of images whose class has another image."""
    return float((split.peers > 0).mean())


def largest_share(class_sizes: NDArray[np.int64]) -> float:
    """Share of the largest class: the accuracy of a classifier that knows class sizes and nothing else."""
    return float(class_sizes.max() / class_sizes.sum())
