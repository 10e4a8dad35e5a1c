"""All distances of a split, a block of rows at a time: exact nearest neighbours, and distances to groups of images.

One pass over them serves the split and many subsets of its images.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from ...shared.runtime.errors import UserError
from .arrays import ROUNDING, Classes, Counts, Float32, Float64, Matches, Need, Rows, blocks
from .retrieval import precisions

BLOCK_BYTES = 64 * 2**20
ARRAYS_PER_BLOCK = 4
"""(rows, N) arrays of 8 bytes that live at once in a block."""

LAST = np.finfo(np.float64).max
"""Squared distance to an image that is kept out: behind all others, before the image itself."""

FEATURES_PER_BLOCK = 256
"""Features that are in double precision at once."""

FAR = 2.0**20
"""How many times longer than their squared distances the rows' squared lengths may be: beyond that, distances are taken
from a point near the rows, since they would drown in the rounding of the lengths."""

KEPT_BYTES = 2**30
"""Size up to which an embedding is kept in double precision while its distances are computed, not converted anew for
every block of rows."""

ROWS_SUMMED = 32
"""Rows whose distances to groups are summed at once."""

SAMPLE = 16
"""Rows, or up to twice as many, in which that is looked at."""


@dataclass(frozen=True)
class Scan:
    """What one pass over all distances gives of every image.

    Attributes:
        nearest: (N, kept) indices of its nearest neighbours, nearest first.
        n_matches: (N,) how many of its k nearest neighbours have its class.
        precisions: (N,) share of its R nearest neighbours that have its class, R the number of others in the class.
        average_precisions: (N,) the same, with the order of neighbours.
        sums: by the groups' name, (N, M) sums of its distances to each.
    """

    nearest: Rows
    n_matches: Counts
    precisions: Float64
    average_precisions: Float64
    sums: Mapping[Need, Float64]


def others(y: Classes, own_groups: Classes | None = None) -> tuple[Counts, Counts]:
    """Count the images that can be an image's neighbours: all others, or those outside its own group.

    Args:
        y: (N,) classes 0 ... K - 1.
        own_groups: (N,) group of every image, 0 ... G - 1; None: no image is kept out.

    Returns:
        (N,) how many of them have its class, and (N,) how many there are.
    """
    if own_groups is None:
        return np.bincount(y)[y] - 1, np.full(len(y), len(y) - 1)
    pairs = own_groups.astype(np.int64) * (int(y.max()) + 1) + y
    kin = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.bincount(y)[y] - kin[2][kin[1]], len(y) - np.bincount(own_groups)[own_groups]


def scan(
    X: Float32,
    y: Classes,
    k: int,
    *,
    kept: int = 1,
    groups: Mapping[Need, csc_array] | None = None,
    own_groups: Classes | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Scan:
    """Compare every image with its nearest neighbours and, if asked for, sum its distances to groups, in one pass.

    Neighbours are exact and Euclidean, the image itself excluded by index. Distances are computed in double precision;
    a duplicate is a neighbour at distance 0. Neighbours at equal distances come in an order of chance, the same in
    every run: images are sorted by class as a rule, and by index a constant embedding would score well.

    Squared distances that differ by less than 2^-30 of that to the k-th neighbour (of 2,500 images; 2^-22 of a million)
    may count as equal. How far other images lie does not matter: one a billion times as far as the rest changes no rank
    among them, unless it is among the k nearest itself.

    Args:
        X: (N, D) float32.
        y: (N,) classes 0 ... K - 1.
        k: number of neighbours that are counted, 1 ... N - 1.
        kept: number of neighbours whose indices are returned, all others if fewer.
        groups: by name, (N, M) from `memberships`.
        own_groups: (N,) group of every image, none of whose images is its neighbour; None: all others may be. `k` is
            at most the least number of `others`.
        block_bytes: memory for one block of distances.
    """
    N, n_same_class = len(y), others(y, own_groups)[0]
    deepest = min(max(k, int(n_same_class.max()), kept), N - 1)
    indices, n_matches = np.empty((N, min(kept, N - 1)), np.int64), np.empty(N, np.int64)
    precision, average_precision = np.empty(N), np.empty(N)
    sums = {name: np.empty(members.shape) for name, members in (groups or {}).items()}
    for rows, block in squared_distance_blocks(X, block_bytes=block_bytes):
        for name, members in (groups or {}).items():
            sums[name][rows] = _summed(block, members)
        if own_groups is not None:
            block[own_groups[rows, None] == own_groups] = LAST
        nearest = _nearest(block, rows, deepest)
        matches = y[nearest] == y[rows, None]
        indices[rows], n_matches[rows] = nearest[:, :kept], matches[:, :k].sum(axis=1)
        precision[rows], average_precision[rows] = precisions(matches, n_same_class[rows])
    return Scan(indices, n_matches, precision, average_precision, sums)


def distance_sums(X: Float32, groups: csc_array) -> Float64:
    """Sum every image's distances to each group of images, without looking for neighbours.

    Args:
        X: (N, D) float32.
        groups: (N, M) from `memberships`.

    Returns:
        (N, M).
    """
    return np.concatenate([_summed(distances, groups) for _, distances in squared_distance_blocks(X)])


def _summed(distances: Float64, groups: csc_array) -> Float64:
    """Sum the roots of squared distances to each group, (B, M), a few rows at a time, which a cache holds."""
    return np.concatenate([np.sqrt(distances[rows]) @ groups for rows in blocks(len(distances), ROWS_SUMMED)])


def memberships(divisions: Sequence[Classes]) -> csc_array:
    """List which images belong to each group of one division of them, or of several beside each other.

    Args:
        divisions: (N,) group of every image, 0 ... M - 1, as many in each; -1 of an image that is in none.

    Returns:
        (N, divisions x M) sparse: 1 where an image is in a group.
    """
    groups = np.stack(divisions)
    division, image = np.nonzero(groups >= 0)
    M = int(groups.max()) + 1
    columns = division * M + groups[division, image]
    return csc_array((np.ones(len(image)), (image, columns)), shape=(groups.shape[1], len(groups) * M))


def squared_distance_blocks(X: Float32, *, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[slice, Float64]]:
    """Compute all squared distances in double precision, a block of rows at a time.

    Args:
        X: (N, D) float32.
        block_bytes: memory for one block.

    Yields:
        Rows as a slice of length B, and their squared distances to all rows, (B, N), which may be overwritten.
    """
    origin = _origin(X)
    kept = [*_doubles(X, origin)] if X.size * 8 <= KEPT_BYTES else None
    if origin is None:
        squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    else:
        squares = np.sum([np.einsum("ij,ij->i", some, some) for some in kept or _doubles(X, origin)], axis=0)
    for rows in blocks(len(X), block_bytes // (ARRAYS_PER_BLOCK * 8 * len(X))):
        yield rows, _squared_distances(kept or _doubles(X, origin), squares, rows)


def order_by_distance(distances: Float64, image: int) -> Rows:
    """All N images by their distances to one, (N,), those at equal distances as `chance_order` has them, (N,)."""
    order = chance_order(len(distances), image)
    return order[np.argsort(distances[order], kind="stable")]


def chance_order(N: int, image: int) -> Rows:
    """In which order N images come to one where distances do not tell, (N,): the same in every run."""
    return np.random.default_rng(image).permutation(N)


def _nearest(distances: Float64, rows: slice, k: int) -> Rows:
    """Indices of the k nearest others of each row of a block, (B, k).

    What `order_by_distance` gives, which only rows take where one of the k nearest is as far as another image.
    """
    distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf  # itself
    within = distances <= np.partition(distances, k - 1, axis=1)[:, [k - 1]]
    tied = np.count_nonzero(within, axis=1) > k
    clear = np.flatnonzero(~tied)
    columns = np.nonzero(within[clear])[1].reshape(-1, k)
    near = np.take_along_axis(distances[clear], columns, axis=1)
    order = np.argsort(near, axis=1)
    nearest = np.empty((len(distances), k), np.int64)
    nearest[clear] = np.take_along_axis(columns, order, axis=1)
    tied[clear] = has_ties(np.take_along_axis(near, order, axis=1))
    for row in np.flatnonzero(tied):
        nearest[row] = order_by_distance(distances[row], rows.start + row)[:k]
    return nearest


def has_ties(ordered: Float64) -> Matches:
    """Find the rows of ordered numbers in which two are equal, (B,)."""
    return np.asarray((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))


def _origin(X: Float32) -> Float64 | None:
    """A row in the middle of a sample of rows, (D,), if 0 is `FAR` from them; else None."""
    few = X[:: max(1, len(X) // SAMPLE)].astype(np.float64)
    lengths = np.einsum("ij,ij->i", few, few)
    middle = few[np.argsort(lengths)[len(few) // 2]]
    apart = few - middle
    return middle if np.median(lengths) > FAR * np.median(np.einsum("ij,ij->i", apart, apart)) else None


def _doubles(X: Float32, origin: Float64 | None) -> Iterator[Float64]:
    """Yield the rows' differences from the origin in double precision, some columns at a time, (N, C) each."""
    for columns in blocks(X.shape[1], FEATURES_PER_BLOCK):
        some = X[:, columns].astype(np.float64)
        yield some if origin is None else some - origin[columns]


