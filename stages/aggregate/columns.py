"""Tables of declared columns and types: an unknown column is an error, and so is a missing one."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args

import pandas as pd

from stages.shared.files import csv_table
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT, Columns

BOOLEAN = "boolean"
"""Type of a column that is true, false, or empty."""


def columns_of(row: type) -> Columns:
    """Return the columns of a table whose rows are a dataclass: a field each, of the type that it holds if any."""
    types = {int: INTEGER, float: FLOAT, bool: "bool"}
    return {field.name: types.get((get_args(field.type) or (field.type,))[0], TEXT) for field in fields(row)}


def frame(rows: Iterable[Mapping[str, Any]], columns: Columns, *, optional: Collection[str] = ()) -> pd.DataFrame:
    """Make a table of rows, each a mapping from column to value; None where a value is missing.

    Args:
        rows: the rows.
        columns: of the table, {column: type}.
        optional: columns that a row may lack, where they stay empty.

    Raises:
        ValueError: a row has an unknown column, or lacks one.
    """
    rows = list(rows)
    for row in rows:
        _check(row.keys(), columns, optional)
    return csv_table.typed(pd.DataFrame(rows, columns=list(columns)), columns)


def stack(tables: Iterable[pd.DataFrame], columns: Columns, *, optional: Collection[str] = ()) -> pd.DataFrame:
    """Put tables under each other; one without rows where none has any.

    Args:
        tables: the tables.
        columns: of the result, {column: type}.
        optional: columns that a table may lack, where they stay empty.

    Raises:
        ValueError: a table with rows has an unknown column, or lacks one.
    """
    filled = [table for table in tables if len(table)]
    for table in filled:
        _check(table.columns, columns, optional)
    stacked = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    return csv_table.typed(stacked.reindex(columns=list(columns)), columns)


def point_columns(point: "pd.Series | Mapping[str, Any] | None", **columns: str) -> dict[str, Any]:
    """Return what a table says of one point: column -> the value of the point's column, None without a point."""
    return {name: None if point is None else point[source] for name, source in columns.items()}


def _check(names: Iterable[str], columns: Columns, optional: Collection[str]) -> None:
    unknown = [name for name in names if name not in columns]
    missing = [name for name in columns if name not in names and name not in optional]
    if unknown or missing:
        raise ValueError(f"a table must have the columns {list(columns)}; unknown: {unknown}, missing: {missing}")
