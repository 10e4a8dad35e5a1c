"""Exact nearest neighbours of every image among the others of its split, a block of rows at a time."""

from collections.abc import Iterator

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


def neighbour_matches(
    X: NDArray[np.float32], y: NDArray[np.int64], k: int, *, block_bytes: int = BLOCK_BYTES
) -> NDArray[np.bool_]:
    """Say for every image which of its k nearest neighbours share its class.

    Args:
        X: (N, D) float32.
        y: (N,) classes.
        k: number of neighbours, 1 ... N - 1.
        block_bytes: memory for one block of distances.

    Returns:
        (N, k), nearest first.
    """
    matches = np.empty((len(X), k), dtype=bool)
    for rows, nearest in nearest_neighbours(X, k, block_bytes=block_bytes):
        matches[rows] = y[nearest] == y[rows, None]
    return matches


def nearest_neighbours(
    X: NDArray[np.float32], k: int, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, Indices]]:
    """Find the k nearest neighbours (Euclidean, exact) of every row, itself excluded by index.

    Distances are computed in double precision; a duplicate is a neighbour at distance 0, and neighbours at equal
    distances come in order of their index.

    Args:
        X: (N, D) float32.
        k: number of neighbours, 1 ... N - 1.
        block_bytes: memory for one block of distances.

    Yields:
        Rows as a slice of length B, and the indices of their neighbours, (B, k), nearest first.
    """
    squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    bits = len(X).bit_length()
    size = max(1, block_bytes // (ARRAYS_PER_BLOCK * 8 * len(X)))
    for start in range(0, len(X), size):
        rows = slice(start, min(start + size, len(X)))
        keys = _ordered_keys(_squared_distances(X, squares, rows), bits)
        keys[np.arange(rows.stop - start), np.arange(start, rows.stop)] = np.iinfo(np.int64).max  # itself
        nearest = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)
        yield rows, nearest & ((1 << bits) - 1)


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
