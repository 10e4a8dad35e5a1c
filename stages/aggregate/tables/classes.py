"""Tables of what stands beside the scores: per class of images, and under corruptions of the images."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.aggregate.contributions import Images, Key
from stages.aggregate.curves import last_rows
from stages.aggregate.uncertainty.scorers import CLUSTER_SCORES, LINEARIZED, OOD_SCORES
from stages.shared.split_names import parse_corrupted_split

CLASS_COLUMNS = ("dataset", "model", "split", "layer", "depth", "pooling", "metric", "label", "n_images", "value")
ROBUSTNESS_COLUMNS = (
    *("dataset", "model", "layer", "depth", "pooling", "metric"),
    *("corruption", "severity", "value", "chance", "relative"),
)


def class_scores(layers: pd.DataFrame, images: Images) -> pd.DataFrame:
    """Average what images contribute over each class, for every score at its last step that is a mean over images.

    Args:
        layers: metric rows of one dataset and model, of all seeds.
        images: what its networks made of its images.

    Returns:
        `CLASS_COLUMNS`, the mean over seeds; the raw-pixel baseline and the head among the layers.
    """
    last = last_rows(layers)
    means = last[~last["metric"].isin([*CLUSTER_SCORES, *OOD_SCORES, *LINEARIZED])]
    tables = [pd.DataFrame(columns=list(CLASS_COLUMNS))]
    for (metric, split), rows in means.groupby(["metric", "split"], sort=False):
        places = rows.drop_duplicates(["layer", "pooling"])
        keys: list[Key] = list(zip(places["layer"], places["pooling"], strict=True))
        values = images.stack(str(metric), int(rows.iloc[0]["step"]), str(split), keys)
        if values is not None:
            tables.append(_by_class(places, values.mean(axis=0), images.labels[str(split)]))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _by_class(places: pd.DataFrame, values: NDArray[np.float64], labels: NDArray[np.str_]) -> pd.DataFrame:
    """One row per embedding and class, from (L, N) contributions."""
    classes, codes = np.unique(labels, return_inverse=True)
    members = codes == np.arange(len(classes))[:, None]  # (K, N)
    sizes = members.sum(axis=1)
    table = places.loc[places.index.repeat(len(classes)), list(CLASS_COLUMNS[:7])]
    means = np.stack([values[:, member].mean(axis=1) for member in members], axis=1)
    return table.assign(
        label=np.tile(classes, len(places)), n_images=np.tile(sizes, len(places)), value=means.ravel()
    ).reset_index(drop=True)


def robustness(layers: pd.DataFrame) -> pd.DataFrame:
    """Average scores of corrupted copies of the seen test images over seeds.

    Args:
        layers: metric rows of all cells.

    Returns:
        `ROBUSTNESS_COLUMNS`; no rows where nothing was corrupted.
    """
    corrupted = {split: parse_corrupted_split(split) for split in layers["split"].unique()}
    parts = pd.DataFrame([corrupted[split] or (None, None) for split in layers["split"]], index=layers.index)
    rows = layers.assign(corruption=parts[0], severity=parts[1])[parts[0].notna()]
    means = rows.groupby(list(ROBUSTNESS_COLUMNS[:8]), sort=False, dropna=False)[["value", "chance", "relative"]].mean(
        skipna=False
    )
    return means.reset_index().astype({"severity": "int64"})[list(ROBUSTNESS_COLUMNS)]
