"""The catalogue of scores: a score is one function here, one line in `METRICS` and its name in `metric_names`.

Every function takes one layer's embedding of one split and returns a `Score`; docs/scores.md defines each.
What several scores share (neighbours, clusterings) is a cached property of `EmbeddedSplit`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from stages.measure.arrays import Counts, Float32
from stages.measure.embedded_split import EmbeddedSplit, Need, Score
from stages.measure.scores.agreement import (
    assigned_classes,
    chance_of_assignment,
    chance_of_nmi,
    mean_agreement,
    normalized_mutual_information,
)
from stages.measure.scores.few_shot import WAYS, mean_correctness
from stages.measure.scores.geometry import class_collapse, two_nearest_dimension
from stages.measure.scores.retrieval import chance_of_average_precision
from stages.measure.scores.silhouette import silhouettes
from stages.measure.scores.spectrum import decay_exponent, effective_rank, gram_spectrum, participating_dimensions


@dataclass(frozen=True)
class Metric:
    """One entry of the catalogue.

    Attributes:
        score: computes it.
        needs: what it needs beside the embedding's rows, so that scores share it.
    """

    score: Callable[[EmbeddedSplit], Score]
    needs: tuple[Need, ...] = ()


def nmi(split: EmbeddedSplit) -> Score:
    """Agreement of classes with the k-means clustering of least inertia."""
    chance = chance_of_nmi(split.y, split.clusters)
    return Score(normalized_mutual_information(split.y, split.clusters), chance, 1.0)


def ami(split: EmbeddedSplit) -> Score:
    """The same, corrected for chance: adjusted mutual information."""
    return Score(float(adjusted_mutual_info_score(split.y, split.clusters)), 0.0, 1.0)


def ari(split: EmbeddedSplit) -> Score:
    """Agreement on pairs of images, corrected for chance: adjusted Rand index."""
    return Score(float(adjusted_rand_score(split.y, split.clusters)), 0.0, 1.0)


def cluster_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images in the cluster that the best one-to-one assignment gives to their class."""
    correct = assigned_classes(split.y, split.clusters) == split.y
    return Score(float(correct.mean()), chance_of_assignment(split.y, split.clusters), 1.0, per_image=correct)


def silhouette(split: EmbeddedSplit) -> Score:
    """How much nearer an image is to its own class than to the nearest other, on average."""
    own, shuffled = split.class_distances
    each = silhouettes(own, split.y)
    unrelated = [silhouettes(sums, y).mean() for sums, y in zip(shuffled, split.shuffled_y, strict=True)]
    return Score(float(each.mean()), float(np.mean(unrelated)), 1.0, per_image=each)


def knn_purity(split: EmbeddedSplit) -> Score:
    """Mean share of the k nearest neighbours that have the image's class."""
    k = split.settings.neighbours
    share = split.scan.n_matches / k
    ceiling = float(np.minimum(split.n_same_class, k).mean() / k)
    return Score(float(share.mean()), chance_of_neighbours(split), ceiling, per_image=share)


def nn1_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images whose nearest neighbour has their class."""
    match = split.y[split.nearest[:, 0]] == split.y
    return Score(float(match.mean()), chance_of_neighbours(split), share_with_a_match(split), per_image=match)


def r_precision(split: EmbeddedSplit) -> Score:
    """Mean share of an image's n_c - 1 nearest neighbours that have its class."""
    each = split.scan.precisions
    return Score(float(each.mean()), chance_of_neighbours(split), share_with_a_match(split), per_image=each)


def map_at_r(split: EmbeddedSplit) -> Score:
    """The same, with the order of neighbours: mean average precision at R = n_c - 1."""
    each = split.scan.average_precisions
    chance = float(chance_of_average_precision(split.n_same_class, len(split.y)).mean())
    return Score(float(each.mean()), chance, share_with_a_match(split), per_image=each)


def few_shot_accuracy(split: EmbeddedSplit, *, shots: int) -> Score:
    """Mean over images of the share of episodes in which the nearest class mean is that of their class."""
    each = mean_correctness(split.centred_directions, split.y, shots=shots, seed=split.settings.few_shot_seed)
    taking_part = ~np.isnan(each)
    ways = min(WAYS, len(np.unique(split.y[taking_part])))
    value, chance = (float(each[taking_part].mean()), 1 / ways) if ways else (np.nan, np.nan)
    return Score(value, chance, 1.0, per_image=each, left_out=int((~taking_part).sum()))


def probe_accuracy(split: EmbeddedSplit) -> Score:
    """Share of images that a linear classifier fitted without them recognizes."""
    correct = split.probe[0] == split.y
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


