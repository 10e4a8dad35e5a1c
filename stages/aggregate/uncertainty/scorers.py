"""Which scorer resamples which score, and which columns of the images' table it needs."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.contributions import Contributions, Key
from stages.aggregate.metric_info import Clusters, Distances, Mean, MetricInfo, metric_info
from stages.aggregate.uncertainty.bootstrap import Float64
from stages.aggregate.uncertainty.resampled_scores import ClusterScorer, CurveScorer, MeanScorer, OodScorer
from stages.shared.metric_table import CLUSTER
from stages.shared.split_names import SEEN, UNSEEN


def contributing_columns(metrics: Iterable[str]) -> list[str]:
    """Name the columns that scores are resampled from."""
    columns = (_column(metric, metric_info(metric)) for metric in metrics)
    return list(dict.fromkeys(column for column in columns if column))


def _column(metric: str, info: MetricInfo) -> str | None:
    match info.resampled:
        case Clusters():
            return CLUSTER
        case Distances(column):
            return column
        case Mean():
            return metric
        case None:
            return None


def build_scorer(
    contributions: Contributions,
    metric: str,
    step: int,
    split: str,
    keys: Sequence[Key],
    start_sd: Float64 | None = None,
) -> CurveScorer | None:
    """Make the scorer of one score of several embeddings; None where the images' table lacks what it needs.

    Args:
        contributions: of all seeds of one dataset and model.
        metric: the score.
        step, split: where.
        keys: the embeddings, in the order of the scorer's layers.
        start_sd: (S, L) the score's standard deviation over k-means starts, where it has any.
    """
    info = metric_info(metric)
    if isinstance(info.resampled, Distances):
        return _ood_scorer(contributions, info.resampled, info, step, keys) if split == UNSEEN else None
    column = _column(metric, info)
    values = contributions.stack(column, step, split, keys) if column else None
    if values is None:
        return None
    y = strata(contributions.labels[split])
    if isinstance(info.resampled, Clusters):
        clusters = np.where(np.isnan(values), -1, values).astype(np.int64)
        return ClusterScorer(y, clusters, info.resampled.score, start_sd)
    return MeanScorer(y, values, info.width, start_sd)


def splits_of(metric: str, split: str) -> tuple[str, ...]:
    """The splits whose images a score of one split is made of, in the order of its scorer's images."""
    return (SEEN, UNSEEN) if isinstance(metric_info(metric).resampled, Distances) else (split,)


def strata(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the classes, (N,), in the order of their names."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _ood_scorer(
    contributions: Contributions, distances: Distances, info: MetricInfo, step: int, keys: Sequence[Key]
) -> CurveScorer | None:
    parts = [contributions.stack(distances.column, step, split, keys) for split in (SEEN, UNSEEN)]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    y = strata(np.concatenate([contributions.labels[split] for split in (SEEN, UNSEEN)]))
    unseen = np.repeat([False, True], [part.shape[2] for part in found])
    return OodScorer(y, unseen, np.concatenate(found, axis=2), distances.score, info.width)
