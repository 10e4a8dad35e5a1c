"""Every score of a layer on fewer unseen classes: how much depends on which classes happen to be unseen."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np

from stages.measure.analyses.result import AnalysisResult
from stages.measure.cell import Cell, part_of
from stages.measure.embedded_split import EmbeddedSplit
from stages.measure.metric_names import FROM_CLUSTERS, LABEL_FREE, REFITTED
from stages.measure.metrics import METRICS, needs_of, score_split
from stages.measure.refits import subset_scores
from stages.shared.embeddings.embedding_store import Layer
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.settings.seeding import child_seed
from stages.shared.tables.metric_table import join_classes

MOST_HALVES = 10
"""Largest number of subsets of half the classes."""

SEED = 0
"""Root seed of the choice of subsets, the same in every cell, so that cells are compared on the same ones."""


LeftOut = tuple[int, ...]
"""Classes that are left out, ascending."""


def class_subsets(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Score one layer on subsets of the unseen classes, and on all of them, by every score that sees classes."""
    names, K = cell.names[UNSEEN], len(split.class_sizes)
    metrics = [name for name in cell.params.all_metrics if name in METRICS and name not in LABEL_FREE]
    sets = subsets(K)
    values = subset_values(split, sets, metrics)
    rows = [
        {
            "metric": name,
            "left_out": join_classes(names[list(out)]),
            "n_classes": K - len(out),
            "value": values[out, name],
        }
        for out in sets
        for name in metrics
    ]
    too_few = f"class_subsets: the split {UNSEEN!r} has 2 classes, so that none can be left out; only all are scored"
    return AnalysisResult(tables={"class_subsets": rows}, notes=[too_few] if K == 2 else [])


Values = dict[tuple[LeftOut, str], float]
"""By the classes left out and the score."""


def subset_values(split: EmbeddedSplit, sets: Sequence[LeftOut], metrics: Sequence[str]) -> Values:
    """Score subsets of classes: as the whole is scored, nothing that is known a second time."""
    values: Values = {((), name): score.value for name, score in score_split(split, metrics).items()}
    for name, without in split.without_class.items():
        values |= {((c,), name): float(value) for c, value in enumerate(without)}
    known = [name for name in metrics if name in split.without_class]
    others = [name for name in metrics if name in REFITTED and name not in known]
    for names in (known, others):
        missing = [out for out in sets if names and (out, names[0]) not in values]
        values |= refitted_values(split, missing, names)
    fitted = [name for name in metrics if name not in REFITTED]
    for out in sets if fitted else ():
        if out:
            part = part_of(split, np.flatnonzero(~np.isin(split.y, out)), needs=needs_of(fitted))
            values |= {(out, name): score.value for name, score in score_split(part, fitted).items()}
    return values


def refitted_values(split: EmbeddedSplit, sets: Sequence[LeftOut], names: Sequence[str]) -> Values:
    """Score subsets of classes by what `refits` can fit again."""
    masks, settings = np.array([~np.isin(split.y, out) for out in sets]), split.settings
    rotated = split.rotated if set(names) & set(FROM_CLUSTERS) else None
    searches, seed = [settings.search] * len(sets), settings.few_shot_seed
    table = subset_scores(split.X, split.y, masks, searches, names, few_shot_seed=seed, rotated=rotated)
    return {
        (out, name): float(v) for out, row in zip(sets, table, strict=True) for name, v in zip(names, row, strict=True)
    }


def subsets(K: int) -> list[LeftOut]:
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
        drawn: dict[LeftOut, None] = {}
        while len(drawn) < MOST_HALVES:
            drawn[tuple(sorted(random.choice(K, out, replace=False).tolist()))] = None
        chosen += drawn
    return [left_out for left_out in dict.fromkeys(chosen) if K - len(left_out) >= 2]
