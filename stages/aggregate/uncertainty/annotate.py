"""How sure every score at its last step is: what images of the same classes, and other classes, would say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.aggregate.contributions import read_images
from stages.aggregate.curves import INTERVALS, Scores, last_rows
from stages.aggregate.inputs import image_paths
from stages.aggregate.params import AggregateParams
from stages.aggregate.tables.classes import CLASS_COLUMNS, class_scores
from stages.aggregate.uncertainty.class_subsets import add_ranges, detection_subsets
from stages.aggregate.uncertainty.intervals import Resamples, add_intervals
from stages.aggregate.uncertainty.scorers import contributing_columns
from stages.shared.params import RunParams


@dataclass(frozen=True)
class Evidence:
    """Scores with how sure they are.

    Attributes:
        layers: the metric rows of all cells, with `INTERVALS`.
        scores: the means over seeds, with `EVIDENCE`.
        classes: `CLASS_COLUMNS`.
        subsets: scores on subsets of the unseen classes, those of detection among them.
        without: datasets and models of which a cell has no images.parquet, as `<dataset>/<model>`.
    """

    layers: pd.DataFrame
    scores: Scores
    classes: pd.DataFrame
    subsets: pd.DataFrame
    without: list[str]

    def note(self, without_best: Sequence[str]) -> str:
        """Say, for the closing line, what has no intervals and which curves have no best layer; else nothing."""
        parts = {"no images.parquet, so no intervals": self.without, "no finite value": without_best}
        return "".join(f" ({what}: {', '.join(names)})" for what, names in parts.items() if names)


def weigh(
    measures: Path, layers: pd.DataFrame, scores: Scores, subsets: pd.DataFrame, run: RunParams, params: AggregateParams
) -> Evidence:
    """Add to every score at its last step how sure it is. One dataset and model is in memory at a time.

    Args:
        measures: holds `<dataset>/<model>/<seed>/images.parquet`, where contributions were kept.
        layers: metric rows of all cells.
        scores: their means over seeds.
        subsets: scores on subsets of the unseen classes, of all cells.
        run: the grid.
        params: how often to resample, and from which seed.

    Raises:
        UserError: the cells of one dataset and model hold different images.
    """
    layers = layers.assign(**dict.fromkeys(INTERVALS, np.nan))
    classes, without, weighed, all_subsets = [pd.DataFrame(columns=list(CLASS_COLUMNS))], [], [], [subsets]
    for (dataset, model), rows in layers.groupby(["dataset", "model"], sort=False):
        steps = sorted({int(step) for step in last_rows(rows)["step"]})
        paths = image_paths(measures, str(dataset), str(model), run)
        images = read_images(paths, steps, contributing_columns(rows["metric"].unique()))
        if images is None:
            without.append(f"{dataset}/{model}")
            weighed.append(rows)
            continue
        resamples = Resamples(str(dataset), images, params)
        with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
            rows, scores = add_intervals(rows, scores, images, run.seeds, resamples)
        weighed.append(rows)
        classes.append(class_scores(rows, images))
        all_subsets.append(detection_subsets(rows, images, run.seeds, subsets))
    subsets = pd.concat([table for table in all_subsets if len(table)] or [subsets], ignore_index=True)
    layers, scores = add_ranges(pd.concat(weighed).sort_index(), scores, subsets)
    return Evidence(layers, scores, pd.concat(classes[1:] or classes, ignore_index=True), subsets, without)
