"""How similar the layers of a network are to each other, pair by pair: debiased linear centred kernel alignment."""

from itertools import combinations_with_replacement

import numpy as np

from ...core.scores.arrays import Classes, Float32, Float64, Rows, blocks
from ...shared.tables.metric_table import ANALYSIS_TABLES
from ...shared.workflow.seeding import child_seed
from ..cell import Cell
from .result import AnalysisResult

MOST_IMAGES = 1000
"""Largest number of images of a split that are compared."""

FEATURES_PER_BLOCK = 1024
"""Features that are in double precision at once."""

FEWEST_IMAGES = 4
"""Below this the unbiased estimate does not exist."""


def layer_pairs(cell: Cell) -> AnalysisResult:
    """Compare every two layers, and each with itself, on every split; `layer_a` is the shallower one.

    Holds an (n, n) matrix for every layer, n at most `MOST_IMAGES`, and one embedding at a time.
    """
    rows = []
    for split in cell.classes:
        chosen, layers = images_of_pairs(cell, split), cell.store.layers
        grams = [centred_gram(cell.embedded(layer, cell.step, split).X[chosen]) for layer in layers]
        for (a, K), (b, L) in combinations_with_replacement(zip(layers, grams, strict=True), 2):
            values = (cell.step, split, *a.keys, *b.keys, cka(K, L))
            rows.append(dict(zip(ANALYSIS_TABLES["layer_pairs"], values, strict=True)))
    return AnalysisResult(rows=rows)


def images_of_pairs(cell: Cell, split: str) -> Rows:
    """Draw the images on which pairs of layers are compared."""
    return stratified(cell.classes[split], MOST_IMAGES, child_seed(cell.store.seed, "layer pairs", split))


def centred_gram(X: Float32) -> Float64:
    """Compute the inner products of N images in one layer, centred so that the estimate of HSIC has no bias.

    The diagonal is left out (0), and every row and column sums to 0: U-centring (Székely and Rizzo 2014). The mean of
    the products of two such matrices over N (N - 3) is the unbiased estimator of HSIC of Song et al. (JMLR 2012).

    Args:
        X: (N, D) float32.

    Returns:
        (N, N) float64, symmetric; all zero of a constant embedding, all NaN of fewer than 4 images.
    """
    N = len(X)
    if N < FEWEST_IMAGES:
        return np.full((N, N), np.nan)
    gram = np.zeros((N, N))
    for columns in blocks(X.shape[1], FEATURES_PER_BLOCK):
        block = X[:, columns].astype(np.float64)
        block -= block[0].copy()  # exactly 0 where constant
        block -= block.mean(axis=0)
        gram += block @ block.T
    np.fill_diagonal(gram, 0)
    means = gram.sum(axis=0) / (N - 2)
    gram += means.sum() / (N - 1) - means - means[:, None]
    np.fill_diagonal(gram, 0)
    return gram


def cka(K: Float64, L: Float64) -> float:
    """Compare two layers by debiased linear centred kernel alignment (Nguyen, Raghu and Kornblith, ICLR 2021).

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), each by the unbiased estimator of Song et al. (2012), whose common factor
    cancels. It does not change when either embedding is rotated, scaled or shifted.

    Args:
        K, L: (N, N) float64, the layers' `centred_gram` of the same images in the same order.

    Returns:
        From -1 to 1: 1 of a layer with itself, about 0 of unrelated layers, on either side of it. NaN where a layer is
        constant or there are fewer than 4 images.
    """
    scale = float(np.linalg.norm(K) * np.linalg.norm(L))
    return float(np.clip(np.vdot(K, L) / scale, -1, 1)) if scale > 0 else np.nan


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
