"""How sure networks' accuracies are, and their differences: over folds of classes and over test images.

Accuracy is not fitted again without a class: a network without it would have to be trained.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.columns import frame
from stages.aggregate.curves import COLUMNS_OF, INTERVALS, MEAN, Scores
from stages.aggregate.inference.contrasts import Estimate, Float64
from stages.aggregate.inference.network_data import Name, NetworkData
from stages.aggregate.inference.other_classes import MIN_FOLDS
from stages.aggregate.scope import Scope
from stages.shared.files.csv_table import INTEGER, TEXT

PLACE = {"dataset": TEXT, "model": TEXT, "fold": TEXT, "step": INTEGER}


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
    """Student's t over test images, the trained networks unchanged.

    An image stands in the test split of every fold in which its class is seen: its differences are added up first.

    Args:
        folds: for each fold, by sample id, how much more often (over seeds) the first network is right than the second.

    Returns:
        Mean over folds of the mean over images.
    """
    weighted = pd.concat([fold / len(fold) for fold in folds]) / len(folds)
    by_image = weighted.groupby(level=0).sum().to_numpy()
    n = len(by_image)
    return Estimate(float(by_image.sum()), float(by_image.std(ddof=1) * np.sqrt(n)), n - 1)


def accuracy_intervals(scores: Scores, networks: dict[Name, NetworkData]) -> pd.DataFrame:
    """Infer the intervals of every network's accuracy at its last step, fold by fold and over folds.

    Returns:
        Columns of `PLACE` and `INTERVALS`.
    """
    rows = scores.accuracy
    last = rows[rows["step"] == rows.groupby(["dataset", "model"])["step"].transform("max")]
    table = []
    for _, point in last.iterrows():
        bounds = _intervals(point["fold"], networks[point["dataset"], point["model"]])
        table.append({name: point[name] for name in PLACE} | dict(bounds))
    return frame(table, PLACE | INTERVALS, optional=INTERVALS)


def _intervals(fold: str, network: NetworkData) -> Iterator[tuple[str, Any]]:
    accuracies, by_image = network.accuracies, network.images.accuracy if network.images else {}
    folds = list(by_image.values()) if fold == MEAN else [by_image[fold]] if fold in by_image else []
    estimates: dict[Scope, Estimate | None] = {"classes": None, "images": None}
    if fold == MEAN and accuracies is not None and len(accuracies) >= MIN_FOLDS:
        estimates["classes"] = difference_over_folds(accuracies, np.zeros_like(accuracies))
    if folds:
        estimates["images"] = difference_over_images(folds)
    for scope, estimate in estimates.items():
        if estimate is not None:
            low, high = np.clip(estimate.interval(), 0, 1)
            yield from ((COLUMNS_OF[scope].low, float(low)), (COLUMNS_OF[scope].high, float(high)))
