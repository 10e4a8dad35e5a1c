"""Scores of one embedding fitted again: of all its classes but each one, and of halves of its images.

What an interval is made of. Leaving a class out shows how much a score depends on which classes there are, halves how
much on which images (docs/uncertainty.md). Everything that a score fits is fitted again on each subset, from nothing:
K - 1 clusters where a class is left out, k neighbours from the classes that are left.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from stages.measure.arrays import Classes, Float64
from stages.measure.embedded_split import centred, unit_rows
from stages.measure.scores.agreement import assigned_classes, normalized_mutual_information
from stages.measure.scores.few_shot import mean_correctness
from stages.measure.scores.geometry import class_collapse
from stages.measure.scores.kmeans import Search, cluster, rotate
from stages.measure.scores.neighbours import Scan
from stages.measure.scores.silhouette import silhouettes
from stages.measure.scores.subset_neighbours import subset_scans

FEWEST_CLASSES = 4
"""Classes below which none is left out: what remains would be too few to compare."""


@dataclass(frozen=True)
class RefitSettings:
    """How scores are fitted again.

    Attributes:
        search: of k-means on all classes but one.
        halves_search: of k-means on halves.
        few_shot_seed: of the few-shot episodes.
    """

    search: Search
    halves_search: Search
    few_shot_seed: int


@dataclass(frozen=True)
class Refits:
    """Scores of one embedding of N images of K classes, M scores; NaN where a score is undefined.

    Attributes:
        metrics: names of the scores.
        without: (K, M) of all classes but one, in the order of classes; (0, M) of fewer than `FEWEST_CLASSES`.
        halves: (B, M) of halves of the images.
    """

    metrics: tuple[str, ...]
    without: Float64
    halves: Float64

    def of(self, metric: str) -> tuple[Float64, Float64]:
        """One score without each class, (K,), and of halves, (B,)."""
        column = self.metrics.index(metric)
        return self.without[:, column], self.halves[:, column]


def refit(
    X: NDArray[np.float32],
    y: Classes,
    halves: NDArray[np.bool_],
    metrics: Collection[str],
    settings: RefitSettings,
    *,
    rotated: NDArray[np.float32] | None = None,
) -> Refits:
    """Fit the scores of one embedding again on all classes but each one, and on halves of the images.

    Args:
        X: (N, D) float32, normalized as the scores want it.
        y: (N,) classes 0 ... K - 1, each occurring.
        halves: (B, N) from `halves.complementary_halves`.
        metrics: names of scores, of `metric_names.REFITTED`.
        settings: how hard to search for clusters.
        rotated: (N, C) the embedding after `kmeans.rotate`; made here if missing.
    """
    K = int(y.max()) + 1
    without = y != np.arange(K)[:, None] if K >= FEWEST_CLASSES else np.empty((0, len(y)), bool)
    subsets = np.concatenate([without, halves])
    searches = [settings.search] * len(without) + [settings.halves_search] * len(halves)
    seed = settings.few_shot_seed
    table = subset_scores(X, y, subsets, searches, metrics, few_shot_seed=seed, rotated=rotated)
    return Refits(tuple(metrics), table[: len(without)], table[len(without) :])


def subset_scores(
    X: NDArray[np.float32],
    y: Classes,
    subsets: NDArray[np.bool_],
    searches: list[Search],
    metrics: Collection[str],
    *,
    few_shot_seed: int,
    rotated: NDArray[np.float32] | None = None,
) -> Float64:
    """Score subsets of the images of one embedding, (S, M).

    Args:
        X: (N, D) float32.
        y: (N,) classes 0 ... K - 1.
        subsets: (S, N) which images belong; at least two of at least two classes.
        searches: of k-means on each subset.
        metrics: names of M scores, of `metric_names.REFITTED`.
        few_shot_seed: of the few-shot episodes.
        rotated: (N, C) the embedding after `kmeans.rotate`; made here if missing.
    """
    if len(subsets) == 0:
        return np.empty((0, len(metrics)))
    wanted = set(metrics)
    classes = [np.unique(y[subset], return_inverse=True)[1].astype(np.int64) for subset in subsets]
    columns = _cluster_scores(X, rotated, subsets, classes, searches, wanted)
    columns |= _neighbour_scores(X, y, subsets, classes, wanted)
    columns |= _embedding_scores(X, subsets, classes, wanted, few_shot_seed)
    return np.column_stack([columns[name] for name in metrics]) if metrics else np.empty((len(subsets), 0))


Columns = dict[str, list[float]]


def _cluster_scores(
    X: NDArray[np.float32],
    rotated: NDArray[np.float32] | None,
    subsets: NDArray[np.bool_],
    classes: list[Classes],
    searches: list[Search],
    wanted: set[str],
) -> Columns:
    names = [name for name in CLUSTER_SCORES if name in wanted]
    if not names:
        return {}
    columns = Columns({name: [] for name in names})
    if rotated is None:
        rotated = rotate(X)
    for subset, own, search in zip(subsets, classes, searches, strict=True):
        labels = cluster(X[subset], int(own.max()) + 1, search, rotated=rotated[subset]).labels
        for name in names:
            columns[name].append(CLUSTER_SCORES[name](own, labels))
    return columns


def _neighbour_scores(
    X: NDArray[np.float32], y: Classes, subsets: NDArray[np.bool_], classes: list[Classes], wanted: set[str]
) -> Columns:
    names = [name for name in NEIGHBOUR_SCORES if name in wanted]
    if not names:
        return {}
    scans = subset_scans(X, y, subsets, distances_to_classes="silhouette" in wanted)
    pairs = list(zip(scans, classes, strict=True))
    return {name: [float(NEIGHBOUR_SCORES[name](scan, own).mean()) for scan, own in pairs] for name in names}


def _embedding_scores(
    X: NDArray[np.float32], subsets: NDArray[np.bool_], classes: list[Classes], wanted: set[str], seed: int
) -> Columns:
    pairs = list(zip(subsets, classes, strict=True))
    return {
        name: [score(X[subset], own, seed) for subset, own in pairs]
        for name, score in EMBEDDING_SCORES.items()
        if name in wanted
    }


def _cluster_accuracy(y: Classes, labels: NDArray[np.int32]) -> float:
    return float((assigned_classes(y, labels) == y).mean())


def _purity(scan: Scan, y: Classes) -> Float64:
    return np.asarray(scan.n_matches / min(int(np.bincount(y).max()), len(y) - 1))


def _first_matches(scan: Scan, y: Classes) -> NDArray[np.bool_]:
    return np.asarray(y[scan.nearest[:, 0]] == y)


def _silhouettes(scan: Scan, y: Classes) -> Float64:
    assert scan.sums is not None
    return silhouettes(scan.sums, y)


def _few_shot(X: NDArray[np.float32], y: Classes, seed: int, *, shots: int) -> float:
    each = mean_correctness(unit_rows(centred(X)), y, shots=shots, seed=seed)
    return float(np.nanmean(each)) if np.isfinite(each).any() else np.nan


def _collapse(X: NDArray[np.float32], y: Classes, _: int) -> float:
    return class_collapse(X, y)[0]


CLUSTER_SCORES: dict[str, Callable[[Classes, NDArray[np.int32]], float]] = {
    "nmi": normalized_mutual_information,
    "ami": adjusted_mutual_info_score,
    "ari": adjusted_rand_score,
    "cluster_accuracy": _cluster_accuracy,
}
"""Of classes and clusters."""

NEIGHBOUR_SCORES: dict[str, Callable[[Scan, Classes], NDArray[np.float64 | np.bool_]]] = {
    "knn_purity": _purity,
    "nn1_accuracy": _first_matches,
    "silhouette": _silhouettes,
    "r_precision": lambda scan, _: scan.precisions,
    "map_at_r": lambda scan, _: scan.average_precisions,
}
"""Of neighbours and classes: what every image contributes."""

EMBEDDING_SCORES: dict[str, Callable[[NDArray[np.float32], Classes, int], float]] = {
    "few_shot_accuracy_1": partial(_few_shot, shots=1),
    "few_shot_accuracy_5": partial(_few_shot, shots=5),
    "collapse": _collapse,
}
"""Of an embedding, classes and a seed."""
