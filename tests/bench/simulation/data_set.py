"""Simulate one data set of a design: its scores, those without each class, and those of halves."""

import hashlib
import inspect
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from stages.core.scores import agreement, probe
from stages.core.scores.catalogue import LAYER_SCORES, PROBE, is_clustered
from stages.core.scores.embedded_split import EmbeddedSplit, Settings, scaled, unit_rows
from stages.core.scores.halves import complementary_halves
from stages.core.scores.kmeans import Search, class_means, partitions_without
from stages.core.scores.refits import class_groups
from stages.shared.workflow.seeding import child_seed
from tests.bench.simulation import batched_kmeans, batched_scores
from tests.bench.simulation.batched_kmeans import cluster_batch
from tests.bench.simulation.batched_scores import BATCHED
from tests.bench.simulation.designs import DESIGNS, Design
from tests.bench.simulation.structured import Fold

Kind = Literal["neighbours", "clusters", "probe"]
"""Of scores: those of k-means or the probe take most of the time, and are simulated apart, of the same images."""

DECIMALS = 5


def metrics_of(design: Design, kind: Kind) -> tuple[str, ...]:
    """The scores of one kind that a design has."""
    return tuple(name for name in design.metrics if kind_of(name) == kind)


def kind_of(metric: str) -> Kind:
    """The kind of a score."""
    return "probe" if metric == PROBE else "clusters" if is_clustered(metric) else "neighbours"


def simulate(name: str, number: int, kind: Kind) -> dict[str, Any]:
    """Draw and score data set `number` of a design.

    Returns:
        For each score: `values` (J, S, L), and `without` (J, S, G, L) where the design is about classes or `halves`
        (J, S, B, L) where it is about images, as lists.
    """
    design = DESIGNS[name]
    metrics, refitted = metrics_of(design, kind), "halves" if design.target == "images" else "without"
    rng, of_starts = (np.random.default_rng([child_seed(0, name, use), number]) for use in ("images", "starts"))
    table = np.array([_fold(design, metrics, rng, of_starts) for _ in range(design.folds)])
    table = table.transpose(4, 0, 1, 3, 2).round(DECIMALS)  # (metrics, J, S, subsets, L)
    return {
        metric: {"values": scores[:, :, 0].tolist(), refitted: scores[:, :, 1:].tolist()}
        for metric, scores in zip(metrics, table, strict=True)
    }


def draw(design: Design, rng: np.random.Generator) -> Fold:
    """Draw one fold of a design."""
    drawn = design.population.fold(rng, design.classes, design.images, design.seeds, design.tau)
    return drawn if isinstance(drawn, Fold) else Fold(drawn, np.repeat(np.arange(design.classes), design.images))


