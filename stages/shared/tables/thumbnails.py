"""The thumbnails of a dataset: `<dataset>/thumbnails.parquet`, small pictures of some images of classes left unseen.

sample_id, label    as in the dataset's manifest
width, height       of the picture, in pixels
image               the encoded picture, WebP

Rows are sorted by label and id. Prepare writes it, with its digests; measure places these images, and the page shows
them.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from stages.shared.core.digests import DIGESTS, read_digests, write_digests
from stages.shared.tables.parquet_table import read_parquet, write_parquet

SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),
        "label": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "image": pa.binary(),
    }
)
MEDIA_TYPE = "image/webp"
"""Of the column `image`."""

FORMAT = "whichlayer.thumbnails/1"
FILE = "thumbnails.parquet"


def write_thumbnails(folder: Path, dataset: str, table: pd.DataFrame) -> None:
    """Write a dataset's thumbnails into its folder, which is made; the same bytes for the same table."""
    write_parquet(folder / FILE, table, SCHEMA, {"dataset": dataset})
    write_digests(folder / DIGESTS, [folder / FILE], format=FORMAT, of={"dataset": dataset})


def read_thumbnails(folder: Path, dataset: str) -> pd.DataFrame:
    """Read a dataset's thumbnails from its folder, in the columns of `SCHEMA`; without rows where no class is unseen.

    Raises:
        UserError: they are missing, damaged, another dataset's or of another version.
    """
    read_digests(folder / DIGESTS, format=FORMAT, of={"dataset": dataset}, stage="prepare").check(FILE)
    return read_parquet(folder / FILE, SCHEMA, stage="prepare")