def _squared_distances(columns: Iterable[Float64], squares: Float64, rows: slice) -> Float64:
    """Squared distances in double precision from some rows to all, (B, N), of the columns that `_doubles` gives."""
    distances = np.zeros((rows.stop - rows.start, len(squares)))
    for some in columns:
        distances += some[rows] @ some.T
    sums = squares[rows, None] + squares
    distances *= -2
    distances += sums
    sums *= ROUNDING
    distances[distances <= sums] = 0
    return distances


NEAREST = 2
"""Neighbours that are kept by index."""

SUBSETS_BLOCK_BYTES = 32 * 2**20
"""Of a block of distances that serves many subsets, whose own arrays live beside it."""


def subset_scans(
    X: Float32,
    y: Classes,
    subsets: NDArray[np.bool_],
    *,
    distances_to_classes: bool = False,
    own_groups: Classes | None = None,
) -> Iterator[Scan]:
    """Compare every image with its nearest neighbours in each subset that it belongs to.

    The order of an image's neighbours in a subset is that of all images with the others left out, so that distances are
    computed and sorted once. Ties come in an order of chance, that of all images.

    Args:
        X: (N, D) float32.
        y: (N,) classes 0 ... K - 1, each occurring.
        subsets: (S, N) which images belong, at least two in each.
        distances_to_classes: whether to sum every image's distances to the classes in its subset.
        own_groups: (N,) group of every image, none of whose images is its neighbour; None: all others may be.

    Yields:
        What `scan` gives of each subset alone, (M,) its images; k is the size of its largest class, at most
        the least number of others; `nearest` holds two rows of the subset; `sums`, if asked for, has those to each
        class that occurs.
    """
    K, parts = int(y.max()) + 1, [_Part(y, subset, own_groups) for subset in subsets]
    groups, enough = None, max(part.enough for part in parts)
    if distances_to_classes:  # those to whole classes are the same in every subset
        cut = [part for part in parts if part.cuts_classes]
        groups = memberships([y, *(np.where(part.subset, y, -1) for part in cut)])
        to_classes, to_parts = np.empty((len(y), K)), [np.empty((len(part.scan.n_matches), K)) for part in cut]
    for rows, distances in squared_distance_blocks(X, block_bytes=SUBSETS_BLOCK_BYTES):
        if groups is not None:
            to_classes[rows], *sums = np.split(_summed(distances, groups), 1 + len(cut), axis=1)
            for part, own_sums, found in zip(cut, to_parts, sums, strict=True):
                own_sums[part.row_of[rows][part.subset[rows]]] = found[part.subset[rows]]
        if own_groups is not None:
            distances[own_groups[rows, None] == own_groups] = LAST
        for count in (enough, len(y) - 1):
            order = _nearest(distances, rows, count)
            matches = y[order] == y[rows, None]
            if all(part.take(rows, order, matches) for part in parts):
                break  # else an image lies among many that a part lacks
    for part in parts:
        if groups is None:
            yield part.scan
        else:
            own_sums = to_parts.pop(0) if part.cuts_classes else to_classes[part.subset]
            yield replace(part.scan, sums={"class_distances": own_sums[:, part.occurring]})


