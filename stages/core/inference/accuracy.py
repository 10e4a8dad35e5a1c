"""Inference about the accuracies of networks, over other classes and over other images of these.

They are not fitted again without a class: a network without it would have to be trained. Folds are no units either,
since they share most of their seen classes. An image stands in the test split of every fold in which its class is seen.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from .contrasts import Estimate
from .refitted import MIN_DF, degrees_of_freedom, find_groups
from .scopes import MIN_FOLDS, Scope

Folds = Sequence["pd.Series[float]"]
"""For each fold, how often (over seeds) a network is right, or how much more often than another; by sample id, class
and group of a test image."""


def mean_over_classes(folds: Folds) -> Estimate | None:
    """Average over folds, and say how far other classes and another training would move it.

    Classes are the units: Student's t over them, each with its images in all folds. What moves all classes of a fold
    alike (its training, the company of its classes) is added, with Satterthwaite's degrees of freedom.

    Returns:
        The mean over folds of the mean over images; None of fewer than `MIN_FOLDS` folds or two classes.
    """
    means = pd.concat([fold.groupby(level="label").mean() for fold in folds], axis=1) if folds else pd.DataFrame()
    J, C = len(folds), len(means)
    if J < MIN_FOLDS or C < 2:
        return None
    mean, of_classes = _mean_over(folds, "label")
    at_class, at_fold = np.nonzero(means.notna().to_numpy())
    design = np.hstack([np.eye(C)[at_class], np.eye(J)[at_fold, 1:]])
    fitted = np.linalg.lstsq(design, means.to_numpy()[at_class, at_fold])[0]
    of_folds = float(np.var([0.0, *fitted[C:]], ddof=1)) / J
    variance, parts = of_classes + of_folds, of_classes**2 / (C - 1) + of_folds**2 / (J - 1)
    return Estimate(mean, float(np.sqrt(variance)), variance**2 / parts if parts else J - 1)


def mean_over_images(folds: Folds) -> Estimate | None:
    """Average over folds, and say how far other images would move it, the classes and trained networks unchanged.

    Student's t over images, or over groups of them.

    Returns:
        The mean over folds of the mean over images; None of too few groups (`groups`), or without images.
    """
    if not folds:
        return None
    images = pd.concat([fold.index.to_frame(index=False) for fold in folds]).drop_duplicates()
    found = find_groups(images["label"].to_numpy(), images["group"].to_numpy())
    df = len(images) - 1 if found is None else degrees_of_freedom(found)[0]
    if found is not None and df < MIN_DF:
        return None
    mean, variance = _mean_over(folds, "sample_id" if found is None else "group")
    return Estimate(mean, float(np.sqrt(variance)), df)


def _mean_over(folds: Folds, unit: str) -> tuple[float, float]:
    """Mean over folds of the mean over images, and its variance where units are drawn anew."""
    mean = float(np.mean([fold.mean() for fold in folds]))
    parts = pd.concat([(fold - mean) / (len(fold) * len(folds)) for fold in folds])
    of_units = parts.groupby(level=unit).sum().to_numpy()
    n = len(of_units)
    return mean, float((of_units**2).sum() * n / (n - 1))


MEANS: dict[Scope, Callable[[Folds], Estimate | None]] = {"classes": mean_over_classes, "images": mean_over_images}
"""How accuracies, and their differences, are judged in each scope, the wider one first."""
