"""Two layers as one embedding: each with its L2-normalized rows, side by side."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ...core.scores.arrays import Float64
from ...core.scores.catalogue import LAYER_SCORES, scored_by
from ...core.scores.embedded_split import NEAREST, EmbeddedSplit
from ...core.scores.kmeans import rotate_joined
from ...core.scores.neighbours import scan, squared_distance_blocks
from ...shared.embeddings.embeddings import Layer
from ...shared.embeddings.split_names import UNSEEN
from ...shared.tables.metric_table import ANALYSIS_TABLES
from ..cell import Cell
from .layer_pairs import images_of_pairs
from .result import AnalysisResult

STARTS, POLISHED = 15, 3
"""Largest numbers in the search for clusters, of single layers as of pairs."""


def joined(cell: Cell) -> AnalysisResult:
    """Score every two layers together, and each alone, as the pair of it and itself.

    All on the images on which `layer_pairs` compares layers. Squared distances between joined rows are the sums of the
    layers' own, of which an (n, n) matrix is held for every layer, beside its rows and these after rotation. Raw pixels
    and further poolings of a layer take no part.
    """
    images = images_of_pairs(cell, UNSEEN)
    metrics = [name for name in scored_by("joined") if name in cell.params.all_metrics]
    layers = [layer for layer in cell.store.layers if layer.name == layer.module]
    rows, singles, distances = [], [], []

    def add_scores(a: Layer, b: Layer, split: EmbeddedSplit) -> None:
        for name in metrics:
            values = (cell.step, UNSEEN, *a.keys, *b.keys, name, LAYER_SCORES[name].compute(split).value)
            rows.append(dict(zip(ANALYSIS_TABLES["joined"], values, strict=True)))

    for layer in layers:
        whole = cell.embedded(layer, cell.step, UNSEEN, "l2")
        split = whole.part(images, search=whole.settings.search.capped(STARTS, POLISHED))
        singles.append(EmbeddedSplit(split.X, split.y, split.settings))  # without the other images
        distances.append(np.concatenate([block for _, block in squared_distance_blocks(split.X)]))
        add_scores(layer, layer, singles[-1])
    for i, j in combinations(range(len(layers)), 2):
        add_scores(layers[i], layers[j], join([singles[i], singles[j]], distances[i] + distances[j]))
    return AnalysisResult(rows=rows)


def join(parts: Sequence[EmbeddedSplit], distances: Float64) -> EmbeddedSplit:
    """Put embeddings of the same images side by side.

    Args:
        parts: the embeddings.
        distances: (n, n) squared distances between the joined rows, which are overwritten.
    """
    y, settings = parts[0].y, parts[0].settings
    rotated = None if settings.search.single else rotate_joined([part.rotated for part in parts], len(np.unique(y)))
    X, blocks = np.hstack([part.X for part in parts]), [(slice(0, len(y)), distances)]
    found = scan(X, y, settings.neighbours, kept=NEAREST, own_groups=settings.own_groups, distances=blocks)
    return EmbeddedSplit(X, y, settings, known_rotated=rotated, known_scan=found)