class _Part:
    """One subset of M images, filled a block of rows at a time."""

    def __init__(self, y: Classes, subset: NDArray[np.bool_], own_groups: Classes | None) -> None:
        M, sizes = int(subset.sum()), np.bincount(y[subset], minlength=int(y.max()) + 1)
        self.subset, self.row_of, self.n_same_class = subset, np.cumsum(subset) - 1, np.zeros(len(y), np.int64)
        self.n_same_class[subset], n_others = others(y[subset], None if own_groups is None else own_groups[subset])
        self.k, self.occurring = min(int(sizes.max()), int(n_others.min())), sizes > 0
        self.deepest = min(max(self.k, NEAREST, int(self.n_same_class.max())), M - 1)
        # all that the part lacks may come first; in a part of many gaps, few more than its share
        self.enough = min(self.deepest + len(y) - M, self.deepest * len(y) // M + len(y) // 20, len(y) - 1)
        self.cuts_classes = bool(((sizes > 0) & (sizes < np.bincount(y))).any())
        nearest, n_matches = np.empty((M, min(NEAREST, M - 1)), np.int64), np.empty(M, np.int64)
        self.scan = Scan(nearest, n_matches, np.empty(M), np.empty(M), {})

    def take(self, rows: slice, order: Rows, matches: Matches) -> bool:
        """Fill a block of rows from the nearest of all images, (B, L), unless too few of them are in the subset."""
        own = self.subset[rows]
        at, n_same_class, scan = self.row_of[rows][own], self.n_same_class[rows][own], self.scan
        order = order[own]  # (r, L)
        inside = self.subset[order]
        counts = np.count_nonzero(inside, axis=1)
        if (counts < self.deepest).any():
            return False
        inside = np.flatnonzero(inside)[(np.cumsum(counts) - counts)[:, None] + np.arange(self.deepest)]
        found = matches[own].ravel()[inside]
        scan.n_matches[at] = found[:, : self.k].sum(axis=1)
        scan.precisions[at], scan.average_precisions[at] = precisions(found, n_same_class)
        scan.nearest[at] = self.row_of[order.ravel()[inside[:, :NEAREST]]]
        return True


def check_groups(groups: NDArray[np.str_], what: str) -> None:
    """Refuse images of one group, of which none would have a neighbour of another.

    Raises:
        UserError: there is one; names it.
    """
    if len(np.unique(groups)) < 2:
        raise UserError(
            f"measure.neighbours: {what} must have images of at least two groups, so that all have neighbours of "
            f"another one, found {groups[0]!r} alone; choose `all`, or add groups"
        )