def _fold(design: Design, metrics: Sequence[str], rng: np.random.Generator, of_starts: np.random.Generator) -> Any:
    """Scores of one fold, (S, L, subsets, metrics)."""
    embedded, y, groups = draw(design, rng)
    if design.target == "images":
        names = None if groups is None else groups.astype(str)
        parts = complementary_halves(y.astype(str), design.halves, int(rng.integers(2**32)), groups=names)
        starts: list[int | None] = [design.starts // 2] * len(parts)
    else:
        left_out = class_groups([f"{c:03}" for c in range(design.classes)])
        parts, starts = np.array([~np.isin(y, group) for group in left_out]), [None] * len(left_out)
    subsets = np.concatenate([np.ones((1, len(y)), bool), parts])
    flat = embedded.reshape(-1, *embedded.shape[2:])
    scores = scored(flat, y, subsets, [design.starts, *starts], metrics, of_starts)
    return scores.reshape(*embedded.shape[:2], *scores.shape[1:])


def scored(
    embedded: Any, y: Any, subsets: Any, starts: Sequence[int | None], metrics: Sequence[str], rng: np.random.Generator
) -> Any:
    """Scores of subsets of M embeddings (M, N, D), as `refits.subset_scores` gives them, (M, subsets, metrics).

    They are of rows that are scaled as these scores take them, all alike. The first subset is of all images. `starts`
    are of k-means on each, None of one that lacks a class, which starts from the clusters of all images.
    """
    (scaling,) = {LAYER_SCORES[name].scaling for name in metrics}
    rows = scaled(embedded.reshape(-1, embedded.shape[-1]), scaling).reshape(embedded.shape)
    columns: dict[str, Any] = {}
    if set(metrics) & set(BATCHED):
        table = batched_scores.batched_scores(rows, y, subsets)
        columns |= dict(zip(BATCHED, np.moveaxis(table, 2, 0), strict=True))
    if PROBE in metrics:
        columns[PROBE] = np.array([_probed(each, y, subsets) for each in rows])
    clustered = [name for name in metrics if is_clustered(name)]
    if clustered:
        columns |= dict(zip(clustered, _clustered(rows, y, subsets, starts, clustered, rng), strict=True))
    return np.stack([columns[name] for name in metrics], axis=2)


def _probed(X: Any, y: Any, subsets: Any) -> list[float]:
    """Accuracy of the probe of all images, then of all classes but those that each further subset lacks."""
    score, groups = LAYER_SCORES[PROBE], [np.setdiff1d(y, y[subset]) for subset in subsets[1:]]
    split = EmbeddedSplit(X, y, Settings(1, Search(), C=1.0, folds=5, probe_seed=0, few_shot_seed=0))
    assert score.without is not None
    return [score.score(split).value, *score.without(split, groups)]


def _clustered(X: Any, y: Any, subsets: Any, starts: Sequence[int | None], metrics: Sequence[str], rng: Any) -> Any:
    """Scores of the clusters of least inertia found, (metrics, M, subsets)."""
    columns = np.empty((len(metrics), len(X), len(subsets)))
    first_of = {X[m].tobytes(): m for m in reversed(range(len(X)))}
    distinct, copy_of = np.unique([first_of[each.tobytes()] for each in X], return_inverse=True)
    rows, whole = X[distinct] - X[distinct].mean(axis=1, keepdims=True), []
    for s, (subset, count) in enumerate(zip(subsets, starts, strict=True)):
        own = np.unique(y[subset], return_inverse=True)[1]
        K = int(own.max()) + 1
        found = [_without(*each, subset, K) for each in zip(rows, whole, strict=True)] if count is None else [
            (labels,) for labels in cluster_batch(rows[:, subset], K, count, rng)
        ]  # fmt: skip
        whole = whole or [labels for (labels,) in found]
        for m, alternatives in enumerate(found):
            splits: list[Any] = [SimpleNamespace(y=own, clusters=labels) for labels in alternatives]
            values = [[LAYER_SCORES[name].compute(split).value for name in metrics] for split in splits]
            columns[:, m, s] = np.mean(values, axis=0)
    return columns[:, copy_of]


def _without(rows: Any, labels: Any, subset: Any, K: int) -> tuple[Any, Any]:
    """Clusters without a class: found again from those of all images, and those of all images."""
    means = class_means(rows, labels.astype(np.int32))
    return partitions_without(rows[subset], means, K, columns=rows.shape[1])[0], labels[subset]


@cache
def code_hash(name: str, kind: Kind) -> str:
    """Of a design's settings and all code that its simulated scores depend on."""
    design = DESIGNS[name]
    population = sys.modules[type(design.population).__module__]
    own = {"clusters": [batched_kmeans, agreement], "neighbours": [batched_scores], "probe": [probe]}
    modules = [population, *own[kind]]
    settings = {key: value for key, value in vars(design).items() if key not in ("about", "alike", "metrics")}
    functions = (class_groups, complementary_halves, scaled, unit_rows)
    text = repr([settings, metrics_of(design, kind), *map(inspect.getsource, functions)])
    return hash_of(text, [__file__, *(str(module.__file__) for module in modules)])


def hash_of(text: str, paths: Sequence[str]) -> str:
    """Of a text and files, 12 characters."""
    digest = hashlib.sha256(text.encode())
    for path in paths:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:12]
