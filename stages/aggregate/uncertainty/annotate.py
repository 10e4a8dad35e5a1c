"""How sure every score at its last step is: what images of the same classes, and other classes, would say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from stages.aggregate.contributions import read_contributions
from stages.aggregate.curves import COMPARISONS, EMBEDDING, INTERVALS, POINT, Scores, last_rows
from stages.aggregate.inputs import image_paths
from stages.aggregate.params import AggregateParams
from stages.aggregate.tables.classes import CLASS_COLUMNS, class_scores
from stages.aggregate.tables.columns import stack, typed
from stages.aggregate.uncertainty.class_subsets import (
    SUBSET_COLUMNS,
    class_ranges,
    detection_subsets,
    mean_subsets,
    proper_subsets,
    subset_agreement,
)
from stages.aggregate.uncertainty.intervals import Resamples, compare_layers, resample
from stages.aggregate.uncertainty.scorers import contributing_columns
from stages.shared.csv_table import INTEGER, TEXT, Columns
from stages.shared.params import RunParams

CELL_EMBEDDING = {**EMBEDDING, "fold": TEXT, "seed": INTEGER}


@dataclass(frozen=True)
class Uncertainty:
    """How sure the scores at their last step are, and what else the contributions of their images say.

    Attributes:
        cells: of every cell's scores: `EMBEDDING`, fold, seed, `INTERVALS`.
        points: of the means over seeds: `EMBEDDING`, `INTERVALS`.
        curves: of a curve's points among each other: `POINT`, `COMPARISONS`.
        classes: `CLASS_COLUMNS`.
        subsets: scores on subsets of the unseen classes, those of detection among them.
        without: datasets and models without intervals, since a cell has no images.parquet or there are several folds,
            whose images differ, as `<dataset>/<model>`.
    """

    cells: pd.DataFrame
    points: pd.DataFrame
    curves: pd.DataFrame
    classes: pd.DataFrame
    subsets: pd.DataFrame
    without: list[str]

    def note(self, without_best: Sequence[str]) -> str:
        """Say, for the closing line, what has no intervals and which curves have no best layer; else nothing."""
        parts = {"several folds or no images.parquet, so no intervals": self.without, "no finite value": without_best}
        return "".join(f" ({what}: {', '.join(names)})" for what, names in parts.items() if names)


def estimate_uncertainty(
    measures: Path, layers: pd.DataFrame, scores: Scores, subsets: pd.DataFrame, run: RunParams, params: AggregateParams
) -> Uncertainty:
    """Estimate how sure every score at its last step is. One dataset and model is in memory at a time.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/images.parquet`, where contributions were kept.
        layers: metric rows of all cells.
        scores: their means over seeds.
        subsets: scores on subsets of the unseen classes, of all cells.
        run: the grid.
        params: how often to resample, and from which seed.

    Raises:
        UserError: the cells of one dataset and model hold different images.
    """
    cells: list[pd.DataFrame] = []
    points: list[pd.DataFrame] = []
    curves: list[pd.DataFrame] = []
    classes, all_subsets, without = [], [subsets], []
    for (dataset, model), rows in layers.groupby(["dataset", "model"], sort=False):
        steps = sorted({int(step) for step in last_rows(rows)["step"]})
        paths = image_paths(measures, str(dataset), str(model), run.numbered[0], run)
        contributions = read_contributions(paths, steps, contributing_columns(rows["metric"].unique()))
        if contributions is None or len(run.numbered) > 1:
            without.append(f"{dataset}/{model}")
            continue
        resamples = Resamples(str(dataset), contributions.labels, params)
        with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
            for resampled in resample(rows, contributions, resamples):
                cells.append(resampled.of_cells().assign(fold=run.numbered[0]))
                points.append(resampled.of_means())
                curves += compare_layers(scores.curves, resampled, resamples)
        classes.append(class_scores(rows, contributions))
        all_subsets.append(detection_subsets(rows, contributions, subsets))
    subsets = stack(all_subsets, SUBSET_COLUMNS)
    proper = proper_subsets(subsets)
    means = mean_subsets(proper)
    return Uncertainty(
        cells=_joined(cells, class_ranges(proper, list(CELL_EMBEDDING)), CELL_EMBEDDING, INTERVALS),
        points=_joined(points, class_ranges(means, list(EMBEDDING)), EMBEDDING, INTERVALS),
        curves=_joined(curves, subset_agreement(scores.curves, means), POINT, COMPARISONS),
        classes=stack(classes, CLASS_COLUMNS),
        subsets=subsets,
        without=without,
    )


def add_uncertainty(layers: pd.DataFrame, scores: Scores, uncertainty: Uncertainty) -> tuple[pd.DataFrame, Scores]:
    """Put beside every score how sure it is; empty where that is not known.

    Returns:
        The metric rows with `INTERVALS`; the means with `UNCERTAINTY`, and those of accuracy with `INTERVALS`.
    """
    of_embedding = uncertainty.points.rename(columns={"pooling": "embedding"})
    curves = _beside(scores.curves, of_embedding, [*list(EMBEDDING)[:-1], "embedding"])
    curves = _beside(curves, uncertainty.curves, list(POINT))
    cell = ["dataset", "model", "step"]
    of_accuracy = uncertainty.points[uncertainty.points["metric"] == "accuracy"][[*cell, *INTERVALS]]
    accuracy = _beside(scores.accuracy, of_accuracy, cell)
    return _beside(layers, uncertainty.cells, list(CELL_EMBEDDING)), replace(scores, curves=curves, accuracy=accuracy)


def _joined(tables: Sequence[pd.DataFrame], other: pd.DataFrame, keys: Columns, values: Columns) -> pd.DataFrame:
    """Stack tables and put another one beside them, by the same keys; either may lack rows of the other."""
    others = {name: dtype for name, dtype in values.items() if name in other.columns}
    own = {name: dtype for name, dtype in values.items() if name not in others}
    stacked = stack(tables, {**keys, **own})
    return typed(stacked.merge(typed(other, {**keys, **others}), how="outer", on=list(keys)), {**keys, **values})


def _beside(table: pd.DataFrame, found: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return table.merge(found, how="left", on=keys, validate="many_to_one")
