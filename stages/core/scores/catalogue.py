"""The catalogue of scores: a score is one function here and one entry in `LAYER_SCORES`.

A function takes one layer's embedding of one split, or a part of it, and returns its value; docs/scores.md defines
each. What several scores share (neighbours, clusterings) is a cached property of `EmbeddedSplit`. This module loads
neither SciPy nor scikit-learn, so that the names in params.yaml are checked against it in a second.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import agreement
from .arrays import Classes, Counts, Float32, Float64, Need
from .description import BOTH, Score
from .few_shot import WAYS, mean_correctness, usable_classes
from .geometry import (
    class_collapse,
    decay_exponent,
    effective_rank,
    gram_spectrum,
    participating_dimensions,
    silhouettes,
    two_nearest_dimension,
)
from .retrieval import chance_of_average_precision

if TYPE_CHECKING:
    from .embedded_split import EmbeddedSplit

Images = NDArray[np.floating | np.bool_]
"""What every image contributes to a score, (N,)."""


@dataclass(frozen=True)
class ScoreValue:
    """One score of one layer.

    Attributes:
        value: the score.
        chance: the value expected when embedding and class are unrelated; NaN of scores that see no class.
        ceiling: the best value that these class sizes allow; NaN as well.
        per_image: (N,) float or bool, each image's contribution, whose mean is `value` (of a score that is no mean,
            `value` plus the image's influence on it); NaN of images that take no part; None where images have none.
        left_out: number of images that the score could not use.
    """

    value: float
    chance: float = np.nan
    ceiling: float = np.nan
    per_image: Images | None = None
    left_out: int = 0


@dataclass(frozen=True)
class LayerScore(Score):
    """A score of one layer's embedding of one split.

    Attributes:
        compute: its value, and what every image contributes to it.
        chance, ceiling: as in `ScoreValue`: a number, or what gives it for a split.
        needs: what it needs beside the embedding's rows, so that scores share it.
        without: what gives its values without each group of classes, (G,), where these follow from what is fitted to
            all; None: everything is fitted again, and on halves of the images too.
    """

    compute: Callable[["EmbeddedSplit"], ScoreValue]
    chance: Callable[["EmbeddedSplit"], float] | float = np.nan
    ceiling: Callable[["EmbeddedSplit"], float] | float = np.nan
    needs: tuple[Need, ...] = ()
    without: Callable[["EmbeddedSplit", Sequence[Classes]], Float64] | None = None

    def score(self, split: "EmbeddedSplit") -> ScoreValue:
        """Compute the value with its chance level and ceiling."""
        chance, ceiling = (level(split) if callable(level) else level for level in (self.chance, self.ceiling))
        return replace(self.compute(split), chance=chance, ceiling=ceiling)


@dataclass(frozen=True)
class HeadScore(Score):
    """A score of the network's own head.

    Attributes:
        compute: its value, chance level and ceiling, of logits (N, classes), the names of the head's outputs (classes,)
            and the images' class names (N,).
    """

    compute: Callable[[Float32, NDArray[np.str_], NDArray[np.str_]], ScoreValue]


def mean_over(images: Images) -> ScoreValue:
    """Average what every image contributes."""
    return ScoreValue(float(images.mean()), per_image=images)


def nmi(split: "EmbeddedSplit") -> ScoreValue:
    """Agreement of classes with the k-means clustering of least inertia."""
    return ScoreValue(agreement.normalized_mutual_information(split.y, split.clusters))


def ami(split: "EmbeddedSplit") -> ScoreValue:
    """The same, corrected for chance: adjusted mutual information."""
    return ScoreValue(agreement.adjusted_mutual_information(split.y, split.clusters))


def ari(split: "EmbeddedSplit") -> ScoreValue:
    """Agreement on pairs of images, corrected for chance: adjusted Rand index."""
    return ScoreValue(agreement.adjusted_rand_index(split.y, split.clusters))


def cluster_accuracy(split: "EmbeddedSplit") -> ScoreValue:
    """Share of images in the cluster that the best one-to-one assignment gives to their class."""
    return mean_over(agreement.assigned_classes(split.y, split.clusters) == split.y)


def silhouette(split: "EmbeddedSplit") -> ScoreValue:
    """How much nearer an image is to its own class than to the nearest other, on average."""
    return mean_over(silhouettes(split.class_distances, split.y))


def knn_purity(split: "EmbeddedSplit") -> ScoreValue:
    """Mean share of the k nearest neighbours that have the image's class."""
    return mean_over(split.scan.n_matches / split.settings.neighbours)


