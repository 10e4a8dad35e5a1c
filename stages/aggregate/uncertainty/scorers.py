"""Which scorer resamples which score, and which columns of the images' table it needs."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.contributions import Images, Key
from stages.aggregate.uncertainty.bootstrap import UNKNOWN, WIDTHS, Floats
from stages.aggregate.uncertainty.resampled_scores import (
    ClusterScore,
    ClusterScorer,
    CurveScorer,
    MeanScorer,
    OodScore,
    OodScorer,
)
from stages.shared.metric_table import CLUSTER, OOD_KNN, OOD_MAHALANOBIS
from stages.shared.split_names import SEEN, UNSEEN

CLUSTER_SCORES: dict[str, ClusterScore] = {"nmi": "nmi", "ami": "ami", "ari": "ari"}
"""Scores of the images' fixed clusters."""

OOD_SCORES: dict[str, tuple[str, OodScore]] = {
    "ood_auroc_knn": (OOD_KNN, "auroc"),
    "ood_fpr95_knn": (OOD_KNN, "fpr95"),
    "ood_auroc_mahalanobis": (OOD_MAHALANOBIS, "auroc"),
    "ood_fpr95_mahalanobis": (OOD_MAHALANOBIS, "fpr95"),
}
"""Scores of the distances of unseen images and of seen ones: their column and kind."""

LINEARIZED = ("intrinsic_dimension", "collapse")
"""Scores that are no means: an image's contribution is the score plus its influence, which says nothing by itself."""


def contributing_columns(metrics: Iterable[str]) -> list[str]:
    """Name the columns that scores are resampled from; every other score is the mean of its own column."""
    columns = [CLUSTER if m in CLUSTER_SCORES else OOD_SCORES[m][0] if m in OOD_SCORES else m for m in metrics]
    return list(dict.fromkeys(columns))


def build_scorer(
    images: Images, metric: str, step: int, split: str, keys: Sequence[Key], start_sd: Floats | None = None
) -> CurveScorer | None:
    """Make the scorer of one score of several embeddings; None where the images' table lacks what it needs.

    Args:
        images: of all seeds of one dataset and model.
        metric: the score.
        step, split: where.
        keys: the embeddings, in the order of the scorer's layers.
        start_sd: (S, L) the score's standard deviation over k-means starts, where it has any.
    """
    if metric in OOD_SCORES:
        return _ood_scorer(images, metric, step, keys) if split == UNSEEN else None
    column = CLUSTER if metric in CLUSTER_SCORES else metric
    values = images.stack(column, step, split, keys)
    if values is None:
        return None
    y = strata(images.labels[split])
    if metric in CLUSTER_SCORES:
        clusters = np.where(np.isnan(values), -1, values).astype(np.int64)
        return ClusterScorer(y, clusters, CLUSTER_SCORES[metric], start_sd)
    return MeanScorer(y, values, WIDTHS.get(metric, UNKNOWN), start_sd)


def splits_of(metric: str, split: str) -> tuple[str, ...]:
    """The splits whose images a score of one split is made of, in the order of its scorer's images."""
    return (SEEN, UNSEEN) if metric in OOD_SCORES else (split,)


def strata(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the classes, (N,), in the order of their names."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _ood_scorer(images: Images, metric: str, step: int, keys: Sequence[Key]) -> CurveScorer | None:
    column, score = OOD_SCORES[metric]
    parts = [images.stack(column, step, split, keys) for split in (SEEN, UNSEEN)]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    y = strata(np.concatenate([images.labels[split] for split in (SEEN, UNSEEN)]))
    unseen = np.repeat([False, True], [part.shape[2] for part in found])
    return OodScorer(y, unseen, np.concatenate(found, axis=2), score)
