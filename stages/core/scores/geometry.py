"""The shape of an embedding: how many dimensions its images fill, how evenly, and how far classes are mere points."""

import numpy as np

from .arrays import ROUNDING, Classes, Float32, Float64, Rows, blocks

LEADING = 2
"""Largest eigenvalues that the power law leaves out: it describes how a spectrum goes on, not how it begins."""

LEAST_FITTED = 3
"""Eigenvalues that a power law needs."""


def column_products(X: Float32, origin: Float64 | float = 0.0) -> Float64:
    """Products of all pairs of columns, summed over rows in double precision, a block at a time, (D, D).

    Args:
        X: (N, D) float32.
        origin: (D,) what is subtracted from every row.
    """
    products = np.zeros((X.shape[1], X.shape[1]))
    for rows in blocks(len(X)):
        doubles = X[rows] - np.asarray(origin, np.float64)
        products += doubles.T @ doubles
    return products


def gram_spectrum(X: Float32) -> Float64:
    """Squared singular values of an embedding as it is, largest first, (min(N, D),), in double precision.

    Of the smaller of the two Gram matrices. What is below rounding is 0: in single precision an embedding says no more
    of its smallest singular values.

    Args:
        X: (N, D) float32.
    """
    gram = column_products(X if len(X) >= X.shape[1] else X.T)
    return without_rounding(np.asarray(np.linalg.eigvalsh(gram)[::-1], dtype=np.float64))


def covariance_spectrum(rotated: Float32) -> Float64:
    """Eigenvalues of the covariance times N, largest first, (C,).

    Args:
        rotated: (N, C) float32, the embedding centred and rotated to all its principal axes.
    """
    return without_rounding(np.einsum("ij,ij->j", rotated, rotated, dtype=np.float64))


def without_rounding(eigenvalues: Float64) -> Float64:
    """Set to 0 what is rounding of the largest eigenvalue.

    Args:
        eigenvalues: (C,) float64.
    """
    largest = eigenvalues.max(initial=0.0)
    return np.where(eigenvalues > len(eigenvalues) * ROUNDING * largest, eigenvalues, 0.0)


def effective_rank(squares: Float64) -> float:
    """Exponential of the entropy of the singular values, each over their sum: RankMe.

    Source: Garrido, Balestriero, Najman and LeCun 2023, equation 1, without their constant of 1e-7.

    Args:
        squares: (M,) squared singular values.

    Returns:
        Between 1 and M; NaN where all are 0.
    """
    singular = np.sqrt(squares[squares > 0])
    if len(singular) == 0:
        return np.nan
    shares = singular / singular.sum()
    return float(np.exp(-(shares @ np.log(shares))))


def participating_dimensions(eigenvalues: Float64) -> float:
    """Squared sum of the covariance's eigenvalues over the sum of their squares; NaN where all are 0.

    Source: Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy and Ganguli 2017.

    Args:
        eigenvalues: (C,) float64.
    """
    squares = float(eigenvalues @ eigenvalues)
    return float(eigenvalues.sum()) ** 2 / squares if squares > 0 else np.nan