def nn1_accuracy(split: "EmbeddedSplit") -> ScoreValue:
    """Share of images whose nearest neighbour has their class."""
    return mean_over(split.y[split.scan.nearest[:, 0]] == split.y)


def r_precision(split: "EmbeddedSplit") -> ScoreValue:
    """Mean share of an image's n_c - 1 nearest neighbours that have its class."""
    return mean_over(split.scan.precisions)


def map_at_r(split: "EmbeddedSplit") -> ScoreValue:
    """The same, with the order of neighbours: mean average precision at R = n_c - 1."""
    return mean_over(split.scan.average_precisions)


def few_shot_accuracy(split: "EmbeddedSplit", *, shots: int) -> ScoreValue:
    """Mean over images of the share of episodes in which the nearest class mean is that of their class."""
    images = mean_correctness(split.centred_directions, split.y, shots=shots, seed=split.settings.few_shot_seed)
    taking_part = ~np.isnan(images)
    value = float(images[taking_part].mean()) if taking_part.any() else np.nan
    return ScoreValue(value, per_image=images, left_out=int((~taking_part).sum()))


def probe_accuracy(split: "EmbeddedSplit") -> ScoreValue:
    """Share of images that a linear classifier fitted without them recognizes."""
    return mean_over(split.probe_scores.argmax(axis=1) == split.y)


def probe_accuracy_without(split: "EmbeddedSplit", groups: Sequence[Classes]) -> Float64:
    """The same without each group of classes, whose images no longer count and which are no longer predicted, (G,).

    The classifier is not fitted again. On four datasets that moves the ends of the best layer's gain by 0.00 to 0.05 of
    the interval, and on two of these and a fifth those of other layers' by up to 0.22.
    """
    values = np.empty(len(groups))
    for number, group in enumerate(groups):
        scores = split.probe_scores.copy()
        scores[:, group] = -np.inf
        values[number] = (scores.argmax(axis=1) == split.y)[~np.isin(split.y, group)].mean()
    return values


def intrinsic_dimension(split: "EmbeddedSplit") -> ScoreValue:
    """Dimension of the manifold on which the images lie, from the distances to two nearest neighbours (TwoNN)."""
    value, images, dropped = two_nearest_dimension(split.X, split.scan.nearest)
    return ScoreValue(value, per_image=images, left_out=dropped)


def collapse(split: "EmbeddedSplit") -> ScoreValue:
    """Variance within classes over variance between their means."""
    value, images = class_collapse(split.X, split.y)
    return ScoreValue(value, per_image=images)


def rankme(split: "EmbeddedSplit") -> ScoreValue:
    """Effective rank of the embedding as a share of the rank that it could have; sees no class."""
    return ScoreValue(effective_rank(gram_spectrum(split.X)) / min(split.X.shape))


def participation_ratio(split: "EmbeddedSplit") -> ScoreValue:
    """Dimensions among which the variance is spread as a share of the features; sees no class."""
    return ScoreValue(participating_dimensions(split.variances) / split.X.shape[1])


def alpha_req(split: "EmbeddedSplit") -> ScoreValue:
    """Exponent of the power law by which the variance falls from one principal axis to the next; sees no class."""
    return ScoreValue(decay_exponent(split.variances))


def start_agreement(split: "EmbeddedSplit") -> ScoreValue:
    """Mean agreement of k-means starts with the best of them; knows the number of classes, K, and no image's class.

    Undefined for a single start, and where all embeddings are equal, which is one cluster.
    """
    return ScoreValue(agreement.mean_agreement(split.starts))


