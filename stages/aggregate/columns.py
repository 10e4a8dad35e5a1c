"""Frames of declared columns and types, made from rows, from other tables, or from points."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from stages.aggregate.points import Row
from stages.shared.files import csv_table
from stages.shared.files.csv_table import Columns

BOOLEAN = "boolean"
"""Type of a column that is true, false, or empty."""


def typed(table: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Give a table exactly these columns; one that it lacks is empty."""
    return csv_table.typed(table.reindex(columns=list(columns)), columns)


def frame(rows: Iterable[Mapping[str, Any]], columns: Columns) -> pd.DataFrame:
    """Make a table of rows, each a mapping from column to value."""
    return csv_table.typed(pd.DataFrame(list(rows), columns=list(columns)), columns)


def stack(tables: Iterable[pd.DataFrame], columns: Columns) -> pd.DataFrame:
    """Put tables under each other; one without rows where none has any."""
    filled = [table for table in tables if len(table)]
    return typed(pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(), columns)


def point_columns(name: str, row: Row | None, **further: str) -> dict[str, Any]:
    """Name what a table says of one point.

    Args:
        name: column of its value; `<name>_sd` is that of its standard deviation.
        row: the point; None leaves all columns empty.
        further: other columns -> the point's column that each is taken from.
    """
    if row is None:
        return {}
    return {name: row["value"], f"{name}_sd": row["sd"], **{column: row[source] for column, source in further.items()}}
