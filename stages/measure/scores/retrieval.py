"""Retrieval: how purely, and in which order, an image's class comes first among its neighbours."""

import numpy as np

from stages.measure.arrays import Counts, Float64, Matches, Rows


def precisions(matches: Matches, n_same_class: Counts) -> Float64:
    """Share of each image's R nearest neighbours that have its class, R = n_c - 1.

    Args:
        matches: (N, k) whether the r-th nearest neighbour has the image's class; k at least the largest R.
        n_same_class: (N,) R of every image.

    Returns:
        (N,); 0 of an image that is alone in its class.
    """
    precision = np.zeros(len(n_same_class))
    for rows, R in _equal_depths(n_same_class):
        precision[rows] = matches[rows, :R].mean(axis=1)
    return precision


def average_precisions(matches: Matches, n_same_class: Counts) -> Float64:
    """Mean over ranks r = 1 ... R of the precision among the r nearest, counted 0 where the r-th is of another class.

    Source: MAP@R of Musgrave, Belongie and Lim 2020.

    Args:
        matches: (N, k) whether the r-th nearest neighbour has the image's class; k at least the largest R.
        n_same_class: (N,) R of every image.

    Returns:
        (N,); 0 of an image that is alone in its class.
    """
    averages = np.zeros(len(n_same_class))
    for rows, R in _equal_depths(n_same_class):
        relevant = matches[rows, :R]
        at_rank = np.cumsum(relevant, axis=1, dtype=np.float64) / np.arange(1, R + 1)
        averages[rows] = (at_rank * relevant).mean(axis=1)
    return averages


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


def _equal_depths(n_same_class: Counts) -> list[tuple[Rows, int]]:
    """Indices of the images of every R but 0, and that R."""
    return [(np.flatnonzero(n_same_class == R), int(R)) for R in np.unique(n_same_class[n_same_class > 0])]