def cluster_silhouette(split: "EmbeddedSplit") -> ScoreValue:
    """Mean silhouette of the k-means clusters; knows the number of classes, K, and no image's class.

    Undefined where all embeddings are equal, which is one cluster.
    """
    clusters = np.unique(split.clusters, return_inverse=True)[1]
    return ScoreValue(float(silhouettes(split.cluster_distances, clusters).mean()) if clusters.any() else np.nan)


def accuracy(logits: Float32, heads: NDArray[np.str_], labels: NDArray[np.str_]) -> ScoreValue:
    """Share of images for which the network's own head ranks their class first.

    Args:
        logits: (N, classes) float32.
        heads: (classes,) names of the head's outputs.
        labels: (N,) class names.
    """
    chance = largest_share(np.unique(labels, return_counts=True)[1])
    return replace(mean_over(heads[logits.argmax(axis=1)] == labels), chance=chance, ceiling=1.0)


def chance_of_neighbours(split: "EmbeddedSplit") -> float:
    """Probability that a random other image shares the class, mean of (n_c - 1) / (N - 1)."""
    if split.settings.own_groups is not None:
        return float((split.n_same_class / split.n_others).mean())
    return float(split.n_same_class.mean() / (len(split.y) - 1))


def share_with_a_match(split: "EmbeddedSplit") -> float:
    """Share of images whose class has another image."""
    return float((split.n_same_class > 0).mean())


def largest_share(class_sizes: Counts) -> float:
    """Share of the largest class: the accuracy of a classifier that knows class sizes and nothing else."""
    return float(class_sizes.max() / class_sizes.sum())


def purest_share(split: "EmbeddedSplit") -> float:
    """Mean share of k neighbours that can have the image's class at most."""
    k = split.settings.neighbours
    return float(np.minimum(split.n_same_class, k).mean() / k)


def silhouette_of_shuffled_classes(split: "EmbeddedSplit") -> float:
    """Mean silhouette of classes that are dealt to the images at random."""
    dealt = zip(split.shuffled_class_distances, split.shuffled_y, strict=True)
    return float(np.mean([silhouettes(sums, y).mean() for sums, y in dealt]))


def chance_of_ways(split: "EmbeddedSplit", *, shots: int) -> float:
    """Chance level of an episode: 1 over the number of its classes; NaN where there is no episode."""
    usable = len(usable_classes(split.y, shots))
    return 1 / min(WAYS, usable) if usable > 1 else np.nan


def chance_of_map(split: "EmbeddedSplit") -> float:
    """Mean average precision expected when all orders of the other images are equally likely."""
    return float(chance_of_average_precision(split.n_same_class, split.n_others).mean())


FURTHER = ("scalings",)
"""Analyses that score rows scaled in other ways, and layers side by side."""

# what scores of one kind share
cluster_score = partial(
    LayerScore, better="higher", high=1, use="discovery", scaling="l2", needs=("clusterings",), refit=True, ceiling=1
)
neighbour_score = partial(
    LayerScore, better="higher", low=0, high=1, use="retrieval", scaling="l2", needs=("neighbours",), refit=True,
    per_image=True,
)  # fmt: skip
classifier_score = partial(
    LayerScore, better="higher", low=0, high=1, use="classifier", per_image=True, over_folds=True, ceiling=1
)
detection_score = partial(Score, low=0, high=1, use="detection", over_folds=True, analyses=("ood",))
description = partial(LayerScore, better="neither", use="geometry")

