"""Inference about the accuracies of networks, over other classes and over other images of these.

They are not fitted again without a class: a network without it would have to be trained. Folds are no units either,
since they share most of their seen classes. An image stands in the test split of every fold in which its class is seen.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.columns import frame
from stages.aggregate.curves import CHECKPOINT, MEAN, Name, Scores
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import move_log_odds
from stages.aggregate.inference.network_data import MIN_DF, NetworkData, degrees_of_freedom, find_groups
from stages.aggregate.inference.scopes import MIN_FOLDS
from stages.aggregate.scope import ACCURACY, ACCURACY_ENDS, Scope
from stages.shared.core.csv_table import FLOAT

ROUNDING = 1e-9
"""Standard error of an accuracy up to which it is taken for a rounding error."""

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


def accuracy_intervals(scores: Scores, networks: dict[Name, NetworkData]) -> pd.DataFrame:
    """Infer the intervals of every network's accuracy at its last step, fold by fold and over folds.

    Returns:
        Columns of `CHECKPOINT` and `ACCURACY_ENDS`.
    """
    rows = scores.curves[scores.curves["accuracy"].notna()].drop_duplicates(list(CHECKPOINT))
    last = rows[rows["step"] == rows.groupby(["dataset", "model"])["step"].transform("max")]
    table: list[dict[Any, Any]] = last[list(CHECKPOINT)].to_dict("records")
    accuracy = scores.catalogue["accuracy"]
    for point in table:
        by_fold = networks[point["dataset"], point["model"]].images.accuracy
        folds = [values for fold, values in by_fold.items() if point["fold"] in (MEAN, fold)]
        for scope, mean_of in MEANS.items():
            estimate = mean_of(folds)
            if estimate is not None and estimate.standard_error > ROUNDING:  # not where all are right
                moved = move_log_odds(np.array(estimate.value), np.array(estimate.interval()), accuracy)
                point |= zip(ACCURACY_ENDS[scope], moved, strict=True)
    ends = dict.fromkeys(ACCURACY[3:], FLOAT)
    return frame(table, CHECKPOINT | ends, optional=ends)
