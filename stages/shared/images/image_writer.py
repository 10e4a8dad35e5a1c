"""Writing a packed image store (`stages.shared.images.image_store` has its layout), a shard at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from stages.shared.files.digests import DIGESTS, Record, write_digests
from stages.shared.images.image_files import FOLD_FORMAT, FORMAT, MANIFEST, STORE
from stages.shared.images.image_store import (
    FOLD_COLUMNS,
    MANIFEST_COLUMNS,
    MAX_SHARD_BYTES,
    Pixels,
    fold_digests,
    fold_of,
    fold_path,
)

IMAGES_PER_CHUNK = 8
MAX_IMAGES_PER_SHARD = 2048


def write_images(
    path: Path, images: Iterable[Pixels], manifest: pd.DataFrame, *, dataset: str, size: int, fill: int
) -> None:
    """Write a dataset's images and manifest; the store counts as whole only after the last image.

    Args:
        path: the folder to create.
        images: one (size, size, 3) uint8 RGB array per manifest row, in the manifest's order;
            a shard is buffered, not the dataset.
        manifest: columns `MANIFEST_COLUMNS`, sorted by label and id; `group` is empty where images are not grouped.
        dataset: its id.
        size: height and width in pixels.
        fill: grey level 0 to 255 of the background, where a transform uncovers it.

    Raises:
        ValueError: the manifest's columns or order are wrong, or the number of images is not the manifest's.
    """
    _check_manifest(manifest)
    path.mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(path / STORE)
    count, per_shard = len(manifest), images_per_shard(size)
    array = group.create_array(
        "pixels",
        shape=(count, size, size, 3),
        dtype="uint8",
        chunks=(IMAGES_PER_CHUNK, size, size, 3),
        shards=(per_shard, size, size, 3),
        compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
        dimension_names=("sample", "height", "width", "channel"),
    )
    written = 0
    for block in _blocks(images, per_shard):
        array[written : written + len(block)] = np.stack(block)
        written += len(block)
    if written != count:
        raise ValueError(f"the manifest lists {count} images, {written} were given")
    manifest.to_csv(path / MANIFEST, index=False)
    group.attrs.update(format=FORMAT, size=size, fill=fill, complete=True)
    write_digests(path / DIGESTS, [path / STORE, path / MANIFEST], format=FORMAT, of={"dataset": dataset})


def write_fold(path: Path, fold: str, splits: pd.DataFrame) -> None:
    """Write which samples one fold uses, and as what.

    Args:
        path: the dataset's folder, with its images.
        fold: its name: a number, or `all`.
        splits: columns `FOLD_COLUMNS`, in the manifest's order.
    """
    table = fold_path(path, fold)
    table.parent.mkdir(parents=True, exist_ok=True)
    splits[list(FOLD_COLUMNS)].to_csv(table, index=False)
    images = Record.model_validate_json((path / DIGESTS).read_bytes())
    write_digests(fold_digests(path, fold), [table], format=FOLD_FORMAT, of=fold_of(images, fold))


def images_per_shard(size: int) -> int:
    """How many images of size x size one shard file holds: whole chunks, within `MAX_SHARD_BYTES`."""
    fitting = MAX_SHARD_BYTES // (size * size * 3) // IMAGES_PER_CHUNK * IMAGES_PER_CHUNK
    return max(IMAGES_PER_CHUNK, min(MAX_IMAGES_PER_SHARD, fitting))


def _check_manifest(manifest: pd.DataFrame) -> None:
    if tuple(manifest.columns) != MANIFEST_COLUMNS:
        raise ValueError(f"a manifest has the columns {MANIFEST_COLUMNS}, found {tuple(manifest.columns)}")
    order = list(zip(manifest["label"], manifest["sample_id"], strict=True))
    if order != sorted(order):
        raise ValueError("a manifest's rows are sorted by label and id")


def _blocks(images: Iterable[Pixels], size: int) -> Iterator[list[Pixels]]:
    block: list[Pixels] = []
    for image in images:
        block.append(image)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
