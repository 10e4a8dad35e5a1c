"""Out-of-distribution detection: whether a layer's distances to seen training images tell unseen images from seen ones.

Memory is bounded by a block of images, the training images and, with D features, a few (D, D) matrices.
"""

import math

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist

from ...core.scores.arrays import ROUNDING, Classes, Float32, Float64, blocks
from ...core.scores.catalogue import ScoreValue
from ...core.scores.embedded_split import EmbeddedSplit, mark_zero_rows, unit_rows
from ...shared.embeddings.embeddings import Layer
from ...shared.embeddings.split_names import SEEN, TRAIN, UNSEEN
from ...shared.tables.metric_table import OOD_KNN, OOD_MAHALANOBIS
from ..cell import Cell
from .result import AnalysisResult, ScoreRow

NEIGHBOURS = 50
"""k of Sun et al. (2022) for small sets of training images."""

ACCEPTED_PERCENT = 95
"""Share of the seen test images that `fpr95` accepts as seen, in percent."""

COLUMNS = {"knn": OOD_KNN, "mahalanobis": OOD_MAHALANOBIS}
"""Columns of images.parquet, by the kind of distance."""

BLOCK_BYTES = 64 * 2**20

VARIANCE_FLOOR = 2.0**-40
"""Smallest variance of the shared covariance, as a share of the training features' mean square: some roundings of
float32, so that features that do not vary are not measured in units of their rounding error."""


