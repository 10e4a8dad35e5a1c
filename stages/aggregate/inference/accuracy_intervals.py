"""How sure a network's own accuracy is: over test images, and over folds of classes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.columns import frame
from stages.aggregate.curves import INTERVALS, MEAN, Scores
from stages.aggregate.inference.accuracy_difference import difference_over_folds, difference_over_images
from stages.aggregate.inference.contrasts import Estimate, Float64
from stages.aggregate.inference.image_scores import ImageScores
from stages.aggregate.inference.refits import FEWEST_FOLDS
from stages.shared.files.csv_table import INTEGER, TEXT
from stages.shared.settings.params import RunParams
from stages.shared.tables.metric_table import HEAD

PLACE = {"dataset": TEXT, "model": TEXT, "fold": TEXT, "step": INTEGER}


def accuracy_intervals(
    scores: Scores,
    accuracies: Mapping[tuple[str, str], Float64],
    images: Mapping[tuple[str, str], ImageScores | None],
) -> pd.DataFrame:
    """Give the intervals of every network's accuracy at its last step, fold by fold and over folds.

    Args:
        scores: means, of which those of accuracy are looked at.
        accuracies: `accuracy_table` of every network.
        images: of every network.

    Returns:
        Columns of `PLACE` and `INTERVALS`.
    """
    rows = scores.accuracy
    last = rows[rows["step"] == rows.groupby(["dataset", "model"])["step"].transform("max")]
    return frame(
        (
            {name: point[name] for name in PLACE} | dict(_intervals(point["fold"], accuracies.get(name), images[name]))
            for _, point in last.iterrows()
            for name in [(point["dataset"], point["model"])]
        ),
        PLACE | INTERVALS,
    )


def accuracy_table(layers: pd.DataFrame, step: int, run: RunParams) -> Float64 | None:
    """Accuracies of one network's own head at one step, (J, S); None where it has none.

    Args:
        layers: metric rows of one dataset and model.
        step: the step.
        run: the grid.
    """
    rows = layers[(layers["layer"] == HEAD) & layers["depth"].isna() & (layers["metric"] == "accuracy")]
    return by_cell(rows[rows["step"] == step], run)


def by_cell(rows: pd.DataFrame, run: RunParams) -> Float64 | None:
    """Arrange values of one score of one embedding by fold and seed, (J, S); None where a cell has none."""
    table = rows.pivot(index="fold", columns="seed", values="value").reindex(index=run.numbered, columns=run.seeds)
    values = table.to_numpy(dtype=np.float64)
    return values if np.isfinite(values).all() and values.size else None


def _intervals(fold: str, table: Float64 | None, images: ImageScores | None) -> Iterator[tuple[str, Any]]:
    if fold == MEAN and table is not None and len(table) >= FEWEST_FOLDS:
        yield from _bounds("ci_classes", difference_over_folds(table, np.zeros_like(table)))
    right = images.accuracy if images else {}
    own = list(right.values()) if fold == MEAN else [right[fold]] if fold in right else []
    if own:
        yield from _bounds("ci_images", difference_over_images(own))


def _bounds(name: str, estimate: Estimate | None) -> Iterator[tuple[str, float]]:
    if estimate is not None:
        low, high = np.clip(estimate.interval(), 0, 1)
        yield f"{name}_low", float(low)
        yield f"{name}_high", float(high)
