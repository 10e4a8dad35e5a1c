"""Similarity of layers: debiased linear centred kernel alignment."""

import numpy as np

from stages.measure.arrays import Doubles, Floats

FEATURES_PER_BLOCK = 1024
"""Features that are in double precision at once."""

FEWEST_IMAGES = 4
"""Below this the unbiased estimate does not exist."""


def centred_gram(X: Floats) -> Doubles:
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
    for start in range(0, X.shape[1], FEATURES_PER_BLOCK):
        block = X[:, start : start + FEATURES_PER_BLOCK].astype(np.float64)
        block -= block[0].copy()  # exactly 0 where constant
        block -= block.mean(axis=0)
        gram += block @ block.T
    np.fill_diagonal(gram, 0)
    means = gram.sum(axis=0) / (N - 2)
    gram += means.sum() / (N - 1) - means - means[:, None]
    np.fill_diagonal(gram, 0)
    return gram


def cka(K: Doubles, L: Doubles) -> float:
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
