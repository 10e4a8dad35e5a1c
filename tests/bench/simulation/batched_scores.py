"""Scores of many small embeddings at once, without k-means: as the stages define them, at a tenth of the time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

BATCHED = ("knn_purity", "nn1_accuracy", "r_precision", "map_at_r", "silhouette")
"""The scores, in the order of columns."""


def batched_scores(X: Any, y: Any, subsets: Any) -> Any:
    """Score subsets of the images of M embeddings, of `X` (M, N, D), `y` (N,) and `subsets` (S, N): (M, S, scores)."""
    X = X.astype(float)
    lengths = np.einsum("mnd,mnd->mn", X, X)
    squares = np.maximum(lengths[:, :, None] + lengths[:, None] - 2 * X @ X.transpose(0, 2, 1), 0)
    squares[:, np.arange(len(y)), np.arange(len(y))] = 0
    distances = np.sqrt(squares)
    squares[:, np.arange(len(y)), np.arange(len(y))] = np.inf
    order = squares.argsort(axis=2)[..., :-1].astype(np.int32)  # (M, N, N - 1)
    same = y[order] == y[:, None]
    table = np.empty((len(X), len(subsets), len(BATCHED)))
    for s, subset in enumerate(subsets):
        own = np.unique(y[subset], return_inverse=True)[1]
        n = len(own)
        matches = same[:, subset][subset[order[:, subset]]].reshape(len(X), n, n - 1)
        neighbours = _neighbour_scores(matches, np.bincount(own)[own])
        table[:, s] = np.stack([*neighbours, _silhouette(distances[:, subset][..., subset], own)], axis=1)
    return table


def _neighbour_scores(matches: Any, sizes: Any) -> Iterator[Any]:
    """The first four scores, of `matches` (M, n, n - 1) by nearness and the `sizes` (n,) of the images' classes."""
    k = min(int(sizes.max()), len(sizes) - 1)
    matches = matches[..., :k]
    yield matches.mean(axis=(1, 2))
    yield matches[..., 0].mean(axis=1)
    ranks, R = np.arange(1, k + 1), np.maximum(sizes - 1, 1)
    relevant = matches & (ranks <= (sizes - 1)[:, None])
    yield (relevant.sum(axis=2) / R).mean(axis=1)
    at_rank = np.cumsum(relevant, axis=2, dtype=np.int32) * relevant
    yield (at_rank @ (1 / ranks) / R).mean(axis=1)


def _silhouette(distances: Any, y: Any) -> Any:
    sizes, each = np.bincount(y), np.arange(len(y))
    sums = distances @ np.eye(len(sizes))[y]  # (M, n, K)
    own, others = sums[:, each, y] / np.maximum(sizes[y] - 1, 1), sums / sizes
    others[:, each, y] = np.inf
    nearest = others.min(axis=2)
    return np.where(sizes[y] > 1, (nearest - own) / np.maximum(nearest, own), 0).mean(axis=1)
