"""Embed new images with a finished network: one file of features, with the images' paths.

    .parquet    columns path, sha256, features (a list of D float32)
    .npz        arrays path, sha256 (N,), features (N, D), about (JSON)
    .zarr       the same arrays but about, dimensions (sample) and (sample, feature); opens with xarray

Parquet and Zarr are written a shard at a time. What the features are of is kept too: in the Parquet schema's metadata
(`whichlayer`), the array `about`, the group's attributes.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr

from stages.shared.core.stage_run import StageRun
from stages.aggregate.words.formatting import plural
from stages.commands.cut.cell import Wanted
from stages.commands.cut.command import layer_options
from stages.commands.features import image_files
from stages.commands.features.extraction import Shard, Shards, open_extractor
from stages.commands.project import FEATURES, ProjectCommand, ProjectPath, check_new, params_option
from stages.prepare.bits import FULL, Depth, count_bits, describe_bits, fewest_bits
from stages.prepare.decode import pixel_limit
from stages.prepare.params import PrepareParams
from stages.shared.core.kept_work import claim_work
from stages.shared.core.params import read_section
from stages.shared.embeddings.embedding_store import SAMPLES_PER_CHUNK
from stages.shared.runtime.console import Stopwatch
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.scratch import remove


@click.command(cls=ProjectCommand)
@click.argument("images", type=ProjectPath(exists=True))
@click.option(
    "--from", "origin", type=ProjectPath(), help="A cell, or the folder of a cut; by default the best network's cell."
)
@layer_options
@click.option("--out", type=ProjectPath(), required=True, help="What to write: .parquet, .npz or .zarr.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out files that are no images, and list them.")
@params_option
def features(images: Path, origin: Path | None, out: Path, skip_unreadable: bool, params: Path, **wanted: Any) -> None:
    """Embed new images with a finished network, at one layer: a vector for each, with its path.

    IMAGES is any folder, with all folders in it; an archive (.zip, .tar, ...); a list (.txt, or .csv with a column
    `path`); or one image. No labels are needed. A cell is dataset/model/fold/seed, or its folder, and must be finished;
    of a folder that `whichlayer cut` made, its own layer is taken. Without --from it is a cell of the best network for
    the use.

    A run that was cut short goes on where it was when it is started again.
    """
    watch = Stopwatch("features", "", None)
    if out.suffix not in WRITERS:
        raise UserError(f"--out must end in {', '.join(WRITERS)}, found {out.name!r}")
    check_new(out, folder=out.suffix == ".zarr")
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(images)):
        raise UserError(f"--out must lie outside {images}, whose files are taken for images; found {out}")
    max_pixels = read_section(params, "prepare", PrepareParams).max_pixels
    with ExitStack() as resources, pixel_limit(max_pixels):
        files = image_files.list_images(images, resources)
        unreadable = image_files.not_images({path: files.content(path) for path in files.paths})
        files = replace(files, paths=tuple(path for path in files.paths if path not in unreadable))
        if not skip_unreadable:
            image_files.refuse_unreadable(images, unreadable)
        extractor = open_extractor(params, origin, Wanted(**wanted), resources)
        run = StageRun("features", params, keys=[], reads=[extractor.weights], writes=[out], resumable=True)
        shards = Shards(claim_work(resources.enter_context(run), {}, watch.say), files, extractor)
        shards.fill(skip=skip_unreadable)
        depths: list[Depth] = []
        for shard in shards:
            unreadable |= shard.unreadable
            depths += shard.depths
        paths = [path for shard in shards for path in shard.paths]
        if not paths:
            remove(run.work)  # nothing to go on from
            raise UserError(f"{images}: must hold images, found none that can be read; name their folder or archive")
        WRITERS[out.suffix](run.scratch(out), shards, len(paths), extractor.width, extractor.about)
    listing = out.with_name(f"{out.name}.unreadable.csv")
    listing.unlink(missing_ok=True)
    if unreadable:
        with listing.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("path", "reason"), *unreadable.items()])
        print(f"features: left out {image_files.describe(unreadable)}; all of them: {listing}", file=sys.stderr)
    if depths:
        bits, fewest = extractor.decode["bits"], fewest_bits(depths)
        dark = f"; the largest value fits in {fewest}, so they are dark pictures" if fewest and bits == FULL else ""
        print(f"features: {describe_bits(count_bits(depths))}{dark}", file=sys.stderr)
    of = extractor.about
    kind = f"width {extractor.width}, step {of['step']}, scale {of['scale']}"
    watch.done(f"{plural(len(paths), 'image')} at layer {of['layer']} ({kind}) in {out}")


Write = Callable[[Path, Iterable[Shard], int, int, Mapping[str, Any]], None]
"""Path, shards (read more than once), number of images, number of features, and what they are of."""


def write_parquet(path: Path, shards: Iterable[Shard], count: int, width: int, about: Mapping[str, Any]) -> None:
    """Write a Parquet table, a row group for each shard."""
    vector = pa.list_(pa.field("item", pa.float32(), nullable=False), width)
    fields = [pa.field("path", pa.string()), pa.field("sha256", pa.string()), pa.field("features", vector)]
    schema = pa.schema(fields, metadata={FEATURES: json.dumps(about)})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for shard in shards:
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(shard.features.reshape(-1)), type=vector)
            columns = [pa.array(shard.paths), pa.array(shard.sha256), vectors]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def write_npz(path: Path, shards: Iterable[Shard], count: int, width: int, about: Mapping[str, Any]) -> None:
    """Write an .npz file, which is put together in memory, as it is read."""
    features = np.empty((count, width), np.float32)
    arrays: dict[str, Any] = {"features": features, **_fill(features, shards), "about": json.dumps(about)}
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
    for name, values in _fill(features, shards).items():
        array = group.create_array(name, shape=(count,), dtype=str, dimension_names=("sample",))
        array[:] = np.array(values, dtype=object)
    group.attrs.update(**about, coordinates="path sha256")


WRITERS: dict[str, Write] = {".parquet": write_parquet, ".npz": write_npz, ".zarr": write_zarr}


def _fill(features: Any, shards: Iterable[Shard]) -> dict[str, list[str]]:
    """Fill an array with the features of all images, and return paths and hashes."""
    texts: dict[str, list[str]] = {"path": [], "sha256": []}
    for shard in shards:
        start = len(texts["path"])
        features[start : start + len(shard.paths)] = shard.features
        texts["path"] += shard.paths
        texts["sha256"] += shard.sha256
    return texts