def ood(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Score two distances; unseen images are the positive class, seen test images the negative one."""
    train, labels = cell.features_of_last(layer, TRAIN), np.unique(cell.last.labels(TRAIN), return_inverse=True)[1]
    of_others = SEEN in cell.last.splits
    seen = cell.features_of_last(layer, SEEN) if of_others else cell.embedded(layer, cell.step, SEEN).X
    X = np.concatenate([seen, split.X])
    distances = {"knn": knn_distances(train, X), "mahalanobis": mahalanobis_distances(train, labels, X)}
    near = {kind: each[: len(seen)] for kind, each in distances.items()}
    far = {kind: each[len(seen) :] for kind, each in distances.items()}
    sizes = len(split.y), len(split.class_sizes)
    scores = [
        ScoreRow(UNSEEN, f"{name}_{kind}", ScoreValue(score(near[kind], far[kind]), chance, best), *sizes)
        for kind in distances
        for name, (score, chance, best) in SCORES.items()
    ]
    images = {name: {COLUMNS[kind]: each for kind, each in of.items()} for name, of in ((SEEN, near), (UNSEEN, far))}
    return AnalysisResult(scores=scores, images=images)


def knn_distances(train: Float32, X: Float32, *, k: int = NEIGHBOURS, block_bytes: int = BLOCK_BYTES) -> Float64:
    """Measure how far every image is from its k-th nearest training image (Sun, Ming, Zhu and Li, ICML 2022).

    Rows of both are L2-normalized first (rows of zeros: `mark_zero_rows`); distances are Euclidean and exact, in
    double precision.

    Args:
        train: (n, D) float32, embeddings of seen training images.
        X: (N, D) float32, embeddings of other images.
        k: which neighbour; of fewer than k training images, the farthest.
        block_bytes: memory for one block of images.

    Returns:
        (N,) float64, from 0 to 2.
    """
    train, X = mark_zero_rows(train, X)
    train = unit_rows(train).astype(np.float64)
    squares = np.einsum("ij,ij->i", train, train)
    k = min(k, len(train))
    found = np.empty(len(X))
    for rows in blocks(len(X), block_bytes // (8 * (4 * len(train) + 2 * train.shape[1]))):
        block = unit_rows(X[rows]).astype(np.float64)
        sums = np.einsum("ij,ij->i", block, block)[:, None] + squares
        distances = sums - 2 * (block @ train.T)
        distances[distances <= ROUNDING * sums] = 0
        found[rows] = np.sqrt(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return found


def mahalanobis_distances(train: Float32, y_train: Classes, X: Float32, *, block_bytes: int = BLOCK_BYTES) -> Float64:
    """Measure how far every image is from the nearest class of the training images (Lee et al., NeurIPS 2018).

    The squared Mahalanobis distance to the nearest class mean, under one covariance for all classes: that of the
    residuals about the class means, shrunk (`shrunk_covariance`). Without any variance within classes it is
    proportional to the squared Euclidean distance.

    Args:
        train: (n, D) float32, embeddings of seen training images; D may exceed n.
        y_train: (n,) their classes.
        X: (N, D) float32, embeddings of other images.
        block_bytes: memory for one block of images.

    Returns:
        (N,) float64, >= 0.
    """
    codes = np.unique(y_train, return_inverse=True)[1]
    centre = train.mean(axis=0, dtype=np.float64)
    centred = train - centre
    means = np.stack([centred[codes == c].mean(axis=0) for c in range(codes.max() + 1)])
    floor = VARIANCE_FLOOR * float(np.square(train, dtype=np.float64).mean())
    factor = cholesky(shrunk_covariance(centred - means[codes], floor=floor), lower=True, overwrite_a=True)
    white_means = whiten(means, factor)
    found = np.empty(len(X))
    for rows in blocks(len(X), block_bytes // (8 * 4 * train.shape[1])):
        found[rows] = cdist(whiten(X[rows] - centre, factor), white_means, "sqeuclidean").min(axis=1)
    return found


def shrunk_covariance(residuals: Float64, *, floor: float = 0.0) -> Float64:
    """Estimate (1 - a) S + a mu I, mu the mean variance, with a floor under a mu.

    a is the shrinkage of Ledoit and Wolf (2004), in a third of the time that scikit-learn takes for it.

    Args:
        residuals: (n, D) float64 of mean 0.
        floor: least variance in any direction; 1 where that and all variances are 0.

    Returns:
        (D, D) float64, positive definite.
    """
    (n, D), squares = residuals.shape, np.einsum("ij,ij->i", residuals, residuals)
    covariance = residuals.T @ residuals / n
    mean, size = np.trace(covariance) / D, float(np.vdot(covariance, covariance))
    distance, error = size - D * mean**2, (float(squares @ squares) / n - size) / n  # d^2 and b^2, times D
    shrinkage = min(1.0, error / distance) if distance > 0 else 0.0
    covariance *= 1 - shrinkage
    covariance[np.diag_indices(D)] += max(shrinkage * mean, floor) if mean > 0 or floor > 0 else 1.0
    return np.asarray(covariance)


def whiten(X: Float64, factor: Float64) -> Float64:
    """Solve L z = x for every row x, (m, D), of a covariance L L'."""
    return np.asarray(solve_triangular(factor, X.T, lower=True).T)


def auroc(seen: Float64, unseen: Float64) -> float:
    """Probability that an unseen image lies farther than a seen one; equal distances count half.

    Args:
        seen: (Ns,) distances of seen test images.
        unseen: (Nu,) distances of unseen images, the positive class.

    Returns:
        Area under the ROC curve, from 0 to 1; 0.5 where distance says nothing.
    """
    ordered = np.sort(seen)
    nearer = np.searchsorted(ordered, unseen, side="left") + np.searchsorted(ordered, unseen, side="right")
    return float(nearer.mean() / (2 * len(ordered)))


def fpr95(seen: Float64, unseen: Float64) -> float:
    """Share of unseen images that pass for seen where 95% of the seen test images do; lower is better.

    The threshold is the smallest distance among the seen test images at or below which at least 95% of them lie, the
    ceil(0.95 Ns)-th smallest, not interpolated; an image exactly there is accepted.

    Args:
        seen: (Ns,) distances of seen test images.
        unseen: (Nu,) distances of unseen images.

    Returns:
        From 0 to 1; about 0.95 where distance says nothing.
    """
    rank = math.ceil(ACCEPTED_PERCENT * len(seen) / 100)
    threshold = np.partition(seen, rank - 1)[rank - 1]
    return float((unseen <= threshold).mean())


SCORES = {"ood_auroc": (auroc, 0.5, 1.0), "ood_fpr95": (fpr95, ACCEPTED_PERCENT / 100, 0.0)}
"""By name: the score of distances, its value where distance says nothing, and the best one."""
