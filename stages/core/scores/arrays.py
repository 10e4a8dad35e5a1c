"""Names of the arrays that scores are computed from, and of what several scores share."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...shared.runtime.errors import UserError

Float32 = NDArray[np.float32]
"""Embeddings, as they are stored."""

Float64 = NDArray[np.float64]

Classes = NDArray[np.int64]
"""Classes of images, 0 ... K - 1."""

Counts = NDArray[np.int64]
"""Numbers of images."""

Rows = NDArray[np.int64]
"""Indices of images."""

Matches = NDArray[np.bool_]
"""Whether the r-th nearest neighbour of an image has its class, (N, k), nearest first."""

ROUNDING = 2.0**-46
"""A squared length or distance below this share of the squared lengths that it is the difference of is rounding.

Embeddings are single precision, sums of their squares double: what is equal differs by some 2^-50.
"""

Need = Literal["clusterings", "neighbours", "class_distances", "cluster_distances"]
"""What a score may need of an embedding beside its rows: k-means clusterings, neighbours, distances to classes and to
clusters."""

ROWS_PER_BLOCK = 1024
"""Rows that are in double precision at once."""


def blocks(count: int, size: int | None = None) -> Iterator[slice]:
    """Cut 0 ... count - 1 into slices of at most `size` (None: `ROWS_PER_BLOCK`), at least one."""
    size = max(1, ROWS_PER_BLOCK if size is None else size)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def as_array(what: str, values: ArrayLike) -> NDArray[Any]:
    """Make an array of what a user gives for one.

    Raises:
        UserError: it cannot become one, as a ragged list, a sparse matrix, or a tensor on a GPU, of bfloat16 or with a
            gradient, or what it masks would show.
    """
    if np.ma.is_masked(values):
        raise UserError(f"{what} must have no masked values; remove such images from the labels and all embeddings")
    kind = type(values).__name__
    if hasattr(values, "toarray"):
        raise UserError(f"{what} must be a dense array, found {kind}; give `.toarray()` of it")
    try:
        return np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        remedy = "; give `.detach().float().cpu().numpy()` of it" if kind == "Tensor" else ""
        raise UserError(f"{what} must be an array, found {kind}: {error}{remedy}") from None
