"""Parquet tables that one stage writes for another: declared columns, and in one metadata entry what they belong to."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.shared.files.digests import ArtifactId, describe_id, repair_hint, rerun_hint
from stages.shared.runtime.errors import UserError

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


def read_parquet(path: Path, schema: pa.Schema, of: ArtifactId, *, what: str, stage: str) -> pd.DataFrame:
    """Read what `write_parquet` wrote.

    Args:
        path: the file.
        schema: columns and types; others are left out.
        of: what the table must belong to.
        what: what it is, for messages, for example `a gallery`.
        stage: the stage that writes it.

    Raises:
        UserError: it is missing, is no such table, belongs to something else, or lacks a column.
    """
    try:
        table = pq.read_table(path)
        _check(table.schema, schema, of, f"{path}: must be {what}", rerun_hint(stage, of))
        columns: pd.DataFrame = table.select(schema.names).cast(schema).to_pandas()
        return columns
    except FileNotFoundError:
        raise UserError(f"{path}: must be {what}, found no file; run the {stage} stage (`dvc repro`)") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: must be {what}, found it damaged ({error}); {repair_hint(stage, of)}") from None


def _check(found: pa.Schema, schema: pa.Schema, of: ArtifactId, must: str, remedy: str) -> None:
    """Check that a table has the columns and belongs to what it should.

    Raises:
        UserError: it does not.
    """
    missing = [name for name in schema.names if name not in found.names]
    if missing:
        raise UserError(
            f"{must} with the columns {', '.join(schema.names)}; lacks {', '.join(missing)}: it was written by another "
            f"version; {remedy}"
        )
    owner = json.loads((found.metadata or {}).get(OWNER, b"{}"))
    if owner != dict(of):
        raise UserError(f"{must} of {describe_id(of)}, found one of {describe_id(owner) or 'unknown origin'}; {remedy}")
