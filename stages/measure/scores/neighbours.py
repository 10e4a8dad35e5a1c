"""All distances of a split, a block of rows at a time: exact nearest neighbours, and distances to groups of images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stages.measure.arrays import Classes, Counts, Doubles, Floats, Rows
from stages.measure.scores.retrieval import average_precisions, precisions

BLOCK_BYTES = 64 * 2**20
ARRAYS_PER_BLOCK = 4
"""(rows, N) arrays of 8 bytes that live at once in a block."""

FEATURES_PER_BLOCK = 256
"""Features that are in double precision at once."""

ROUNDING = 2.0**-46
"""Squared distances below this share of the two squared lengths are rounding error of a distance of 0."""

SMALLEST = 1e-150
"""Less than any squared distance between different rows of float32."""

FAR = 2.0**20
"""A row whose largest squared distance is beyond this multiple of its k-th smallest holds outliers."""


@dataclass(frozen=True)
class Scan:
    """What one pass over all distances gives of every image.

    Attributes:
        nearest: (N, kept) indices of its nearest neighbours, nearest first.
        hits: (N,) how many of its k nearest neighbours have its class.
        precisions: (N,) share of its R nearest neighbours that have its class, R the number of others in the class.
        average_precisions: (N,) the same, with the order of neighbours.
        sums: (N, M) sums of its distances to each group; None if no groups were asked for.
    """

    nearest: Rows
    hits: Counts
    precisions: Doubles
    average_precisions: Doubles
    sums: Doubles | None


def scan(
    X: Floats,
    y: Classes,
    k: int,
    *,
    kept: int = 1,
    groups: Doubles | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Scan:
    """Compare every image with its nearest neighbours and, if asked for, sum its distances to groups, in one pass.

    Neighbours are exact and Euclidean, the image itself excluded by index. Distances are computed in double precision;
    a duplicate is a neighbour at distance 0, and neighbours at equal distances come in order of their index.

    Args:
        X: (N, D) float32.
        y: (N,) classes 0 ... K - 1.
        k: number of neighbours that are counted, 1 ... N - 1.
        kept: number of neighbours whose indices are returned, all others if fewer.
        groups: (N, M) weight of every image in each group.
        block_bytes: memory for one block of distances.
    """
    N, peers = len(X), np.bincount(y)[y] - 1
    deepest = min(max(k, int(peers.max()), kept), N - 1)
    indices, hits = np.empty((N, min(kept, N - 1)), np.int64), np.empty(N, np.int64)
    shares, averages = np.empty(N), np.empty(N)
    sums = None if groups is None else np.empty((N, groups.shape[1]))
    for rows, distances in squared_distance_blocks(X, block_bytes=block_bytes):
        if groups is not None and sums is not None:
            sums[rows] = np.sqrt(distances) @ groups
        nearest = _nearest(distances, rows, deepest)
        matches = y[nearest] == y[rows, None]
        indices[rows], hits[rows] = nearest[:, :kept], matches[:, :k].sum(axis=1)
        shares[rows] = precisions(matches, peers[rows])
        averages[rows] = average_precisions(matches, peers[rows])
    return Scan(indices, hits, shares, averages, sums)


def distance_sums(X: Floats, groups: Doubles, *, block_bytes: int = BLOCK_BYTES) -> Doubles:
    """Sum every image's distances to each group of images, without looking for neighbours.

    Args:
        X: (N, D) float32.
        groups: (N, M) weight of every image in each group.
        block_bytes: memory for one block of distances.

    Returns:
        (N, M).
    """
    blocks = squared_distance_blocks(X, block_bytes=block_bytes)
    return np.concatenate([np.sqrt(distances) @ groups for _, distances in blocks])


def squared_distance_blocks(X: Floats, *, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[slice, Doubles]]:
    """Compute all squared distances in double precision, a block of rows at a time.

    Yields:
        Rows as a slice of length B, and their squared distances to all rows, (B, N), which may be overwritten.
    """
    squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    size = max(1, block_bytes // (ARRAYS_PER_BLOCK * 8 * len(X)))
    for start in range(0, len(X), size):
        rows = slice(start, min(start + size, len(X)))
        yield rows, _squared_distances(X, squares, rows)


def _nearest(distances: Doubles, rows: slice, k: int) -> Rows:
    """Indices of the k nearest of each row of a block, nearest first, (B, k); overwrites the distances."""
    bits = distances.shape[1].bit_length()
    _pull_in_outliers(distances, k)
    keys = _ordered_keys(distances, bits)
    keys[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = np.iinfo(np.int64).max  # itself
    nearest = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)
    nearest &= (1 << bits) - 1
    return nearest


def _squared_distances(X: Floats, squares: Doubles, rows: slice) -> Doubles:
    """Squared distances in double precision from some rows to all, (B, N)."""
    distances = np.zeros((rows.stop - rows.start, len(X)))
    for start in range(0, X.shape[1], FEATURES_PER_BLOCK):
        doubles = X[:, start : start + FEATURES_PER_BLOCK].astype(np.float64)
        distances += doubles[rows] @ doubles.T
    sums = squares[rows, None] + squares
    distances *= -2
    distances += sums
    sums *= ROUNDING
    distances[distances <= sums] = 0
    return distances


def _pull_in_outliers(distances: Doubles, k: int) -> None:
    """Bring outliers of a row to twice its k-th smallest squared distance, so that keys tell the k nearest apart.

    Which those are, and their order, stays; rows without outliers are left as they are.
    """
    limit = distances.max(axis=1, keepdims=True) / FAR
    crowded = np.flatnonzero(np.count_nonzero(distances <= limit, axis=1) > k)  # itself is among them
    if len(crowded):
        kth = np.partition(distances[crowded], k, axis=1)[:, [k]]
        distances[crowded] = np.minimum(distances[crowded], np.maximum(2 * kth, SMALLEST))


def _ordered_keys(distances: Doubles, bits: int) -> Rows:
    """Pack distance and index into integers that sort by distance, then by index.

    The index takes the low `bits`; the distance, as a share of the row's largest, the other 62 - bits: 42 of them where
    there are a million images.
    """
    largest = distances.max(axis=1, keepdims=True)
    distances *= 2.0 ** (62 - bits) / np.where(largest > 0, largest, 1.0)
    keys = np.rint(distances, out=distances).astype(np.int64)
    keys <<= bits
    keys |= np.arange(distances.shape[1])
    return keys
