"""Pictures of unseen images: the thumbnails of a dataset, and the gallery of a cell, where each layer puts them.

`<dataset>/thumbnails.parquet` is the same whichever folds are run. `gallery.parquet` is of the last step: layers are in
the order of depth, the raw-pixel baseline first; images in the order of the embeddings.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..workflow.csv_table import require_columns
from ..workflow.digests import DIGESTS, ArtifactId, cell_id, read_digests, write_digests
from ..workflow.params import Cell

OWNER = b"whichlayer"
"""The metadata entry; the only one, so that equal tables are equal bytes."""


TEXTS = "texts"
"""The type of a column of lists of texts; other types have Arrow's names."""

Columns = Mapping[str, str]


def arrow_schema(columns: Columns) -> Any:
    """Give columns their types as Arrow has them, which arrays are scored without."""
    import pyarrow as pa

    texts = pa.list_(pa.string())
    return pa.schema({name: texts if kind == TEXTS else pa.type_for_alias(kind) for name, kind in columns.items()})


def write_parquet(path: Path, table: pd.DataFrame, schema: Columns, of: ArtifactId) -> None:
    """Write a table's declared columns; the same bytes for the same table and library version.

    Args:
        path: the file; its folder is made.
        table: the rows, with the columns of `schema`.
        schema: columns and types.
        of: what the table belongs to.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    columns = pa.Table.from_pandas(table[[*schema]], schema=arrow_schema(schema), preserve_index=False)
    metadata = {OWNER: json.dumps(dict(of)).encode()}
    pq.write_table(columns.replace_schema_metadata(metadata), path, compression="zstd")


def read_parquet(path: Path, schema: Columns, *, stage: str) -> pd.DataFrame:
    """Read what `write_parquet` wrote, after its digest was checked.

    Args:
        path: the file.
        schema: columns and types; others are left out.
        stage: the stage that writes it.

    Raises:
        UserError: it lacks a column.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    require_columns(path, table.column_names, schema, stage)
    columns: pd.DataFrame = table.select([*schema]).cast(arrow_schema(schema)).to_pandas()
    return columns


THUMBNAILS = {
    "sample_id": "string",  # it and the label as in the dataset's manifest, by which rows are sorted
    "label": "string",
    "width": "int32",
    "height": "int32",
    "image": "binary",
}
MEDIA_TYPE = "image/webp"
"""Of the column `image`."""

THUMBNAILS_FORMAT = "whichlayer.thumbnails/1"
THUMBNAILS_FILE = "thumbnails.parquet"


def write_thumbnails(folder: Path, dataset: str, table: pd.DataFrame) -> None:
    """Write a dataset's thumbnails into its folder, which is made; the same bytes for the same table."""
    write_parquet(folder / THUMBNAILS_FILE, table, THUMBNAILS, {"dataset": dataset})
    write_digests(folder / DIGESTS, [folder / THUMBNAILS_FILE], format=THUMBNAILS_FORMAT, of={"dataset": dataset})


def read_thumbnails(folder: Path, dataset: str) -> pd.DataFrame:
    """Read a dataset's thumbnails from its folder, in the columns of `THUMBNAILS`.

    It has no rows where no class is unseen.

    Raises:
        UserError: they are missing, damaged, another dataset's or of another version.
    """
    read_digests(folder / DIGESTS, format=THUMBNAILS_FORMAT, of={"dataset": dataset}, stage="prepare").check(
        THUMBNAILS_FILE
    )
    return read_parquet(folder / THUMBNAILS_FILE, THUMBNAILS, stage="prepare")


GALLERY = {
    "layer": "string",
    "depth": "int16",
    "pooling": "string",
    "sample_id": "string",
    "label": "string",
    "x": "float32",
    "y": "float32",
    "neighbours": TEXTS,
    "explained": "float32",
}
"""Columns of gallery.parquet.

Attributes:
    sample_id, label: an unseen image of the cell that has a thumbnail, and its class.
    x, y: its first two principal components among all unseen images.
    neighbours: ids of the nearest other images in the gallery, nearest first.
    explained: share of the variance of all unseen images in x and y; 0 if all images coincide.
"""
GALLERY_FILE = "gallery.parquet"


def write_gallery(folder: Path, cell: Cell, table: pd.DataFrame) -> None:
    """Write a cell's gallery into its folder; the same bytes for the same table."""
    write_parquet(folder / GALLERY_FILE, table, GALLERY, cell_id(cell))


def read_gallery(folder: Path) -> pd.DataFrame:
    """Read a cell's gallery, of which the digest was checked, in the columns of `GALLERY`.

    It has no rows where no class is unseen.

    Raises:
        UserError: it lacks a column.
    """
    table = read_parquet(folder / GALLERY_FILE, GALLERY, stage="measure")
    table["neighbours"] = table["neighbours"].map(list)
    return table
