"""Folds of classes: each is judged in its turn, and the other classes are the reference."""

from collections.abc import Sequence

import numpy as np

from ...shared.workflow.seeding import child_seed
from ..scores.arrays import Classes

MIN_CLASSES = 4
"""Classes below which there are no folds: a fold of one class has nothing to be told from."""

CLASSES_PER_FOLD = 5

MAX_FOLDS = 5
"""Folds cost a fit each and, to choose on the others, one for every two of them."""


def count_folds(K: int) -> int:
    """Return how many folds K classes make: of about five classes, at least two folds and at most five."""
    return 1 if K < MIN_CLASSES else min(MAX_FOLDS, max(2, K // CLASSES_PER_FOLD))


def draw_folds(names: Sequence[str]) -> Classes:
    """Divide classes into `count_folds` folds whose sizes differ by at most one, the same for the same names.

    Args:
        names: K classes, sorted.

    Returns:
        (K,) the fold of every class, 0 ... J - 1.
    """
    K = len(names)
    order = np.random.default_rng(child_seed(0, "representation folds", *names)).permutation(K)
    folds = np.empty(K, np.int64)
    for fold, classes in enumerate(np.array_split(order, count_folds(K))):
        folds[classes] = fold
    return folds
