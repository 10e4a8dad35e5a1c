"""All that aggregate knows of a score: how it is printed and ordered, its limits, and how sure its intervals are.

A score that is not listed keeps working: it is printed by its own name, after the others, and claims no level.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Scope = Literal["classes", "images"]
"""What a statement is about: other classes of the domain, or other images of these classes."""

Use = Literal["clustering", "retrieval", "classifiers", "detection", "geometry", "other"]
"""What features may be used for, of which a score tells; `geometry` describes them, and `other` is not known."""

BOTH: tuple[Scope, ...] = ("classes", "images")
CLASSES: tuple[Scope, ...] = ("classes",)


@dataclass(frozen=True)
class MetricInfo:
    """What is known of one score.

    Attributes:
        name: in tables and figures.
        definition: what its number is, in one sentence for who has not read docs/scores.md; empty where not listed.
        low, high: limits of the score, at which printed intervals end.
        mean_of_images: it is the mean of its own column in images.parquet, so that classes have a mean of their own.
        over_folds: where it was not fitted again, its interval over classes is Student's t over folds.
        proven: the scopes in which simulation bears out the level of its intervals in every design
            (docs/uncertainty.md).
        use: what features may be used for that this score tells of.
        in_paper: one of the paper's scores, which have a figure of their own.
    """

    name: str
    definition: str = ""
    low: float = 0.0
    high: float = 1.0
    mean_of_images: bool = False
    over_folds: bool = False
    proven: tuple[Scope, ...] = ()
    use: Use = "other"
    in_paper: bool = False


METRIC_INFO = {
    "nmi": MetricInfo(
        "NMI",
        "Agreement of the true classes with as many k-means clusters of the embeddings, 0 to 1: mutual information "
        "over the mean of both entropies.",
        proven=CLASSES,
        use="clustering",
        in_paper=True,
    ),
    "ami": MetricInfo(
        "AMI",
        "NMI corrected for chance: 0 is the agreement of random clusters, 1 perfect.",
        low=-1,
        proven=CLASSES,
        use="clustering",
    ),
    "ari": MetricInfo(
        "ARI",
        "Share of pairs of images on which classes and k-means clusters agree, corrected for chance: 0 is chance, "
        "1 perfect.",
        low=-1,
        use="clustering",
    ),
    "knn_purity": MetricInfo(
        "k-NN purity",
        "Share of an image's k nearest neighbours that have its class, averaged over images; k is the size of the "
        "largest class.",
        mean_of_images=True,
        proven=BOTH,
        use="retrieval",
        in_paper=True,
    ),
    "nn1_accuracy": MetricInfo(
        "1-NN accuracy",
        "Share of images whose nearest neighbour has their class.",
        mean_of_images=True,
        proven=BOTH,
        use="retrieval",
        in_paper=True,
    ),
    "probe_accuracy": MetricInfo(
        "linear probe accuracy",
        "Share of images that a linear classifier on the embeddings gets right, none of which it was fitted on.",
        mean_of_images=True,
        over_folds=True,
        use="classifiers",
        in_paper=True,
    ),
    "cluster_accuracy": MetricInfo(
        "cluster accuracy",
        "Share of images whose k-means cluster is the one assigned to their class, under the best one-to-one "
        "assignment.",
        mean_of_images=True,
        use="clustering",
    ),
    "silhouette": MetricInfo(
        "silhouette",
        "How much closer an image lies to its own class than to the nearest other one, from -1 to 1, averaged over "
        "images.",
        low=-1,
        mean_of_images=True,
        proven=BOTH,
        use="clustering",
    ),
    "r_precision": MetricInfo(
        "R-precision",
        "Share of right images among the R nearest to an image, R being all others of its class, averaged over images.",
        mean_of_images=True,
        proven=BOTH,
        use="retrieval",
    ),
    "map_at_r": MetricInfo(
        "MAP@R",
        "R-precision that weighs order: right neighbours count more the nearer they are.",
        mean_of_images=True,
        proven=BOTH,
        use="retrieval",
    ),
    "few_shot_accuracy_1": MetricInfo(
        "1-shot accuracy",
        "Share of images that get their class from the nearest of up to 5 classes, each known from one image.",
        mean_of_images=True,
        over_folds=True,
        use="classifiers",
    ),
    "few_shot_accuracy_5": MetricInfo(
        "5-shot accuracy",
        "Share of images that get their class from the nearest of up to 5 class means, each of 5 images.",
        mean_of_images=True,
        over_folds=True,
        use="classifiers",
    ),
    "ood_auroc_knn": MetricInfo(
        "OOD AUROC (k-NN)",
        "How well the distance to the nearest training images tells unseen from seen classes: 0.5 is chance, 1 "
        "perfect.",
        use="detection",
    ),
    "ood_fpr95_knn": MetricInfo(
        "OOD FPR95 (k-NN)",
        "Share of unseen images taken for seen ones at the distance to training images that keeps 95 % of the seen "
        "ones.",
        use="detection",
    ),
    "ood_auroc_mahalanobis": MetricInfo(
        "OOD AUROC (Mahalanobis)",
        "How well the Mahalanobis distance to the training classes tells unseen from seen classes: 0.5 is chance, "
        "1 perfect.",
        use="detection",
    ),
    "ood_fpr95_mahalanobis": MetricInfo(
        "OOD FPR95 (Mahalanobis)",
        "Share of unseen images taken for seen ones at the Mahalanobis distance that keeps 95 % of the seen ones.",
        use="detection",
    ),
    "intrinsic_dimension": MetricInfo(
        "intrinsic dimension",
        "Dimension of the manifold that the embeddings fill, whatever their classes.",
        high=np.inf,
        use="geometry",
    ),
    "collapse": MetricInfo(
        "collapse",
        "Variance within classes over variance between class means: 0 where every class is a single point.",
        high=np.inf,
        proven=CLASSES,
        use="geometry",
    ),
    "rankme": MetricInfo(
        "RankMe / min(N, D)",
        "Effective rank of the embeddings over the largest one possible.",
        use="geometry",
    ),
    "participation_ratio": MetricInfo(
        "participation ratio / D",
        "Number of dimensions among which the variance is spread, over all dimensions.",
        use="geometry",
    ),
    "alpha_req": MetricInfo(
        "alpha-ReQ",
        "Exponent with which the eigenvalues of the covariance decay: high where few directions hold the variance.",
        high=np.inf,
        use="geometry",
    ),
    "start_agreement": MetricInfo(
        "agreement of k-means starts",
        "Agreement of single k-means starts with the best of them: high where clusters are distinct.",
        low=-1,
        use="geometry",
    ),
    "cluster_silhouette": MetricInfo(
        "silhouette of k-means clusters",
        "Silhouette of the k-means clusters, without any label.",
        low=-1,
        use="geometry",
    ),
    "accuracy": MetricInfo(
        "accuracy",
        "Share of test images of the seen classes for which the network's own head ranks the right class first.",
        mean_of_images=True,
        use="classifiers",
    ),
}
"""Every score that measure computes, in the order of tables and figures."""


def metric_info(metric: str) -> MetricInfo:
    """What is known of a score; one that is not listed has its own name, underscores as spaces, and no limits."""
    return METRIC_INFO.get(metric) or MetricInfo(metric.replace("_", " "), low=-np.inf, high=np.inf)


def metric_name(metric: str) -> str:
    """Spell out a score."""
    return metric_info(metric).name


def metric_rank(metric: str) -> tuple[int, str]:
    """Sort key: listed scores in the order of `METRIC_INFO`, then others by name."""
    names = list(METRIC_INFO)
    return (names.index(metric) if metric in METRIC_INFO else len(names), metric)


def intervals_of(metric: str, scope: Scope) -> str:
    """Name a score's intervals in one scope, with their level where simulation bears it out."""
    return "95 % intervals" if scope in metric_info(metric).proven else "intervals of no proven level"
