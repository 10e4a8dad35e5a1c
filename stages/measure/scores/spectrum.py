"""Scores of an embedding's spectrum, which see no class: how evenly its images fill its directions."""

import numpy as np

from stages.measure.arrays import ROUNDING, Float32, Float64, blocks

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
