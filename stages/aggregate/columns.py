"""Tables of declared columns and types: an unknown column is an error, and so is a missing one."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args

import pandas as pd

from ..shared.workflow import csv_table
from ..shared.workflow.csv_table import FLOAT, INTEGER, TEXT, Columns

BOOLEAN = "boolean"
"""Type of a column that is true, false, or empty."""


def columns_of(row: type) -> Columns:
    """Return the columns of a table whose rows are a dataclass: a field each, of the type that it holds if any."""
    types = {int: INTEGER, float: FLOAT, bool: "bool"}
    return {field.name: types.get((get_args(field.type) or (field.type,))[0], TEXT) for field in fields(row)}


def frame(
    parts: Iterable[Mapping[str, Any] | pd.DataFrame], columns: Columns, *, optional: Collection[str] = ()
) -> pd.DataFrame:
    """Make a table of rows, or of tables under each other; without any rows where these have none.

    Args:
        parts: tables, or rows as mappings from column to value, None where a value is missing.
        columns: of the result, {column: type}.
        optional: columns that a part may lack, where they stay empty.

    Raises:
        ValueError: a row, or a table with rows, has an unknown column, or lacks one.
    """
    filled: list[Any] = [part for part in parts if len(part)]
    for part in filled:
        unknown = [name for name in part if name not in columns]
        missing = [name for name in columns if name not in part and name not in optional]
        if unknown or missing:
            raise ValueError(f"a table must have the columns {list(columns)}; unknown: {unknown}, missing: {missing}")
    tables = bool(filled) and isinstance(filled[0], pd.DataFrame)
    table = pd.concat(filled, ignore_index=True) if tables else pd.DataFrame(filled)
    return csv_table.typed(table.reindex(columns=list(columns)), columns)
