"""All distances of a split, a block of rows at a time: exact nearest neighbours, and distances to groups of images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 64 * 2**20
ARRAYS_PER_BLOCK = 4
"""(rows, N) arrays of 8 bytes that live at once in a block."""

FEATURES_PER_BLOCK = 256
"""Features that are in double precision at once."""

ROUNDING = 2.0**-46
"""Squared distances below this share of the two squared lengths are rounding error of a distance of 0."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """What one pass over all distances gives.

    Attributes:
        matches: (N, k), whether the r-th nearest neighbour has the image's class, nearest first.
        nearest: (N, kept) indices of the first of them.
        sums: (N, M) sums of every image's distances to each group; None if no groups were asked for.
    """

    matches: NDArray[np.bool_]
    nearest: Indices
    sums: NDArray[np.float64] | None


def scan(
    X: NDArray[np.float32],
    y: NDArray[np.int64],
    k: int,
    *,
    kept: int = 1,
    groups: NDArray[np.float64] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Scan:
    """Find the k nearest neighbours of every image and, if asked for, its distances to groups of images, in one pass.

    Neighbours are exact and Euclidean, the image itself excluded by index. Distances are computed in double precision;
    a duplicate is a neighbour at distance 0, and neighbours at equal distances come in order of their index.

    Args:
        X: (N, D) float32.
        y: (N,) classes.
        k: number of neighbours, 1 ... N - 1.
        kept: number of neighbours whose indices are returned, all k if fewer.
        groups: (N, M) weight of every image in each group.
        block_bytes: memory for one block of distances.
    """
    matches = np.empty((len(X), k), dtype=bool)
    indices = np.empty((len(X), min(kept, k)), dtype=np.int64)
    sums = None if groups is None else np.empty((len(X), groups.shape[1]))
    for rows, distances in squared_distance_blocks(X, block_bytes=block_bytes):
        if groups is not None and sums is not None:
            sums[rows] = np.sqrt(distances) @ groups
        nearest = _nearest(distances, rows, k)
        matches[rows] = y[nearest] == y[rows, None]
        indices[rows] = nearest[:, :kept]
    return Scan(matches, indices, sums)


def distance_sums(
    X: NDArray[np.float32], groups: NDArray[np.float64], *, block_bytes: int = BLOCK_BYTES
) -> NDArray[np.float64]:
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


def squared_distance_blocks(
    X: NDArray[np.float32], *, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Compute all squared distances in double precision, a block of rows at a time.

    Yields:
        Rows as a slice of length B, and their squared distances to all rows, (B, N), which may be overwritten.
    """
    squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    size = max(1, block_bytes // (ARRAYS_PER_BLOCK * 8 * len(X)))
    for start in range(0, len(X), size):
        rows = slice(start, min(start + size, len(X)))
        yield rows, _squared_distances(X, squares, rows)


def _nearest(distances: NDArray[np.float64], rows: slice, k: int) -> Indices:
    """Indices of the k nearest of each row of a block, nearest first, (B, k); overwrites the distances."""
    bits = distances.shape[1].bit_length()
    keys = _ordered_keys(distances, bits)
    keys[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = np.iinfo(np.int64).max  # itself
    nearest = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)
    nearest &= (1 << bits) - 1
    return nearest


def _squared_distances(X: NDArray[np.float32], squares: NDArray[np.float64], rows: slice) -> NDArray[np.float64]:
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


def _ordered_keys(distances: NDArray[np.float64], bits: int) -> Indices:
    """Pack distance and index into integers that sort by distance, then by index.

    The index takes the low `bits`; the distance, as a share of the row's largest, the other 62 - bits: 41 of them where
    there are a million images.
    """
    largest = distances.max(axis=1, keepdims=True)
    distances *= 2.0 ** (62 - bits) / np.where(largest > 0, largest, 1.0)
    keys = np.rint(distances, out=distances).astype(np.int64)
    keys <<= bits
    keys |= np.arange(distances.shape[1])
    return keys
