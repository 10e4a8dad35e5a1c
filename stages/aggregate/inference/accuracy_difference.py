"""How sure the difference of two networks' accuracies is, over folds of classes and over test images.

Accuracy is not fitted again without a class: a network without it would have to be trained.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.aggregate.inference.contrasts import Estimate, Float64


def difference_over_folds(first: Float64, second: Float64) -> Estimate | None:
    """Student's t over folds, each of which has other seen classes and networks trained anew.

    Args:
        first: (J, S) accuracies of one network, by fold and seed.
        second: (J, S') of the other, on the same folds; its seeds are unpaired.

    Returns:
        The first's less the second's; None of a single fold.
    """
    differences = first.mean(axis=1) - second.mean(axis=1)
    J = len(differences)
    if J < 2:
        return None
    return Estimate(float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(J)), J - 1)


def difference_over_images(folds: Sequence["pd.Series[float]"]) -> Estimate:
    """Student's t over test images, the trained networks as they are.

    An image stands in the test split of every fold in which its class is seen: its differences are added up first.

    Args:
        folds: for each fold, by sample id, how much more often (over seeds) the first network is right than the second.

    Returns:
        Mean over folds of the mean over images.
    """
    weighted = pd.concat([fold / len(fold) for fold in folds]) / len(folds)
    each = weighted.groupby(level=0).sum().to_numpy()
    n = len(each)
    return Estimate(float(each.sum()), float(each.std(ddof=1) * np.sqrt(n)), n - 1)
