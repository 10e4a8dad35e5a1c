"""Simulate one data set of a design: its scores, those without each class, and those of halves."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from stages.measure import halves as halves_module
from stages.measure import metrics as scores_module
from stages.measure import refits
from stages.measure.embedded_split import EmbeddedSplit, Settings
from stages.measure.halves import complementary_halves
from stages.measure.metrics import LAYER_SCORES, is_clustered
from stages.measure.refits import subset_scores
from stages.measure.scores import kmeans, neighbours, subset_neighbours
from stages.measure.scores.kmeans import Search
from stages.shared.settings.seeding import child_seed
from tests.bench.simulation import batched_kmeans, populations
from tests.bench.simulation.batched_kmeans import cluster_batch
from tests.bench.simulation.designs import DESIGNS, Design

STARTS, STARTS_OF_HALVES = 60, 20
DECIMALS = 5


def simulate(name: str, number: int) -> dict[str, Any]:
    """Draw and score data set `number` of a design.

    Returns:
        For each score: `values` (J, S, L), and `without` (J, S, K, L) where the design is about classes or `halves`
        (J, S, B, L) where it is about images, as lists.
    """
    design = DESIGNS[name]
    rng = np.random.default_rng([child_seed(0, name), number])
    table = np.array([_fold(design, rng) for _ in range(design.folds)])  # (J, S, L, subsets, metrics)
    table = table.transpose(4, 0, 1, 3, 2).round(DECIMALS)
    refits = "without" if design.target == "classes" else "halves"
    return {
        metric: {"values": scores[:, :, 0].tolist(), refits: scores[:, :, 1:].tolist()}
        for metric, scores in zip(design.metrics, table, strict=True)
    }


def _fold(design: Design, rng: np.random.Generator) -> Any:
    """Scores of one fold, (S, L, subsets, metrics)."""
    embedded = design.population.fold(rng, design.classes, design.images, design.seeds, design.tau)
    y = np.repeat(np.arange(design.classes), design.images)
    if design.target == "classes":
        others, starts = y != np.arange(design.classes)[:, None], STARTS
    else:
        others = complementary_halves(y.astype(str), design.halves, int(rng.integers(2**32)))
        starts = STARTS_OF_HALVES
    subsets = np.concatenate([np.ones((1, len(y)), bool), others])
    flat = embedded.reshape(-1, *embedded.shape[2:])
    scores = scored(flat, y, subsets, [STARTS] + [starts] * len(others), design.metrics, rng)
    return scores.reshape(*embedded.shape[:2], *scores.shape[1:])


def scored(
    embedded: Any, y: Any, subsets: Any, starts: Sequence[int], metrics: Sequence[str], rng: np.random.Generator
) -> Any:
    """Scores of subsets of M embeddings (M, N, D), as `refits.subset_scores` gives them, (M, subsets, metrics)."""
    others = [name for name in metrics if not is_clustered(name)]
    searches = [Search()] * len(subsets)
    columns = np.empty((len(metrics), len(embedded), len(subsets)))
    for m, X in enumerate(embedded):
        table = subset_scores(split_of(X, y), subsets, searches, others)
        for name, column in zip(others, table.T, strict=True):
            columns[metrics.index(name), m] = column
    for s, (subset, count) in enumerate(zip(subsets, starts, strict=True)):
        own = np.unique(y[subset], return_inverse=True)[1]
        labels = cluster_batch(embedded[:, subset], int(own.max()) + 1, count, rng)
        for name in filter(is_clustered, metrics):
            clustered = (SimpleNamespace(y=own, clusters=each) for each in labels)
            columns[metrics.index(name), :, s] = [LAYER_SCORES[name].compute(split).value for split in clustered]
    return columns.transpose(1, 2, 0)


def split_of(X: Any, y: Any) -> EmbeddedSplit:
    """One embedding, scored as the measure stage scores it."""
    k = min(int(np.bincount(y).max()), len(y) - 1)
    return EmbeddedSplit(X, y, Settings("none", k, Search(), C=1.0, folds=5, probe_seed=0, few_shot_seed=0))


def code_hash(name: str) -> str:
    """Of a design's settings and all code that its simulated scores depend on."""
    own = [batched_kmeans.__file__, populations.__file__, populations.REAL_LAYERS, __file__]
    scores = [
        module.__file__ for module in (halves_module, scores_module, refits, kmeans, neighbours, subset_neighbours)
    ]
    digest = hashlib.sha256(repr(DESIGNS[name]).encode())
    for path in (*own, *scores):
        digest.update(Path(str(path)).read_bytes())
    return digest.hexdigest()[:12]
