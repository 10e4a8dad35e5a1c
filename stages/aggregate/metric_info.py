"""All that aggregate knows of a score: how it is printed and ordered, its limits, and how sure its intervals are.

A score that is not listed keeps working: it is printed by its own name, after the others, and claims no level.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Scope = Literal["classes", "images"]
"""What a statement is about: other classes of the domain, or other images of these classes."""

BOTH: tuple[Scope, ...] = ("classes", "images")
CLASSES: tuple[Scope, ...] = ("classes",)


@dataclass(frozen=True)
class MetricInfo:
    """What is known of one score.

    Attributes:
        name: in tables and figures.
        low, high: limits of the score, at which printed intervals end.
        mean_of_images: it is the mean of its own column in images.parquet, so that classes have a mean of their own.
        over_folds: where it was not fitted again, its interval over classes is Student's t over folds.
        proven: the scopes in which simulation bears out the level of its intervals in every design
            (docs/uncertainty.md).
        in_paper: one of the paper's scores, which have a figure of their own.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    mean_of_images: bool = False
    over_folds: bool = False
    proven: tuple[Scope, ...] = ()
    in_paper: bool = False


METRIC_INFO = {
    "nmi": MetricInfo("NMI", proven=CLASSES, in_paper=True),
    "ami": MetricInfo("AMI", -1, proven=CLASSES),
    "ari": MetricInfo("ARI", -1),
    "knn_purity": MetricInfo("k-NN purity", mean_of_images=True, proven=BOTH, in_paper=True),
    "nn1_accuracy": MetricInfo("1-NN accuracy", mean_of_images=True, proven=BOTH, in_paper=True),
    "probe_accuracy": MetricInfo("linear probe accuracy", mean_of_images=True, over_folds=True, in_paper=True),
    "cluster_accuracy": MetricInfo("cluster accuracy", mean_of_images=True),
    "silhouette": MetricInfo("silhouette", -1, mean_of_images=True, proven=BOTH),
    "r_precision": MetricInfo("R-precision", mean_of_images=True, proven=BOTH),
    "map_at_r": MetricInfo("MAP@R", mean_of_images=True, proven=BOTH),
    "few_shot_accuracy_1": MetricInfo("1-shot accuracy", mean_of_images=True, over_folds=True),
    "few_shot_accuracy_5": MetricInfo("5-shot accuracy", mean_of_images=True, over_folds=True),
    "ood_auroc_knn": MetricInfo("OOD AUROC (k-NN)"),
    "ood_fpr95_knn": MetricInfo("OOD FPR95 (k-NN)"),
    "ood_auroc_mahalanobis": MetricInfo("OOD AUROC (Mahalanobis)"),
    "ood_fpr95_mahalanobis": MetricInfo("OOD FPR95 (Mahalanobis)"),
    "intrinsic_dimension": MetricInfo("intrinsic dimension", high=np.inf),
    "collapse": MetricInfo("collapse", high=np.inf, proven=CLASSES),
    "rankme": MetricInfo("RankMe / min(N, D)"),
    "participation_ratio": MetricInfo("participation ratio / D"),
    "alpha_req": MetricInfo("alpha-ReQ", high=np.inf),
    "start_agreement": MetricInfo("agreement of k-means starts", -1),
    "cluster_silhouette": MetricInfo("silhouette of k-means clusters", -1),
    "accuracy": MetricInfo("accuracy", mean_of_images=True),
}
"""Every score that measure computes, in the order of tables and figures."""


def metric_info(metric: str) -> MetricInfo:
    """What is known of a score; one that is not listed has its own name, underscores as spaces, and no limits."""
    return METRIC_INFO.get(metric) or MetricInfo(metric.replace("_", " "), -np.inf, np.inf)


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
