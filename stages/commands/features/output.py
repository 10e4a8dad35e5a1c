"""Features as one file: Parquet or Zarr, written a shard at a time, or .npz.

    .parquet    columns path, sha256, features (a list of D float32)
    .npz        arrays path, sha256 (N,), features (N, D), about (JSON)
    .zarr       the same arrays but about, dimensions (sample) and (sample, feature); opens with xarray

What the features are of is kept too: in the Parquet schema's metadata (`whichlayer`), the array `about`, the group's
attributes.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr

from stages.commands.features.shards import Shard
from stages.shared.embeddings.embedding_store import SAMPLES_PER_CHUNK
from stages.shared.runtime.errors import UserError

KEY = "whichlayer"
Write = Callable[[Path, Iterable[Shard], int, int, Mapping[str, Any]], None]
"""Path, shards (read more than once), number of images, number of features, and what they are of."""


def write_parquet(path: Path, shards: Iterable[Shard], count: int, width: int, about: Mapping[str, Any]) -> None:
    """Write a Parquet table, a row group for each shard."""
    vector = pa.list_(pa.field("item", pa.float32(), nullable=False), width)
    fields = [pa.field("path", pa.string()), pa.field("sha256", pa.string()), pa.field("features", vector)]
    schema = pa.schema(fields, metadata={KEY: json.dumps(about)})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for shard in shards:
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(shard.features.reshape(-1)), type=vector)
            writer.write_table(
                pa.Table.from_arrays([pa.array(shard.paths), pa.array(shard.sha256), vectors], schema=schema)
            )


def write_npz(path: Path, shards: Iterable[Shard], count: int, width: int, about: Mapping[str, Any]) -> None:
    """Write an .npz file, which is put together in memory, as it is read."""
    features, start = np.empty((count, width), np.float32), 0
    for shard in shards:
        features[start : start + len(shard.features)] = shard.features
        start += len(shard.features)
    arrays: dict[str, Any] = {"features": features, **_texts(shards), "about": json.dumps(about)}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def write_zarr(path: Path, shards: Iterable[Shard], count: int, width: int, about: Mapping[str, Any]) -> None:
    """Write a Zarr group that xarray opens."""
    group = zarr.create_group(path)
    features = group.create_array(
        "features",
        shape=(count, width),
        dtype="float32",
        chunks=(SAMPLES_PER_CHUNK, width),
        compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
        dimension_names=("sample", "feature"),
    )
    start = 0
    for shard in shards:
        features[start : start + len(shard.features)] = shard.features
        start += len(shard.features)
    for name, values in _texts(shards).items():
        array = group.create_array(name, shape=(count,), dtype=str, dimension_names=("sample",))
        array[:] = np.array(values, dtype=object)
    group.attrs.update(**about, coordinates="path sha256")


WRITERS: dict[str, Write] = {".parquet": write_parquet, ".npz": write_npz, ".zarr": write_zarr}


def writer_of(path: Path) -> Write:
    """Find what writes a file of this ending.

    Raises:
        UserError: nothing does.
    """
    if path.suffix not in WRITERS:
        raise UserError(f"--out must end in {', '.join(WRITERS)}, found {path.name!r}")
    return WRITERS[path.suffix]


def _texts(shards: Iterable[Shard]) -> dict[str, list[str]]:
    texts = [(path, sha256) for shard in shards for path, sha256 in zip(shard.paths, shard.sha256, strict=True)]
    return {"path": [path for path, _ in texts], "sha256": [sha256 for _, sha256 in texts]}
