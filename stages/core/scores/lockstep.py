"""Many starts of k-means on the same rows at once: one matrix product serves all of them.

A fit of scikit-learn costs milliseconds whatever its size, most of them for checks, and a cell has some 20,000 small
fits. The algorithm is the same: greedy k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's iterations. Where that
is many times faster, from 250 rows and 5 clusters on, and where it is not, from 100 clusters on: `tests.bench.kmeans`.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .arrays import Float32, Float64, Rows, blocks

MAX_ITERATIONS = 300

ELEMENTS = 2**18
"""Of the largest array that is computed at once: it stays in the processor's cache."""

MIN_STARTS = 4
"""Starts that are seeded at once, also where their arrays exceed the cache: each would read all rows by itself."""

MAX_COPIED = 512
"""Columns of which a transposed copy saves time; of more its memory counts."""

ROUNDING = 2.0**-20
"""A squared distance below this share of the squared lengths that it is the difference of is rounding."""


def search(X: Float32, clusters: int, seeds: Sequence[int]) -> tuple[NDArray[np.int32], Float64]:
    """Search for the clustering of least inertia from several starts.

    Args:
        X: (N, C) float32, rows of an embedding that is centred.
        clusters: number of clusters, at most N.
        seeds: of the starts; they end where `KMeans(clusters, n_init=1, random_state=seed)` does, up to its tolerance.

    Returns:
        As of `lloyd`. Of no more distinct rows than clusters, each is a cluster.
    """
    if len(np.unique(X[:, 0])) <= clusters:  # if so of whole rows, their places would decide between equal centres
        _, first, inverse = np.unique(X, axis=0, return_index=True, return_inverse=True)
        if len(first) <= clusters:
            as_they_appear = np.argsort(np.argsort(first)).astype(np.int32)[inverse]
            return np.tile(as_they_appear, (len(seeds), 1)), np.zeros(len(seeds))
    numbers = start_numbers(tuple(seeds), clusters)
    candidates = numbers.shape[1] // max(1, clusters - 1)
    seeded = blocks(len(seeds), max(MIN_STARTS, ELEMENTS // (candidates * len(X))))
    centres = np.concatenate([seed_centres(X, clusters, numbers[starts]) for starts in seeded])
    moved = blocks(len(seeds), ELEMENTS // (clusters * len(X)))
    labels, inertia = zip(*(lloyd(X, centres[starts]) for starts in moved), strict=True)
    return np.concatenate(labels), np.concatenate(inertia)


@lru_cache(maxsize=16)
def start_numbers(seeds: tuple[int, ...], clusters: int) -> Float64:
    """Draw the random numbers of several starts as scikit-learn does, (S, 1 + (K - 1) T), T candidates for a centre."""
    count = 1 + (clusters - 1) * (2 + int(np.log(clusters)))
    return np.stack([np.random.RandomState(seed).random_sample(count) for seed in seeds])


def seed_centres(X: Float32, clusters: int, numbers: Float64) -> Float32:
    """Choose the centres of several starts by greedy k-means++: of several random rows the one that helps most.

    Args:
        X: (N, C) float32.
        clusters: number of clusters, K.
        numbers: (S, 1 + (K - 1) T) random numbers in [0, 1): T candidates for every centre after the first.

    Returns:
        (S, K, C) float32.
    """
    N, starts, T = len(X), np.arange(len(numbers)), (numbers.shape[1] - 1) // max(1, clusters - 1)
    columns, squares = np.ascontiguousarray(X.T), np.einsum("ij,ij->i", X, X)
    chosen = np.empty((len(starts), clusters), np.int64)
    chosen[:, 0] = numbers[:, 0] * N
    closest = _squared_distances(X, columns, squares, chosen[:, 0])  # (S, N)
    for k in range(1, clusters):
        cumulative = np.cumsum(closest, axis=1, dtype=np.float64)
        cumulative /= np.maximum(cumulative[:, -1:], np.finfo(np.float64).tiny)  # 0 where every row is a centre
        drawn = numbers[:, 1 + (k - 1) * T : 1 + k * T] + starts[:, None]
        cumulative += starts[:, None]
        places = np.searchsorted(cumulative.ravel(), drawn, side="right")
        rows = np.minimum(places - N * starts[:, None], N - 1)  # (S, T)
        nearer = _squared_distances(X, columns, squares, rows.ravel()).reshape(*rows.shape, N)
        np.minimum(nearer, closest[:, None], out=nearer)
        best = nearer.sum(axis=2).argmin(axis=1)
        closest, chosen[:, k] = nearer[starts, best], rows[starts, best]
    return X[chosen]


def lloyd(X: Float32, centres: Float32) -> tuple[NDArray[np.int32], Float64]:
    """Move every start's centres until no row changes its cluster, 300 times at most.

    A cluster that loses all rows takes the row farthest from its centre, as in scikit-learn.

    Args:
        X: (N, C) float32.
        centres: (S, K, C) float32.

    Returns:
        Of every start its labels, (S, N), clusters being numbered as they appear, and its inertia, (S,).
    """
    (S, K, C), N = centres.shape, len(X)
    rows = np.concatenate([X, np.ones((N, 1), np.float32)], axis=1)  # (N, C + 1)
    columns = rows.T if C > MAX_COPIED else np.ascontiguousarray(rows.T)
    squares = np.einsum("ij,ij->", X, X, dtype=np.float64)
    labels, inertia, starts = np.empty((S, N), np.int32), np.empty(S), np.arange(S)
    nearness, members = np.empty((S, K, N), np.float32), np.zeros((S, K, N), bool)
    sums, moved, whole = np.zeros((S, K, C + 1), np.float32), np.ones((S, K), bool), np.zeros(S, bool)
    for iteration in range(MAX_ITERATIONS):
        weights = np.concatenate([centres, np.einsum("skc,skc->sk", centres, centres)[..., None] / -2], axis=2)
        nearness[moved] = weights[moved] @ columns  # x c - c c / 2, of the centres that moved
        before, members = members, nearness == nearness.max(axis=1, keepdims=True)
        differ = members != before
        moved = differ.any(axis=2)
        changed = np.flatnonzero(differ.any(axis=(0, 1))) if iteration and K * N > ELEMENTS // 16 else starts[:0]
        if 0 < len(changed) < N // 4:  # few rows join or leave the clusters
            joined = members[moved][:, changed].astype(np.float32) - before[moved][:, changed]
            sums[moved] += joined @ rows[changed]
        else:
            sums[moved] = members[moved].astype(np.float32) @ rows
        sizes = sums[..., C]
        odd = whole.any() or sizes.min() == 0 or sizes.sum() != N * len(starts)  # seldom
        for start in np.flatnonzero(whole | (sizes.sum(axis=1) != N) | (sizes.min(axis=1) == 0)) if odd else ():
            members[start] = nearness[start].argmax(axis=0) == np.arange(K)[:, None]  # the first of equally near ones
            sums[start], whole[start] = _without_empty(rows, members[start], centres[start])
            moved[start] = (members[start] != before[start]).any()
        centres = np.asarray(sums[..., :C] / np.maximum(sums[..., C:], 1), np.float32)
        goes_on = moved.any(axis=1) & (iteration < MAX_ITERATIONS - 1)
        if 2 * np.count_nonzero(goes_on) <= len(starts):  # what has ended stays as it is meanwhile
            between = np.einsum("skc,skc->s", sums[~goes_on, :, :C], centres[~goes_on], dtype=np.float64)
            labels[starts[~goes_on]], inertia[starts[~goes_on]] = _labels(members[~goes_on]), squares - between
            starts, nearness, members, sums, moved, whole, centres = (
                part[goes_on] for part in (starts, nearness, members, sums, moved, whole, centres)
            )
        if not len(starts):
            break
    return labels, inertia


def _labels(members: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the clusters of several starts as they appear: the same partition has the same labels, (S, N)."""
    first = np.where(members.any(axis=2), members.argmax(axis=2), members.shape[2])
    numbers = first.argsort(axis=1, kind="stable").argsort(axis=1)
    labels = np.matmul(numbers[:, None], members, dtype=np.float32)[:, 0]  # every row is in one cluster
    return np.asarray(labels, np.int32)


def _without_empty(rows: Float32, members: NDArray[np.bool_], centres: Float32) -> tuple[Float32, bool]:
    """Sum the rows of every cluster of one start; move to an empty one the row farthest from its centre, if any did."""
    sums = members.astype(np.float32) @ rows
    empty, own = np.flatnonzero(sums[:, -1] == 0), members.argmax(axis=0)
    distances = ((rows[:, :-1] - centres[own]) ** 2).sum(axis=1)
    if not len(empty) or distances.max() <= ROUNDING**2 * (rows[:, :-1] ** 2).sum(axis=1).max():
        return sums, False  # none is empty, or there are fewer distinct rows than clusters
    for cluster, farthest in zip(empty, np.argsort(-distances, kind="stable"), strict=False):
        sums[own[farthest]] -= rows[farthest]
        sums[cluster] = rows[farthest]
    return sums, True


def _squared_distances(X: Float32, columns: Float32, squares: Float32, points: Rows) -> Float32:
    """Squared distances of some rows to all, (P, N): 0 where they are rounding."""
    distances, sums = X[points] @ columns, squares[points, None] + squares
    distances *= -2
    sums *= 1 - ROUNDING
    distances += sums
    np.maximum(distances, 0, out=distances)
    return np.asarray(distances)
