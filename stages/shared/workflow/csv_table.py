"""CSV tables whose columns and types are declared, {column: type}: a table comes back as it was written."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..runtime.errors import UserError
from .digests import repair_hint, rerun_hint

TEXT, INTEGER, FLOAT = "string", "Int64", "float64"
"""Types of columns: text ('' where the file is empty), whole numbers (nullable), floats (NaN where it is empty)."""

CELL_COLUMNS = {"dataset": TEXT, "model": TEXT, "fold": TEXT, "seed": INTEGER}
"""What names a cell; `fold` is a number or `all`."""

Columns = Mapping[str, str]


def read_table(path: Path, columns: Columns, *, what: str, stage: str) -> pd.DataFrame:
    """Read a table that one stage wrote for another.

    Args:
        path: the file.
        columns: what it must have, in any order; others are read as pandas infers them.
        what: what it is, for messages, for example `a metric table`.
        stage: the stage that writes it.

    Raises:
        UserError: it is missing, is no table, or lacks a column.
    """
    texts = {name: type_ for name, type_ in columns.items() if type_ == TEXT}
    try:  # an id may be `NA`: only the empty field is missing
        table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
        require_columns(path, table.columns, columns, stage)
        return typed(table, columns)
    except UserError:
        raise
    except (FileNotFoundError, ValueError, TypeError) as error:  # of pandas, where it is empty, cut or no text
        raise UserError(
            f"{path}: must be {what}, found none or a damaged one ({error}); {repair_hint(stage)}"
        ) from None


def require_columns(path: Path, present: Collection[str], columns: Collection[str], stage: str) -> None:
    """Raise a `UserError` if a table of a stage lacks columns: another version wrote it."""
    if missing := [name for name in columns if name not in present]:
        raise UserError(
            f"{path}: must have the columns {', '.join(columns)}; lacks {', '.join(missing)}: it was written by "
            f"another version; {rerun_hint(stage)}"
        )


def write_table(path: Path, table: pd.DataFrame, columns: Columns, *, keys: Sequence[str] = ()) -> None:
    """Write a table's declared columns in their order, then its further ones; rows as given, floats in full.

    Args:
        path: the file; its folder is made.
        table: the rows.
        columns: what it must have.
        keys: columns in which no two rows may agree.

    Raises:
        ValueError: a column is missing, or two rows have the same keys.
    """
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(f"{path.name} needs the columns {missing}")
    repeated = table[table.duplicated(list(keys))] if keys else table.head(0)
    if len(repeated):
        raise ValueError(f"{path.name}: two rows have the same keys: {repeated.iloc[0][list(keys)].to_dict()}")
    further = [name for name in table.columns if name not in columns]
    path.parent.mkdir(parents=True, exist_ok=True)
    typed(table[[*columns, *further]], columns).to_csv(path, index=False)


def typed(table: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Convert the declared columns that a table has to their types; texts become plain `str`, '' where missing."""
    types = {name: type_ for name, type_ in columns.items() if name in table.columns}
    texts = [name for name, type_ in types.items() if type_ == TEXT]
    filled = {name: table[name].astype(object).where(table[name].notna(), "").astype(str) for name in texts}
    return table.assign(**filled).astype({name: type_ for name, type_ in types.items() if name not in texts})
