"""All that aggregate knows of a score: how it is printed and ordered, resampled from images, and how sure that is.

A score that is not listed keeps working: it is printed by its own name, after the others, and has no interval.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stages.shared.metric_table import OOD_KNN, OOD_MAHALANOBIS

LEVEL = 0.95
"""Of every interval and every set of layers."""

ClusterScore = Literal["nmi", "ami", "ari"]
DetectionScore = Literal["auroc", "fpr95"]


@dataclass(frozen=True)
class Width:
    """How the interval of one score is made from its resampled values.

    Attributes:
        factor: by how much their deviations are stretched.
        low, high: limits of the score.
    """

    factor: float = 1.0
    low: float = -np.inf
    high: float = np.inf


PROPORTION = Width(1, 0, 1)
CORRELATION = Width(1, -1, 1)
UNLIMITED = Width()


@dataclass(frozen=True)
class Mean:
    """A score that is the mean of its own column in images.parquet.

    Attributes:
        linearized: an image's value is the score plus the image's influence on it, which says nothing by itself.
    """

    linearized: bool = False


@dataclass(frozen=True)
class Clusters:
    """A score of the images' fixed clusters (column `cluster`) against their classes: which."""

    score: ClusterScore


@dataclass(frozen=True)
class Distances:
    """A score of the distances of unseen and of seen images to the training images: their column, and which score."""

    column: str
    score: DetectionScore


@dataclass(frozen=True)
class MetricInfo:
    """What is known of one score.

    Attributes:
        name: in tables and figures.
        resampled: what its resamples are made of; None where it has no interval.
        width: of its interval.
        proven: whether simulation bears out the level of its interval (docs/uncertainty.md).
        in_paper: one of the paper's scores, which have a figure of their own.
    """

    name: str
    resampled: Mean | Clusters | Distances | None
    width: Width = PROPORTION
    proven: bool = True
    in_paper: bool = False


METRIC_INFO = {
    "nmi": MetricInfo("NMI", Clusters("nmi"), in_paper=True),
    "ami": MetricInfo("AMI", Clusters("ami"), CORRELATION),
    "ari": MetricInfo("ARI", Clusters("ari"), CORRELATION, proven=False),
    "knn_purity": MetricInfo("k-NN purity", Mean(), Width(2, 0, 1), in_paper=True),
    "nn1_accuracy": MetricInfo("1-NN accuracy", Mean(), Width(1.25, 0, 1), in_paper=True),
    "probe_accuracy": MetricInfo("linear probe accuracy", Mean(), Width(1.25, 0, 1), in_paper=True),
    "cluster_accuracy": MetricInfo("cluster accuracy", Mean(), proven=False),
    "silhouette": MetricInfo("silhouette", Mean(), Width(1.75, -1, 1), proven=False),
    "r_precision": MetricInfo("R-precision", Mean(), Width(2, 0, 1)),
    "map_at_r": MetricInfo("MAP@R", Mean(), Width(2.2, 0, 1)),
    "few_shot_accuracy_1": MetricInfo("1-shot accuracy", Mean(), Width(2, 0, 1)),
    "few_shot_accuracy_5": MetricInfo("5-shot accuracy", Mean(), Width(1.6, 0, 1)),
    "ood_auroc_knn": MetricInfo("OOD AUROC (k-NN)", Distances(OOD_KNN, "auroc"), Width(1.05, 0, 1)),
    "ood_fpr95_knn": MetricInfo("OOD FPR95 (k-NN)", Distances(OOD_KNN, "fpr95")),
    "ood_auroc_mahalanobis": MetricInfo(
        "OOD AUROC (Mahalanobis)", Distances(OOD_MAHALANOBIS, "auroc"), Width(1.05, 0, 1)
    ),
    "ood_fpr95_mahalanobis": MetricInfo("OOD FPR95 (Mahalanobis)", Distances(OOD_MAHALANOBIS, "fpr95")),
    "intrinsic_dimension": MetricInfo("intrinsic dimension", Mean(linearized=True), Width(1.1, 0)),
    "collapse": MetricInfo("collapse", Mean(linearized=True), Width(1, 0)),
    "accuracy": MetricInfo("accuracy", Mean()),
}
"""Every score that measure computes, in the order of tables and figures."""


def metric_info(metric: str) -> MetricInfo:
    """What is known of a score; one that is not listed has its own name, underscores as spaces, and no interval."""
    return METRIC_INFO.get(metric) or MetricInfo(metric.replace("_", " "), None, UNLIMITED, proven=False)


def metric_name(metric: str) -> str:
    """Spell out a score."""
    return metric_info(metric).name


def metric_rank(metric: str) -> tuple[int, str]:
    """Sort key: listed scores in the order of `METRIC_INFO`, then others by name."""
    names = list(METRIC_INFO)
    return (names.index(metric) if metric in METRIC_INFO else len(names), metric)


def intervals_of(metric: str) -> str:
    """Name a score's intervals, with their level where simulation bears it out."""
    return f"{100 * LEVEL:.0f} % intervals" if metric_info(metric).proven else "intervals of no proven level"
