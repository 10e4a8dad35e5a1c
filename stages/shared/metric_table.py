"""The tidy metric table: one row per dataset, model, seed, step, split, layer, pooling and metric."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.shared.console import UserError

KEYS = ("dataset", "model", "seed", "step", "split", "layer", "depth", "pooling", "metric")
COLUMNS = (*KEYS, "value", "chance", "ceiling", "start_sd", "n_images", "n_classes", "parameters", "width")
"""The contract's columns (the keys and `value`), then what stands beside a value:

chance      the value expected when embedding and class are unrelated
ceiling     the best value that these class sizes allow
start_sd    standard deviation (ddof = 1) over k-means starts; empty where the score has no random start
n_images, n_classes   what the value was computed on
parameters  parameters of the network up to this layer
width       the layer's number of features
"""

INTEGERS = ("seed", "step", "depth", "n_images", "n_classes", "parameters", "width")
TEXTS = ("dataset", "model", "split", "layer", "pooling", "metric")
BETTER = "better"
"""A further column: which values of the score are better, `higher`, `lower` or `neither`."""

HEAD = "head"
"""The `layer` of the network's own accuracy; its depth and pooling are empty."""

MEASURE_AGAIN = "run the measure stage again (`dvc repro --force`)"
"""The remedy for a table that is not as it should be."""


def write_records(path: Path, records: pd.DataFrame) -> None:
    """Write a metric table: `COLUMNS` in order, then any further columns; rows as given, floats in full precision.

    Raises:
        ValueError: a contract column is missing, or two rows have the same keys.
    """
    missing = [c for c in COLUMNS if c not in records.columns]
    if missing:
        raise ValueError(f"a metric table needs the columns {missing}")
    repeated = records[records.duplicated(list(KEYS))]
    if len(repeated):
        raise ValueError(f"two rows have the same keys: {repeated.iloc[0][list(KEYS)].to_dict()}")
    extra = [c for c in records.columns if c not in COLUMNS]
    path.parent.mkdir(parents=True, exist_ok=True)
    typed(records[[*COLUMNS, *extra]]).to_csv(path, index=False)


def read_records(path: Path) -> pd.DataFrame:
    """Read a metric table; integer columns are nullable integers, texts are never NaN.

    A table without the column `better` was written when all scores were better higher: it is filled with that.

    Raises:
        UserError: it is missing, is no table, or lacks a column (written by another version).
    """
    try:
        records = pd.read_csv(
            path,
            dtype=dict.fromkeys((*TEXTS, BETTER), "string"),
            keep_default_na=False,  # an id may be `NA`
            na_values=[""],
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no metric table there; run the measure stage (`dvc repro`)") from None
    except ValueError as error:  # of pandas, where it is empty, cut or no text
        raise UserError(f"{path}: must be a metric table, found it damaged ({error}); {MEASURE_AGAIN}") from None
    missing = [c for c in COLUMNS if c not in records.columns]
    if missing:
        raise UserError(
            f"{path}: must have the columns {', '.join(COLUMNS)}; lacks {', '.join(missing)}: it was written by "
            f"another version; {MEASURE_AGAIN}"
        )
    return typed(records if BETTER in records.columns else records.assign(**{BETTER: "higher"}))


def typed(records: pd.DataFrame) -> pd.DataFrame:
    """Give a metric table's columns their types: nullable integers, plain text with '' for empty, floats."""
    records = records.copy()
    for name in INTEGERS:
        records[name] = records[name].astype("Int64")
    for name in (*TEXTS, BETTER):
        if name in records.columns:
            records[name] = records[name].fillna("").astype(str)
    return records


def concat_records(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack metric tables of several cells."""
    return typed(pd.concat(tables, ignore_index=True))
