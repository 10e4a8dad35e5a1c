"""What single images say of one network: whether its own head is right, and the mean score of every class."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.aggregate.columns import stack
from stages.aggregate.curves import last_rows
from stages.aggregate.inference.contributions import Contributions, read_contributions
from stages.aggregate.metric_info import metric_info
from stages.aggregate.read import image_paths
from stages.aggregate.tables.classes import CLASS_COLUMNS, class_scores
from stages.shared.embeddings.split_names import SEEN
from stages.shared.settings.params import RunParams
from stages.shared.tables.metric_table import HEAD

ByFold = dict[str, "pd.Series[float]"]
"""Fold -> by sample id of a test image, the mean over seeds of whether it is classified right."""


@dataclass(frozen=True)
class ImageScores:
    """What the images of every fold say of one network at its last step.

    Attributes:
        accuracy: of its own head; without entries where it has none.
        pixels: of the linear probe on raw pixels; without entries where that was not measured.
        classes: `CLASS_COLUMNS`.
    """

    accuracy: ByFold
    pixels: ByFold
    classes: pd.DataFrame


def read_image_scores(measures: Path, layers: pd.DataFrame, run: RunParams) -> ImageScores | None:
    """Read the images' contributions of one dataset and model, one fold in memory at a time.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/images.parquet`.
        layers: metric rows of one dataset and model.
        run: the grid.

    Returns:
        None where a cell kept no contributions.
    """
    dataset, model = str(layers.iloc[0]["dataset"]), str(layers.iloc[0]["model"])
    found = ImageScores({}, {}, stack([], CLASS_COLUMNS))
    tables = []
    for fold, rows in layers.groupby("fold", sort=False):
        last = last_rows(rows)
        columns = [metric for metric in last["metric"].unique() if metric_info(metric).mean_of_images]
        paths = image_paths(measures, dataset, model, str(fold), run)
        contributions = read_contributions(paths, sorted(last["step"].unique()), columns)
        if contributions is None:
            return None
        tables.append(class_scores(rows, contributions))
        _add(found.accuracy, str(fold), contributions, last[(last["layer"] == HEAD) & last["depth"].isna()], "accuracy")
        _add(found.pixels, str(fold), contributions, last[(last["depth"] == -1).fillna(False)], "probe_accuracy")
    return ImageScores(found.accuracy, found.pixels, stack(tables, CLASS_COLUMNS))


def all_classes(images: Iterable[ImageScores | None]) -> pd.DataFrame:
    """Stack the classes' scores of all networks."""
    return stack((each.classes for each in images if each), CLASS_COLUMNS)


def _add(into: ByFold, fold: str, contributions: Contributions, rows: pd.DataFrame, metric: str) -> None:
    rows = rows[(rows["metric"] == metric) & (rows["split"] == SEEN)]
    if rows.empty:
        return
    first = rows.iloc[0]
    values = contributions.stack(metric, int(first["step"]), SEEN, [(str(first["layer"]), str(first["pooling"]))])
    if values is not None:
        into[fold] = pd.Series(np.asarray(values[:, 0].mean(axis=0)), index=contributions.ids[SEEN])
