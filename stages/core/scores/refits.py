"""Scores of one embedding fitted again: of all its classes but each one, and of halves of its images.

What an interval is made of. Leaving a class out shows how much a score depends on which classes there are, halves how
much on which images (docs/uncertainty.md). Everything that a score fits is fitted again on each subset: k neighbours
from the classes that are left, K - 1 clusters from those of all classes (`kmeans.partitions_without`), and on halves
clusters from nothing. Even so k-means jumps, which the jackknife counts as each class's doing: errors of NMI came out
1.2 to 1.4 times too large. A score of clusters without a class is therefore the mean of that of the clusters fitted
again and of those of all classes, without its images: 1.05 to 1.2 times.

Of more than 20 classes, one of 20 random groups of classes is left out at a time (the delete-a-group jackknife, Kott
2001): the same theory, at a cost that grows with the images alone.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat

import numpy as np
from numpy.typing import NDArray

from ...shared.runtime.errors import UserError
from ...shared.workflow.seeding import child_seed
from .arrays import Classes, Float64
from .catalogue import LAYER_SCORES, is_clustered, needs_of
from .embedded_split import EmbeddedSplit
from .halves import complementary_halves
from .kmeans import Clustering, Search
from .neighbours import Scan, check_groups, subset_scans

MIN_CLASSES = 4
"""Unseen classes below which none is left out: what remains would be too few to compare."""

MAX_GROUPS = 20
"""Number of groups that more unseen classes are divided into, which are left out one at a time."""


@dataclass(frozen=True)
class Parts:
    """Parts of one split's images on which scores are fitted again, the same for every layer.

    Attributes:
        groups: of classes that are left out one at a time, from `class_groups`.
        halves: (B, N) halves of the images, from `complementary_halves`.
        search: how hard k-means looks on halves.
    """

    groups: Sequence[Classes]
    halves: NDArray[np.bool_]
    search: Search


def draw_parts(
    labels: NDArray[np.str_], groups: NDArray[np.str_] | None, *, count: int, seed: int, search: Search, apart: bool
) -> tuple[Parts, list[str]]:
    """Draw the parts of one split's images on which scores are fitted again, the same for every layer and network.

    Args:
        labels: (N,) classes.
        groups: (N,) group of every image, which halves keep whole; None: images have none.
        count: number of halves, even.
        seed: of the halves, from `halves_seed`.
        search: how hard k-means looks on halves.
        apart: whether neighbours are only images of other groups, so that a part needs two of them.

    Returns:
        The parts; and what there is not, one sentence each.
    """
    names, apart = np.unique(labels), apart and groups is not None
    left_out, notes = class_groups(names.tolist()), []
    if not left_out:
        notes.append(f"measure.refits leaves no class out: the split 'unseen' has fewer than {MIN_CLASSES}")
    for own in (names[group] for group in left_out):
        if groups is not None and apart and len(np.unique(groups[~np.isin(labels, own)])) < 2:
            notes.append(
                f"measure.refits gives no interval over classes: without {left_out_part(own.tolist())} all "
                "images are of one group, so that none has a neighbour (measure.neighbours)"
            )
    halves = np.empty((0, len(labels)), dtype=bool)
    try:
        drawn = complementary_halves(labels, count, seed, groups=groups)
        if groups is not None and apart:
            for half in drawn:
                check_groups(groups[half], "a half of the unseen images")
        halves = drawn
    except UserError as error:
        notes.append(f"measure.refits has no halves: {error}")
    return Parts(left_out, halves, search), notes


def left_out_part(classes: list[str]) -> str:
    """Name the part of the unseen split that lacks a class, or a group of classes."""
    return classes[0] if len(classes) == 1 else json.dumps(classes, ensure_ascii=False)


def class_groups(names: Sequence[str]) -> list[Classes]:
    """Divide classes into the groups that are left out one at a time: the same for every layer, seed and network.

    Args:
        names: K classes, sorted.

    Returns:
        Indices of each group's classes, ascending: of at most `MAX_GROUPS` classes each alone, in order; of more,
        `MAX_GROUPS` random groups whose sizes differ by one at most; no group of fewer than `MIN_CLASSES` classes.
    """
    K = len(names)
    if K < MIN_CLASSES:
        return []
    if K <= MAX_GROUPS:
        return list(np.arange(K)[:, None])
    shuffled = np.random.default_rng(child_seed(0, "class groups", *names)).permutation(K)
    return [np.sort(group) for group in np.array_split(shuffled, MAX_GROUPS)]


def refit(
    split: EmbeddedSplit,
    groups: Sequence[Classes],
    halves: NDArray[np.bool_],
    metrics: Collection[str],
    halves_search: Search,
) -> dict[str, Float64]:
    """Fit the scores of one embedding again on all classes but each group, and on halves of the images.

    Args:
        split: N images of K classes.
        groups: from `class_groups`.
        halves: (B, N) from `halves.complementary_halves`.
        metrics: names of scores, of those that have `refit`.
        halves_search: of k-means on halves.

    Returns:
        Of each score (G + B,): of all classes but one group, in the order of `groups`, then of halves; NaN where it is
        undefined, as `subset_scores` gives it. Of a score that has `without` (G,): nothing is fitted to halves.
    """
    taken_out = {name: each for name in metrics if (each := LAYER_SCORES[name].without)}
    again = [name for name in metrics if name not in taken_out]
    without = [~np.isin(split.y, group) for group in groups]
    searches = [None] * len(groups) + [halves_search] * len(halves)
    table = subset_scores(split, np.array([*without, *halves], dtype=bool), searches, again)
    return dict(zip(again, table.T, strict=True)) | {name: each(split, groups) for name, each in taken_out.items()}


def subset_scores(
    split: EmbeddedSplit, subsets: NDArray[np.bool_], searches: Sequence[Search | None], metrics: Collection[str]
) -> Float64:
    """Score subsets of the images of one embedding.

    Args:
        split: N images.
        subsets: (S, N) which images belong; at least two of at least two classes.
        searches: of k-means on each subset; None: it starts from the clusters of all images, and a score of clusters
            is averaged with that of these clusters as they are.
        metrics: names of M scores, of those that have `refit` and not `without`.

    Returns:
        (S, M); NaN of images that are all of one group, none of which may be a neighbour of its own.
    """
    needs, table = needs_of(metrics), np.full((len(subsets), len(metrics)), np.nan)
    clustered = [is_clustered(name) for name in metrics]
    usable = np.array([split.leaves_neighbours(subset) for subset in subsets], dtype=bool)
    scans: Iterable[Scan | None] = repeat(None, int(usable.sum()))
    if needs & {"neighbours", "class_distances"} and usable.any():
        by_class, own_groups = "class_distances" in needs, split.settings.own_groups
        scans = subset_scans(split.X, split.y, subsets[usable], distances_to_classes=by_class, own_groups=own_groups)
    for number, scan in zip(np.flatnonzero(usable).tolist(), scans, strict=True):
        part = split.part(subsets[number], search=searches[number], needs=needs, scan=scan)
        table[number] = [LAYER_SCORES[name].compute(part).value for name in metrics]
        if searches[number] is None and any(clustered):
            part.clusterings = [Clustering(part.X, split.clusters[subsets[number]])]
            kept = [LAYER_SCORES[name].compute(part).value for name in compress(metrics, clustered)]
            table[number, clustered] = (table[number, clustered] + kept) / 2
        del part  # before the next one is made
    return table
