"""The gallery of a cell: `gallery.parquet`, where each layer puts the images that have a thumbnail, at the last step.

Layers are in the order of depth, the raw-pixel baseline first; images in the order of the embeddings.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from stages.shared.core.digests import cell_id
from stages.shared.core.params import Cell
from stages.shared.tables.parquet_table import read_parquet, write_parquet

SCHEMA = pa.schema(
    {
        "layer": pa.string(),
        "depth": pa.int16(),
        "pooling": pa.string(),
        "sample_id": pa.string(),
        "label": pa.string(),
        "x": pa.float32(),
        "y": pa.float32(),
        "neighbours": pa.list_(pa.string()),
        "explained": pa.float32(),
    }
)
"""Columns of gallery.parquet.

Attributes:
    sample_id, label: one of the cell's unseen images that has a thumbnail.
    x, y: its first two principal components among all unseen images.
    neighbours: ids of the nearest other images of the gallery, nearest first.
    explained: share of the variance of all unseen images that x and y have, 0 where all images coincide.
"""
FILE = "gallery.parquet"


def write_gallery(folder: Path, cell: Cell, table: pd.DataFrame) -> None:
    """Write a cell's gallery into its folder; the same bytes for the same table."""
    write_parquet(folder / FILE, table, SCHEMA, cell_id(cell))


def read_gallery(folder: Path) -> pd.DataFrame:
    """Read a cell's gallery, of which the digest was checked, in the columns of `SCHEMA`.

    It has no rows where no class is unseen.

    Raises:
        UserError: it lacks a column.
    """
    table = read_parquet(folder / FILE, SCHEMA, stage="measure")
    table["neighbours"] = table["neighbours"].map(list)
    return table
