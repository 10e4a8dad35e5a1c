"""robustness.csv: scores of corrupted copies of the seen test images."""

import numpy as np
import pandas as pd

from stages.aggregate.columns import stack
from stages.shared.embeddings.split_names import parse_corrupted_split
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

KEYS = {
    "dataset": TEXT,
    "model": TEXT,
    "layer": TEXT,
    "depth": INTEGER,
    "pooling": TEXT,
    "metric": TEXT,
    "corruption": TEXT,
    "severity": INTEGER,
}
VALUES = {"value": FLOAT, "chance": FLOAT, "relative": FLOAT, "clean": FLOAT}
ROBUSTNESS_COLUMNS = KEYS | VALUES
"""Columns of robustness.csv.

Attributes:
    corruption, severity: of the copies of seen test images.
    value, chance: means over folds and seeds.
    relative: mean of the cells' own ratios to the clean originals.
    clean: mean score of the clean originals.
"""


def robustness_table(layers: pd.DataFrame) -> pd.DataFrame:
    """Average scores of corrupted copies of the seen test images over seeds.

    Args:
        layers: metric rows of all cells.

    Returns:
        `ROBUSTNESS_COLUMNS`; no rows where nothing was corrupted.
    """
    parts = {split: parse_corrupted_split(split) for split in layers["split"].unique()}
    corrupted = {split: part for split, part in parts.items() if part}
    rows = layers[layers["split"].isin(corrupted)]
    kinds, severities = ([corrupted[split][i] for split in rows["split"]] for i in (0, 1))
    rows = rows.assign(corruption=kinds, severity=severities, clean=_clean(rows))
    means = rows.groupby(list(KEYS), sort=False, dropna=False)[list(VALUES)].mean(skipna=False)
    return stack([means.reset_index()], ROBUSTNESS_COLUMNS)


def _clean(rows: pd.DataFrame) -> "pd.Series[float]":
    """The score of the clean originals, from which every row has its share.

    A share of 0 says nothing of them, but those of other corruptions do; there is none where it is 0 itself.
    """
    cells = ["dataset", "model", "fold", "seed", "layer", "depth", "pooling", "metric"]
    clean = (rows["value"] / rows["relative"].replace(0.0, np.nan)).astype(float)
    known = clean.groupby([rows[name] for name in cells], dropna=False).transform("max")
    return known.mask(rows["relative"].isna(), 0.0)
