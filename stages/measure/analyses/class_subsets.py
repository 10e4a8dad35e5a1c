"""Every score of a layer on fewer unseen classes: how much depends on which classes happen to be unseen."""

from itertools import combinations
from math import comb

import numpy as np

from stages.measure.analyses.result import AnalysisResult
from stages.measure.cell import Cell, part_of
from stages.measure.embedded_split import EmbeddedSplit
from stages.measure.metrics import METRICS, needs_of
from stages.shared.embedding_store import Layer
from stages.shared.metric_table import join_classes
from stages.shared.seeding import child_seed
from stages.shared.split_names import UNSEEN

STARTS = 2
"""Largest number of k-means starts on a subset."""

FOLDS = 3
"""Largest number of the probe's folds on a subset."""

MOST_HALVES = 10
"""Largest number of subsets of half the classes."""

SEED = 0
"""Root seed of the choice of subsets, the same in every cell, so that cells are compared on the same ones."""


def class_subsets(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Score one layer on subsets of the unseen classes, and on all of them under the same settings.

    Those settings are the cell's, with fewer k-means starts and folds: a subset's value is to be compared with that of
    all classes here, not with the layer's own score.
    """
    names, K = cell.names[UNSEEN], len(split.class_sizes)
    metrics = [name for name in cell.params.all_metrics if name in METRICS]
    rows = []
    for left_out in subsets(K):
        rows_kept = np.flatnonzero(~np.isin(split.y, left_out))
        kept = part_of(split, rows_kept, starts=STARTS, folds=FOLDS, needs=needs_of(metrics))
        which = {"left_out": join_classes(names[list(left_out)]), "n_classes": K - len(left_out)}
        rows += [{"metric": name} | which | {"value": METRICS[name].score(kept).value} for name in metrics]
    too_few = f"class_subsets: the split {UNSEEN!r} has 2 classes, so that none can be left out; only all are scored"
    return AnalysisResult(tables={"class_subsets": rows}, notes=[too_few] if K == 2 else [])


def subsets(K: int) -> list[tuple[int, ...]]:
    """Choose the classes to leave out: none, each alone, and all but ceil(K / 2) of them.

    Args:
        K: number of classes.

    Returns:
        Sets of classes to leave out, as ascending indices, none twice and each leaving at least two classes: all that
        leave ceil(K / 2), if they are at most `MOST_HALVES`, else as many drawn at random.
    """
    out = K - (K + 1) // 2
    chosen = [(), *((c,) for c in range(K))]
    if comb(K, out) <= MOST_HALVES:
        chosen += combinations(range(K), out)
    else:
        random = np.random.default_rng(child_seed(SEED, "class subsets", K))
        drawn: dict[tuple[int, ...], None] = {}
        while len(drawn) < MOST_HALVES:
            drawn[tuple(sorted(random.choice(K, out, replace=False).tolist()))] = None
        chosen += drawn
    return [left_out for left_out in dict.fromkeys(chosen) if K - len(left_out) >= 2]
