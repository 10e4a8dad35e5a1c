"""Files of features.

    .parquet    columns path, sha256, features (a list of D float32)
    .npz        arrays path, sha256 (N,), features (N, D), about (JSON)

They are written a shard at a time. What the features are of is kept too: in the schema's metadata (`whichlayer`), or
the array `about`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy

from ..project import FEATURES

if TYPE_CHECKING:  # which imports torch
    from .extraction import Shard

Write = Callable[[Path, Iterable["Shard"], int, Mapping[str, Any]], None]
"""Path, shards, which may be read several times, number of features, and what they are of."""


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
    """Write an .npz file as `np.savez` does, with one shard in memory at a time."""
    count = sum(len(shard.paths) for shard in shards)
    longest = max((len(each) for shard in shards for each in shard.paths), default=1)
    columns: dict[str, tuple[str, tuple[int, ...], Callable[[Shard], Any]]] = {
        "features": ("<f4", (count, width), lambda shard: shard.features),
        "path": (f"<U{longest}", (count,), lambda shard: shard.paths),
        "sha256": ("<U64", (count,), lambda shard: shard.sha256),
    }
    with ZipFile(path, "w") as archive:
        for name, (kind, shape, values) in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                npy.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
                for shard in shards:
                    file.write(np.array(values(shard), kind).tobytes())
        with archive.open("about.npy", "w") as file:
            npy.write_array(file, np.array(json.dumps(about)), allow_pickle=False)


WRITERS: dict[str, Write] = {".parquet": write_parquet, ".npz": write_npz}