LAYER_SCORES = {
    "nmi": cluster_score(
        nmi, low=0, in_paper=True, proven=("classes",), quick=True, analyses=("seen_matched", *FURTHER),
        chance=lambda split: agreement.nmi_with_chance(split.y, split.clusters)[1]
    ),
    "ami": cluster_score(ami, low=-1, proven=("classes",), chance=0),
    "ari": cluster_score(ari, low=-1, chance=0),
    "knn_purity": neighbour_score(
        knn_purity, in_paper=True, proven=BOTH, analyses=("seen_matched", *FURTHER), short="k-NN",
        chance=chance_of_neighbours, ceiling=purest_share,
    ),
    "nn1_accuracy": neighbour_score(
        nn1_accuracy, in_paper=True, proven=BOTH, rank=2, quick=True, analyses=("seen_matched", *FURTHER), short="1-NN",
        chance=chance_of_neighbours, ceiling=share_with_a_match,
    ),
    "probe_accuracy": classifier_score(
        probe_accuracy, in_paper=True, rank=0, quick=True, short="probe", proven=("classes",), refit=True,
        on_halves=False, without=probe_accuracy_without, chance=lambda split: largest_share(split.class_sizes),
    ),
    "cluster_accuracy": cluster_score(
        cluster_accuracy, low=0, per_image=True,
        chance=lambda split: agreement.chance_of_assignment(split.y, split.clusters),
    ),
    "silhouette": LayerScore(
        silhouette, better="higher", low=-1, high=1, use="discovery", scaling="l2", needs=("class_distances",),
        refit=True, per_image=True, proven=("images",), chance=silhouette_of_shuffled_classes, ceiling=1,
    ),
    "r_precision": neighbour_score(
        r_precision, proven=BOTH, rank=1, chance=chance_of_neighbours, ceiling=share_with_a_match
    ),
    "map_at_r": neighbour_score(
        map_at_r, proven=BOTH, rank=0, quick=True, analyses=FURTHER, chance=chance_of_map, ceiling=share_with_a_match
    ),
    "few_shot_accuracy_1": classifier_score(
        partial(few_shot_accuracy, shots=1), scaling="l2", refit=True, short="1-shot",
        chance=partial(chance_of_ways, shots=1),
    ),
    "few_shot_accuracy_5": classifier_score(
        partial(few_shot_accuracy, shots=5), scaling="l2", refit=True, rank=1, short="5-shot",
        chance=partial(chance_of_ways, shots=5),
    ),
    "intrinsic_dimension": description(intrinsic_dimension, low=0, high=inf, needs=("neighbours",)),
    "collapse": LayerScore(
        collapse, better="lower", low=0, high=inf, use="geometry", refit=True,
        chance=lambda split: (len(split.y) - len(split.class_sizes)) / (len(split.class_sizes) - 1), ceiling=0,
    ),
    "rankme": description(rankme, low=0, high=1),
    "participation_ratio": description(participation_ratio, low=0, high=1),
    "alpha_req": description(alpha_req, low=0, high=inf),
    "start_agreement": description(start_agreement, low=-1, high=1),
    "cluster_silhouette": description(
        cluster_silhouette, low=-1, high=1, needs=("clusterings", "cluster_distances")
    ),
}  # fmt: skip
"""Scores of one layer's embedding of one split."""

HEAD_SCORES = {"accuracy": HeadScore(accuracy, better="higher", low=0, high=1, use="classifier", per_image=True)}
"""Scores of the network's own head on the seen classes."""

DETECTION_SCORES = {
    "ood_auroc_knn": detection_score(better="higher", short="AUROC"),
    "ood_fpr95_knn": detection_score(better="lower"),
    "ood_auroc_mahalanobis": detection_score(better="higher", short="AUROC"),
    "ood_fpr95_mahalanobis": detection_score(better="lower"),
}
"""Scores that the analysis `ood` computes."""

SCORES: dict[str, Score] = {
    **{name: score for name, score in LAYER_SCORES.items() if score.use != "geometry"},
    **DETECTION_SCORES,
    **LAYER_SCORES,
    **HEAD_SCORES,
}
"""Every score, in the order of tables and figures."""

PROBE = "probe_accuracy"
"""The score of the linear probe, which is fitted at its own steps only."""


def score_split(split: "EmbeddedSplit", names: Iterable[str]) -> dict[str, ScoreValue]:
    """Compute scores by name."""
    return {name: LAYER_SCORES[name].score(split) for name in names}


def needs_of(names: Iterable[str]) -> frozenset[Need]:
    """What scores need of an embedding, together."""
    return frozenset(need for name in names for need in LAYER_SCORES[name].needs)


def scored_by(analysis: str) -> list[str]:
    """Names of the scores of layers that an analysis computes, in the order of the catalogue."""
    return [name for name, score in LAYER_SCORES.items() if analysis in score.analyses]


def is_clustered(name: str) -> bool:
    """Whether a score is of k-means clusters."""
    return "clusterings" in LAYER_SCORES[name].needs