def rankme(split: EmbeddedSplit) -> Score:
    """Effective rank of the embedding as a share of the rank that it could have; sees no class."""
    return Score(effective_rank(gram_spectrum(split.X)) / min(split.X.shape), np.nan, np.nan)


def participation_ratio(split: EmbeddedSplit) -> Score:
    """Dimensions among which the variance is spread as a share of the features; sees no class."""
    return Score(participating_dimensions(split.variances) / split.X.shape[1], np.nan, np.nan)


def alpha_req(split: EmbeddedSplit) -> Score:
    """Exponent of the power law by which the variance falls from one principal axis to the next; sees no class."""
    return Score(decay_exponent(split.variances), np.nan, np.nan)


def start_agreement(split: EmbeddedSplit) -> Score:
    """Mean agreement of k-means starts with the best of them; knows the number of classes, K, and no image's class.

    Undefined for a single start, and where all embeddings are equal, which is one cluster.
    """
    return Score(np.nan if split.settings.search.single else mean_agreement(split.starts), np.nan, np.nan)


def cluster_silhouette(split: EmbeddedSplit) -> Score:
    """Mean silhouette of the k-means clusters; knows the number of classes, K, and no image's class.

    Undefined where all embeddings are equal, which is one cluster.
    """
    clusters = np.unique(split.clusters, return_inverse=True)[1]
    if not clusters.any():
        return Score(np.nan, np.nan, np.nan)
    return Score(float(silhouettes(split.cluster_distances, clusters).mean()), np.nan, np.nan)


CLUSTERINGS: tuple[Need, ...] = ("clusterings",)
NEIGHBOURS: tuple[Need, ...] = ("neighbours",)

METRICS = {
    "nmi": Metric(nmi, CLUSTERINGS),
    "ami": Metric(ami, CLUSTERINGS),
    "ari": Metric(ari, CLUSTERINGS),
    "cluster_accuracy": Metric(cluster_accuracy, CLUSTERINGS),
    "silhouette": Metric(silhouette, ("class_distances",)),
    "knn_purity": Metric(knn_purity, NEIGHBOURS),
    "nn1_accuracy": Metric(nn1_accuracy, NEIGHBOURS),
    "r_precision": Metric(r_precision, NEIGHBOURS),
    "map_at_r": Metric(map_at_r, NEIGHBOURS),
    "few_shot_accuracy_1": Metric(partial(few_shot_accuracy, shots=1)),
    "few_shot_accuracy_5": Metric(partial(few_shot_accuracy, shots=5)),
    "probe_accuracy": Metric(probe_accuracy),
    "intrinsic_dimension": Metric(intrinsic_dimension, NEIGHBOURS),
    "collapse": Metric(collapse),
    "rankme": Metric(rankme),
    "participation_ratio": Metric(participation_ratio),
    "alpha_req": Metric(alpha_req),
    "start_agreement": Metric(start_agreement),
    "cluster_silhouette": Metric(cluster_silhouette, ("clusterings", "cluster_distances")),
}


def score_split(split: EmbeddedSplit, names: Collection[str]) -> dict[str, Score]:
    """Compute scores by name, those that this embedding does not have yet."""
    for name in names:
        if name not in split.scored:
            split.scored[name] = METRICS[name].score(split)
    return {name: split.scored[name] for name in names}


def needs_of(names: Iterable[str]) -> frozenset[Need]:
    """What scores need of an embedding, together."""
    return frozenset(need for name in names for need in METRICS[name].needs)


def accuracy(logits: Float32, heads: NDArray[np.str_], labels: NDArray[np.str_]) -> Score:
    """Share of images for which the network's own head ranks their class first.

    Args:
        logits: (N, classes) float32.
        heads: (classes,) names of the head's outputs.
        labels: (N,) class names.
    """
    correct = heads[logits.argmax(axis=1)] == labels
    sizes = np.unique(labels, return_counts=True)[1]
    return Score(float(correct.mean()), largest_share(sizes), 1.0, per_image=correct)


HEAD_METRICS: dict[str, Callable[[Float32, NDArray[np.str_], NDArray[np.str_]], Score]] = {"accuracy": accuracy}
"""Scores of the network's own head, from logits, names of the head's outputs and class names."""


def chance_of_neighbours(split: EmbeddedSplit) -> float:
    """Probability that a random other image shares the class, mean of (n_c - 1) / (N - 1)."""
    return float(split.n_same_class.mean() / (len(split.y) - 1))


def share_with_a_match(split: EmbeddedSplit) -> float:
    """Share of images whose class has another image."""
    return float((split.n_same_class > 0).mean())


def largest_share(class_sizes: Counts) -> float:
    """Share of the largest class: the accuracy of a classifier that knows class sizes and nothing else."""
    return float(class_sizes.max() / class_sizes.sum())
