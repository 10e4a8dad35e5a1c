"""How similar the layers of a network are to each other, pair by pair."""

from dataclasses import dataclass

import numpy as np

from stages.measure.arrays import Classes, Rows
from stages.measure.cell import Cell
from stages.measure.cka import centred_gram, cka
from stages.shared.embedding_store import Layer
from stages.shared.seeding import child_seed

MOST_IMAGES = 1000
"""Largest number of images of a split that are compared."""


@dataclass(frozen=True)
class Pair:
    """Two layers, `a` not deeper than `b`, compared on one split at the last step.

    Attributes:
        split: the split's name.
        a, b: the layers; the same for a layer with itself.
        cka: debiased linear centred kernel alignment.
    """

    split: str
    a: Layer
    b: Layer
    cka: float


def layer_pairs(cell: Cell) -> list[Pair]:
    """Compare every two layers, and each with itself, on every split.

    Holds an (n, n) matrix for every layer, n at most `MOST_IMAGES`, and one embedding at a time.
    """
    pairs = []
    layers = cell.store.layers
    for split, y in cell.classes.items():
        rows = stratified(y, MOST_IMAGES, child_seed(cell.store.seed, "layer pairs", split))
        grams = [centred_gram(cell.embedded(layer, cell.step, split).X[rows]) for layer in layers]
        for i, a in enumerate(layers):
            pairs += [Pair(split, a, layers[j], cka(grams[i], grams[j])) for j in range(i, len(layers))]
    return pairs


def stratified(y: Classes, most: int, seed: int) -> Rows:
    """Draw images of every class in proportion to its size.

    Args:
        y: (N,) classes.
        most: largest number of images.
        seed: of the draw.

    Returns:
        (min(N, most),) indices, ascending.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    sizes = np.bincount(y)
    rank = np.empty(len(y))
    for c, size in enumerate(sizes):
        members = order[y[order] == c]
        rank[members] = (np.arange(size) + 0.5) / size
    return np.sort(order[np.argsort(rank[order], kind="stable")[:most]])
