"""robustness.csv: scores of corrupted copies of the seen test images."""

import pandas as pd

from stages.aggregate.tables.columns import typed
from stages.shared.csv_table import FLOAT, INTEGER, TEXT
from stages.shared.split_names import parse_corrupted_split

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
VALUES = {"value": FLOAT, "chance": FLOAT, "relative": FLOAT}
ROBUSTNESS_COLUMNS = KEYS | VALUES
"""Columns of robustness.csv.

Attributes:
    corruption, severity: of the copies of seen test images.
    value, chance: means over folds and seeds.
    relative: mean of the cells' own ratios to the clean originals.
"""


def robustness(layers: pd.DataFrame) -> pd.DataFrame:
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
    rows = rows.assign(corruption=kinds, severity=severities)
    means = rows.groupby(list(KEYS), sort=False, dropna=False)[list(VALUES)].mean(skipna=False)
    return typed(means.reset_index(), ROBUSTNESS_COLUMNS)
