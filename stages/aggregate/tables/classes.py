"""classes.csv: what the images of each class contribute to a score, on average."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.aggregate.columns import stack
from stages.aggregate.curves import last_rows
from stages.aggregate.inference.contributions import Contributions, Key
from stages.aggregate.metric_info import metric_info
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

CLASS_KEYS = {
    "dataset": TEXT,
    "model": TEXT,
    "fold": TEXT,
    "split": TEXT,
    "layer": TEXT,
    "depth": INTEGER,
    "pooling": TEXT,
    "metric": TEXT,
}
CLASS_COLUMNS = CLASS_KEYS | {"label": TEXT, "n_images": INTEGER, "value": FLOAT}
"""Columns of classes.csv.

Attributes:
    label: the class.
    n_images: how many it has in the split.
    value: mean over its images, and over seeds, of what they contribute to the score at its last step.
"""


def class_scores(layers: pd.DataFrame, contributions: Contributions) -> pd.DataFrame:
    """Average what images contribute over each class, for every score at its last step that is a mean over images.

    Args:
        layers: metric rows of one dataset, model and fold, of all seeds.
        contributions: of its images.

    Returns:
        `CLASS_COLUMNS`, the mean over seeds; the raw-pixel baseline and the head among the layers.
    """
    tables = []
    for (metric, split), rows in last_rows(layers).groupby(["metric", "split"], sort=False):
        if not metric_info(str(metric)).mean_of_images:
            continue
        places = rows.drop_duplicates(["layer", "pooling"])
        keys: list[Key] = list(zip(places["layer"], places["pooling"], strict=True))
        values = contributions.stack(str(metric), int(rows.iloc[0]["step"]), str(split), keys)
        if values is not None:
            tables.append(_by_class(places, values.mean(axis=0), contributions.labels[str(split)]))
    return stack(tables, CLASS_COLUMNS)


def _by_class(places: pd.DataFrame, values: NDArray[np.float64], labels: NDArray[np.str_]) -> pd.DataFrame:
    """One row per embedding and class, from (L, N) contributions."""
    classes, codes = np.unique(labels, return_inverse=True)
    members = codes == np.arange(len(classes))[:, None]  # (K, N)
    sizes = members.sum(axis=1)
    table = places.loc[places.index.repeat(len(classes)), list(CLASS_KEYS)]
    means = np.stack([values[:, member].mean(axis=1) for member in members], axis=1)
    return table.assign(label=np.tile(classes, len(places)), n_images=np.tile(sizes, len(places)), value=means.ravel())
