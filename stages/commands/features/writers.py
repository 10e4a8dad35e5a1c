"""Files of features.

    .parquet    columns path, sha256, features (a list of D float32)
    .npz        arrays path, sha256 (N,), features (N, D), about (JSON)

Parquet is written a shard at a time. What the features are of is kept too: in the schema's metadata (`whichlayer`), or
the array `about`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..project import FEATURES

if TYPE_CHECKING:  # which imports torch
    from .extraction import Shard

Write = Callable[[Path, Iterable["Shard"], int, Mapping[str, Any]], None]
"""Path, shards, number of features, and what they are of."""


def write_parquet(path: Path, shards: "Iterable[Shard]", width: int, about: Mapping[str, Any]) -> None:
    """Write a Parquet table, a row group for each shard."""
    vector = pa.list_(pa.field("item", pa.float32(), nullable=False), width)
    fields = [pa.field("path", pa.string()), pa.field("sha256", pa.string()), pa.field("features", vector)]
    schema = pa.schema(fields, metadata={FEATURES: json.dumps(about)})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for shard in shards:
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(shard.features.reshape(-1)), type=vector)
            columns = [pa.array(shard.paths), pa.array(shard.sha256), vectors]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def write_npz(path: Path, shards: "Iterable[Shard]", width: int, about: Mapping[str, Any]) -> None:
    """Write an .npz file, which is put together in memory, as it is read."""
    made = [*shards]
    arrays: dict[str, Any] = {"features": np.concatenate([shard.features for shard in made])}
    arrays["path"] = [path for shard in made for path in shard.paths]
    arrays["sha256"] = [sha256 for shard in made for sha256 in shard.sha256]
    with path.open("wb") as file:
        np.savez(file, **arrays, about=json.dumps(about))


WRITERS: dict[str, Write] = {".parquet": write_parquet, ".npz": write_npz}
