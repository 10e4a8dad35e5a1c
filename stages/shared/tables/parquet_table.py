"""Parquet tables that one stage writes for another: declared columns, and in one metadata entry what they belong to."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.shared.core.csv_table import require_columns
from stages.shared.core.digests import ArtifactId

OWNER = b"whichlayer"
"""The metadata entry; the only one, so that equal tables are equal bytes."""


def write_parquet(path: Path, table: pd.DataFrame, schema: pa.Schema, of: ArtifactId) -> None:
    """Write a table's declared columns; the same bytes for the same table and library version.

    Args:
        path: the file; its folder is made.
        table: the rows, with the columns of `schema`.
        schema: columns and types, without metadata.
        of: what the table belongs to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = pa.Table.from_pandas(table[schema.names], schema=schema, preserve_index=False)
    metadata = {OWNER: json.dumps(dict(of)).encode()}
    pq.write_table(columns.replace_schema_metadata(metadata), path, compression="zstd")


def read_parquet(path: Path, schema: pa.Schema, *, stage: str) -> pd.DataFrame:
    """Read what `write_parquet` wrote, after its digest was checked.

    Args:
        path: the file.
        schema: columns and types; others are left out.
        stage: the stage that writes it.

    Raises:
        UserError: it lacks a column.
    """
    table = pq.read_table(path)
    require_columns(path, table.column_names, schema.names, stage)
    columns: pd.DataFrame = table.select(schema.names).cast(schema).to_pandas()
    return columns
