"""Retrieval: how purely, and in which order, an image's class comes first among its neighbours."""

import numpy as np

from .arrays import Counts, Float64, Matches


def precisions(matches: Matches, n_same_class: Counts) -> tuple[Float64, Float64]:
    """How many of each image's R nearest neighbours have its class, R = n_c - 1, and how early these come.

    Source: R-precision and MAP@R of Musgrave, Belongie and Lim 2020.

    Args:
        matches: (N, k) whether the r-th nearest neighbour has the image's class; k at least the largest R.
        n_same_class: (N,) R of every image.

    Returns:
        (N,) the share of the R nearest that have the class, and (N,) the mean over ranks r = 1 ... R of that share
        among the r nearest, counted 0 where the r-th is of another class; 0 of an image that is alone in its class.
    """
    at_R, averages = np.zeros(len(n_same_class)), np.zeros(len(n_same_class))
    for R in np.unique(n_same_class[n_same_class > 0]):
        rows = np.flatnonzero(n_same_class == R)
        relevant = matches[rows, :R]
        found = np.cumsum(relevant, axis=1, dtype=np.float64)
        at_R[rows] = found[:, -1] / R
        averages[rows] = (found / np.arange(1, R + 1) * relevant).mean(axis=1)
    return at_R, averages


def chance_of_average_precision(n_same_class: Counts, n_others: Counts) -> Float64:
    """Expected average precision at R when all orders of the other images are equally likely.

    The r-th neighbour matches with p = R / n, and each earlier one then with q = (R - 1) / (n - 1), so that the
    expectation is p (q + (1 - q) H_R / R), with H_R the sum of 1 / r.

    Args:
        n_same_class: (N,) R of every image.
        n_others: (N,) n, number of images that can be its neighbours.

    Returns:
        (N,).
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n_same_class.max() + 1))])[n_same_class]
    p, q = n_same_class / n_others, np.maximum(n_same_class - 1, 0) / np.maximum(n_others - 1, 1)
    return np.asarray(p * (q + (1 - q) * harmonic / np.maximum(n_same_class, 1)))