def decay_exponent(eigenvalues: Float64) -> float:
    """Exponent a of the power law j^-a that the covariance's eigenvalues follow: alpha-ReQ.

    Fitted by least squares to logarithms, from the third eigenvalue to the middle one of those above 0. The first ones
    hold what sets a few groups apart; a sample's smallest are far below the truth's. Weights of 1 / j make equal
    stretches of the logarithmic axis count alike. Source: Agrawal, Mondal, Ghosh and Richards 2022; the weights:
    Stringer, Pachitariu, Steinmetz, Carandini and Harris 2019. On Gaussian samples of 500 or more images the fit is
    within 0.1 at exponents 1 to 2; at 0.5, with 500 images in 1,280 features, it reads 0.4.

    Args:
        eigenvalues: (M,), largest first.

    Returns:
        The exponent; NaN of fewer than `LEAST_FITTED` eigenvalues in the range.
    """
    rank = np.arange(LEADING + 1, np.count_nonzero(eigenvalues) // 2 + 1)
    if len(rank) < LEAST_FITTED:
        return np.nan
    return -float(np.polyfit(np.log(rank), np.log(eigenvalues[rank - 1]), 1, w=rank**-0.5)[0])


DISCARDED = 0.1
"""Share of the largest distance ratios that TwoNN leaves out."""

FEATURES_PER_BLOCK = 128
"""Features that are in double precision at once."""


def two_nearest_dimension(X: Float32, nearest: Rows) -> tuple[float, Float64, int]:
    """Estimate the intrinsic dimension from the ratios of the distances to second and first neighbour.

    Where density is constant on the scale of two neighbours, log ratios are exponential with the dimension as their
    rate. Source: Facco, d'Errico, Rodriguez and Laio 2017, the linear fit.

    Args:
        X: (N, D) float32.
        nearest: (N, >= 2) indices of the nearest neighbours, nearest first; fewer than 2 only where N < 3.

    Returns:
        The dimension; every image's contribution to it, (N,): the dimension plus the influence of its ratio, scaled for
        the correlation between neighbours' ratios; and the number of images dropped for a distance of 0, which
        contribute the dimension itself. All NaN if fewer than two ratios are left, or all are 1.
    """
    if nearest.shape[1] < 2:
        return np.nan, np.full(len(X), np.nan), 0
    first, second = np.sort(distances_to(X, nearest[:, :2]), axis=1).T
    usable = first > 0
    logs = np.log(second[usable] / first[usable])
    value, influences = fitted_rate(logs), np.zeros(len(X))
    if np.isnan(value):
        return value, np.full(len(X), np.nan), int((~usable).sum())
    influences[usable] = rate_influences(logs, value) * len(X) / len(logs)
    return value, value + influences * spread_factor(influences, nearest[:, :2]), int((~usable).sum())


def spread_factor(influences: Float64, nearest: Rows) -> float:
    """Factor by which neighbours' correlation widens the spread of a mean of influences, at least 1.

    An image and its neighbours share distances. The variance of the mean is estimated with the products of images that
    are linked, one among the other's two nearest neighbours, and set in proportion to that of independent images.
    On Gaussian samples of 2 to 20 dimensions the standard deviation of the mean is then that of the dimension over
    fresh samples within a tenth; without the factor up to a fifth too small, by leaving out images one by one 1.7 to
    1.9 times too large.

    Args:
        influences: (N,) float64.
        nearest: (N, >= 2) indices of the nearest neighbours, nearest first.
    """
    images = np.arange(len(nearest))
    pairs = np.concatenate([np.stack([images, other], axis=1) for other in nearest.T])
    left, right = np.unique(np.sort(pairs, axis=1), axis=0).T
    alone, shared = float(influences @ influences), 2 * float(influences[left] @ influences[right])
    return float(np.sqrt(max(1.0, 1 + shared / alone))) if alone > 0 else 1.0


def distances_to(X: Float32, neighbours: Rows) -> Float64:
    """Euclidean distances, in double precision, from every row to some others, (N, k).

    Args:
        X: (N, D) float32.
        neighbours: (N, k) indices.
    """
    distances = np.empty(neighbours.shape)
    for rows in blocks(len(X)):
        doubles = X[rows].astype(np.float64)
        for rank, other in enumerate(neighbours[rows].T):
            distances[rows, rank] = np.linalg.norm(X[other] - doubles, axis=1)
    return distances


def fitted_rate(logs: Float64) -> float:
    """Slope through the origin of -log(1 - F) on log ratios, the top tenth left out; NaN of fewer than 2.

    Args:
        logs: (M,) float64.
    """
    logs, kept = np.sort(logs), kept_count(len(logs))
    squares = float(logs[:kept] @ logs[:kept])
    if kept < 2 or squares == 0:
        return np.nan
    return float(logs[:kept] @ -np.log1p(-np.arange(1, kept + 1) / len(logs)) / squares)


def kept_count(count: int) -> int:
    """Number of ratios that are fitted."""
    return int(count * (1 - DISCARDED))


def rate_influences(logs: Float64, rate: float) -> Float64:
    """Influence of every log ratio on the fitted rate, (M,); their sum is 0.

    The rate is A / B with A the integral of -log(1 - u) Q(u) and B that of Q(u)^2, u from 0 to 0.9 and Q the quantile
    function: both are L-statistics, and the influence of a value x on the rate is the integral over t, up to
    Q(0.9), of (-log(1 - F(t)) - 2 rate t) (F(t) - [x <= t]), over B.

    Args:
        logs: (M,) float64, log ratios.
        rate: the fitted rate.
    """
    order, kept = np.argsort(logs, kind="stable"), kept_count(len(logs))
    ordered = np.concatenate([[0.0], logs[order[:kept]]])
    below = np.arange(kept) / len(logs)  # F between one value and the next
    gaps = -np.log1p(-below) * np.diff(ordered) - rate * np.diff(ordered**2)
    above = np.zeros(len(logs))
    above[order[: max(kept - 1, 0)]] = np.cumsum(gaps[:0:-1])[::-1]  # integral from a value to the last kept one
    centre, squares = float(gaps @ below), float(ordered @ ordered)
    return (centre - above) * (len(logs) / squares)


def class_collapse(X: Float32, y: Classes) -> tuple[float, Float64]:
    """Divide the trace of the covariance within classes by that of the covariance between class means.

    Both are averages over images: within, of the squared distance to the class mean; between, of the class means'
    squared distance to the mean. Compare the variability collapse of Papyan, Han and Donoho 2020.

    Args:
        X: (N, D) float32.
        y: (N,) classes 0 ... K - 1, each occurring.

    Returns:
        The ratio W / B; and every image's contribution to it, (N,): with an image's squared distances a to its class
        mean and t to the mean, the ratio plus its influence (a - (t - a) W / B) / B. All NaN where the class means
        coincide, whatever the variance within (variance between them below 2^-46 of the mean squared length).
    """
    within, total, length = np.zeros(len(X)), np.zeros(len(X)), 0.0
    members = np.eye(y.max() + 1)[y]  # (N, K)
    for columns in blocks(X.shape[1], FEATURES_PER_BLOCK):
        doubles = X[:, columns].astype(np.float64)
        length += float(np.einsum("ij,ij->", doubles, doubles)) / len(X)
        doubles -= doubles.mean(axis=0)
        total += np.einsum("ij,ij->i", doubles, doubles)
        doubles -= ((members.T @ doubles) / members.sum(axis=0)[:, None])[y]
        within += np.einsum("ij,ij->i", doubles, doubles)
    between = float((total - within).mean())
    if between <= ROUNDING * length:
        return np.nan, np.full(len(X), np.nan)
    ratio = float(within.mean()) / between
    return ratio, ratio + (within - (total - within) * ratio) / between


def silhouettes(sums: Float64, y: Classes) -> Float64:
    """Compare an image's mean distance a to its own class with b, the least to another: (b - a) / max(a, b).

    Source: Rousseeuw 1987.

    Args:
        sums: (N, K) sums of every image's distances to each class.
        y: (N,) classes 0 ... K - 1, each occurring.

    Returns:
        (N,) between -1 and 1; 0 of an image that is alone in its class, and where a = b = 0.
    """
    sizes, each = np.bincount(y), np.arange(len(y))
    others = sums / sizes
    others[each, y] = np.inf
    nearest_other = others.min(axis=1)
    own = sums[each, y] / np.maximum(sizes[y] - 1, 1)
    larger = np.maximum(own, nearest_other)
    ratio = (nearest_other - own) / np.where(larger > 0, larger, 1.0)
    return np.where(sizes[y] > 1, ratio, 0.0)
