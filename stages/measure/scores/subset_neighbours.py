"""Nearest neighbours within many subsets of the same images, from one pass over all distances."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Classes, Float32, Float64, Matches, Rows
from stages.measure.scores.neighbours import (
    LAST,
    Scan,
    has_ties,
    memberships,
    order_by_distance,
    others,
    squared_distance_blocks,
)
from stages.measure.scores.retrieval import precisions

NEAREST = 2
"""Neighbours that are kept by index."""

BLOCK_BYTES = 32 * 2**20


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
        What `neighbours.scan` gives of each subset alone, (M,) its images; k is the size of its largest class, at most
        the least number of others; `nearest` holds two rows of the subset; `sums`, if asked for, has those to each
        class that occurs.
    """
    K, parts = int(y.max()) + 1, [_Part(y, subset, own_groups) for subset in subsets]
    groups = None
    if distances_to_classes:  # those to whole classes are the same in every subset
        cut = [part for part in parts if part.cuts_classes]
        groups = memberships([y, *(np.where(part.subset, y, -1) for part in cut)])
        to_classes, to_parts = np.empty((len(y), K)), [np.empty((len(part.scan.n_matches), K)) for part in cut]
    for rows, distances in squared_distance_blocks(X, block_bytes=BLOCK_BYTES):
        if groups is not None:
            to_classes[rows], *sums = np.split(np.sqrt(distances) @ groups, 1 + len(cut), axis=1)
            for part, own_sums, found in zip(cut, to_parts, sums, strict=True):
                own_sums[part.row_of[rows][part.subset[rows]]] = found[part.subset[rows]]
        if own_groups is not None:
            distances[own_groups[rows, None] == own_groups] = LAST
        order = _others_by_distance(distances, rows)
        matches = y[order] == y[rows, None]
        for part in parts:
            part.take(rows, order, matches)
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
        self.deepest = max(self.k, NEAREST, int(self.n_same_class.max()))
        self.cuts_classes = bool(((sizes > 0) & (sizes < np.bincount(y))).any())
        nearest, n_matches = np.empty((M, min(NEAREST, M - 1)), np.int64), np.empty(M, np.int64)
        self.scan = Scan(nearest, n_matches, np.empty(M), np.empty(M), {})

    def take(self, rows: slice, order: Rows, matches: Matches) -> None:
        own = self.subset[rows]
        at, n_same_class, scan = self.row_of[rows][own], self.n_same_class[rows][own], self.scan
        order = order[own]  # (r, N - 1)
        inside = np.flatnonzero(self.subset[order]).reshape(len(at), len(scan.n_matches) - 1)[:, : self.deepest]
        found = matches[own].ravel()[inside]
        scan.n_matches[at] = found[:, : self.k].sum(axis=1)
        scan.precisions[at], scan.average_precisions[at] = precisions(found, n_same_class)
        scan.nearest[at] = self.row_of[order.ravel()[inside[:, :NEAREST]]]


def _others_by_distance(distances: Float64, rows: slice) -> Rows:
    """Every other image as `order_by_distance` gives them, (B, N - 1); overwrites the distances."""
    distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
    order = np.argsort(distances, axis=1)  # half the time of a stable sort, which few rows need
    for row in np.flatnonzero(has_ties(np.take_along_axis(distances, order, axis=1))):
        order[row] = order_by_distance(distances[row], rows.start + row)
    return order[:, :-1]
