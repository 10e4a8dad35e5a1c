"""Names of the scores in words, and what each number is. A score without an entry has its own name."""

from ...core.inference.layer_comparison import Level
from ...core.scores.catalogue import SCORES
from ...core.scores.description import Better, Normalize

NAMES = {
    "nmi": "NMI",
    "ami": "AMI",
    "ari": "ARI",
    "knn_purity": "k-NN purity",
    "nn1_accuracy": "1-NN accuracy",
    "probe_accuracy": "linear probe accuracy",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "few_shot_accuracy_1": "1-shot accuracy",
    "few_shot_accuracy_5": "5-shot accuracy",
    "ood_auroc_knn": "OOD AUROC (k-NN)",
    "ood_fpr95_knn": "OOD FPR95 (k-NN)",
    "ood_auroc_mahalanobis": "OOD AUROC (Mahalanobis)",
    "ood_fpr95_mahalanobis": "OOD FPR95 (Mahalanobis)",
    "rankme": "RankMe / min(N, D)",
    "participation_ratio": "participation ratio / D",
    "alpha_req": "alpha-ReQ",
    "start_agreement": "agreement between k-means starts",
    "cluster_silhouette": "silhouette of k-means clusters",
}
"""Of scores, in tables and figures."""

DEFINITIONS = {
    "nmi": "How well k-means clusters, as many as classes, agree with the classes, 0 to 1: mutual information over "
    "mean entropy.",
    "ami": "NMI corrected for chance: random clusters reach 0, perfect ones 1.",
    "ari": "How often classes and k-means clusters agree on a pair, together or apart, corrected for chance: 0 is "
    "chance, 1 perfect.",
    "knn_purity": "Share of an image's k nearest neighbours that have its class, averaged over images; k is the "
    "largest class's size.",
    "nn1_accuracy": "Share of images whose nearest neighbour has their class.",
    "probe_accuracy": "A linear classifier's accuracy on embeddings that it was not fitted on.",
    "cluster_accuracy": "Share of images whose k-means cluster is the one assigned to their class, under the best "
    "one-to-one assignment.",
    "silhouette": "How much closer an image lies to its own class than to the nearest other one, from -1 to 1, "
    "averaged over images.",
    "r_precision": "Share of an image's R nearest neighbours that have its class, averaged over images; R is how many "
    "others the class has.",
    "map_at_r": "Whether an image's R nearest neighbours have its class, R being how many others it has, 0 to 1: "
    "nearer ones count more.",
    "few_shot_accuracy_1": "Share of images that lie nearest to their own class among up to 5, each known from one "
    "image.",
    "few_shot_accuracy_5": "Share of images that lie nearest to their own class mean among up to 5, each from 5 "
    "images.",
    "ood_auroc_knn": "How well the distance to the nearest training images separates unseen from seen classes: 0.5 is "
    "chance, 1 perfect.",
    "ood_fpr95_knn": "Share of unseen images taken for seen ones at the distance to training images that keeps 95% "
    "of the seen ones.",
    "ood_auroc_mahalanobis": "How well the Mahalanobis distance to the training classes tells unseen from seen "
    "classes: 0.5 is chance, 1 perfect.",
    "ood_fpr95_mahalanobis": "Share of unseen images taken for seen ones at the Mahalanobis distance that keeps 95% "
    "of the seen ones.",
    "intrinsic_dimension": "The embeddings' dimension as a manifold, whatever their classes.",
    "collapse": "Variance within classes over variance between class means: 0 where every class is a single point.",
    "rankme": "The embeddings' effective rank over the largest possible one.",
    "participation_ratio": "How many dimensions share the variance, over all dimensions.",
    "alpha_req": "Exponent with which the covariance's eigenvalues decay: high where few directions hold the variance.",
    "start_agreement": "How well single k-means starts agree with the best one: high where clusters are distinct.",
    "cluster_silhouette": "Silhouette for k-means clusters, without any label.",
    "accuracy": "Share of the seen classes' test images for which the network's own head ranks the right class first.",
}
"""What the number of a score is, in one sentence for who has not read docs/scores.md."""

LOWER = " (lower is better)"
"""Follows the name of a score of which that is so."""

ROWS: dict[Normalize, str] = {"none": "unnormalized embeddings", "l2": "L2-normalized embeddings"}
"""Of which rows of the embeddings a score is."""

LEVELS: dict[Level, str] = {"chance": "chance", "raw_pixels": "raw pixels"}
"""What a layer must beat, in words."""


def directed_name(metric: str, better: Better) -> str:
    """Spell out a score, and say if lower is better."""
    return metric_name(metric) + LOWER * (better == "lower")


def metric_name(metric: str) -> str:
    """Spell out a score; one that is not listed by its own name, underscores as spaces."""
    return NAMES.get(metric, metric.replace("_", " "))


def short_name(metric: str) -> str:
    """Name a score where there is little room."""
    return SCORES[metric].short if metric in SCORES and SCORES[metric].short else metric_name(metric)
