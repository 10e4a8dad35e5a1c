"""The packed image store: every image of a dataset, decoded once, as uint8 in one Zarr array beside its manifest.

    <dataset>/images.zarr     array `pixels` (sample, height, width, 3) uint8;
                              attributes: format, size, fill, seen, unseen, complete
    <dataset>/manifest.csv    one row per sample, in the array's order: sample_id, split, label, source, sha256

Rows are grouped by split in the order of `SPLITS`, so that a split is a contiguous range. Chunks are small (a batch
of random rows reads little more than itself) and sit in few shard files (a checkout of few files is fast).
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from stages.shared.console import UserError

FORMAT = "whichlayer.images/1"
SPLITS = ("train", "test", "unseen")
MANIFEST_COLUMNS = ("sample_id", "split", "label", "source", "sha256")

IMAGES_PER_CHUNK = 8
MAX_IMAGES_PER_SHARD = 2048
MAX_SHARD_BYTES = 64 << 20  # a shard is buffered while it is written

Pixels = NDArray[np.uint8]  # (B, S, S, 3), RGB
Rows = NDArray[np.int64]  # (B,)


def write_images(path: Path, images: Iterable[Pixels], manifest: pd.DataFrame, *, size: int, fill: int) -> None:
    """Write a dataset's images and manifest; the store counts as whole only after the last image.

    Args:
        path: the folder to create.
        images: one (size, size, 3) uint8 RGB array per manifest row, in the manifest's order;
            a shard is buffered, not the dataset.
        manifest: columns `MANIFEST_COLUMNS`, grouped by split in the order of `SPLITS`.
        size: height and width in pixels.
        fill: grey level 0 to 255 of the background, where a transform uncovers it.

    Raises:
        ValueError: the manifest's columns or order are wrong, or the number of images is not the manifest's.
    """
    _check_manifest(manifest)
    path.mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(path / "images.zarr")
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
    manifest.to_csv(path / "manifest.csv", index=False)
    seen = sorted(manifest.loc[manifest.split != "unseen", "label"].unique())
    unseen = sorted(manifest.loc[manifest.split == "unseen", "label"].unique())
    group.attrs.update(format=FORMAT, size=size, fill=fill, seen=seen, unseen=unseen, complete=True)


def images_per_shard(size: int) -> int:
    """How many images of size x size one shard file holds: whole chunks, within `MAX_SHARD_BYTES`."""
    fitting = MAX_SHARD_BYTES // (size * size * 3) // IMAGES_PER_CHUNK * IMAGES_PER_CHUNK
    return max(IMAGES_PER_CHUNK, min(MAX_IMAGES_PER_SHARD, fitting))


@dataclass(frozen=True)
class PackedImages:
    """A dataset's images, read from disk as they are asked for.

    Attributes:
        manifest: one row per sample (`MANIFEST_COLUMNS`); the row number is the sample's row in the store.
        size: height and width in pixels.
        fill: grey level of the background, 0 to 255.
        seen: the seen classes, sorted; a train or test image's target is its label's position here.
        unseen: the unseen classes, sorted.
    """

    manifest: pd.DataFrame
    size: int
    fill: int
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    _pixels: zarr.Array | Pixels

    def in_memory(self, limit: int = 1 << 30) -> "PackedImages":
        """Hold the pixels in memory if they take at most `limit` bytes, for fast random access; else read from disk."""
        if self._pixels.nbytes > limit:
            return self
        return replace(self, _pixels=self._pixels[:])

    def rows(self, *splits: str) -> Rows:
        """Row numbers of the samples of these splits, ascending."""
        return np.flatnonzero(self.manifest["split"].isin(splits))

    def targets(self, rows: Rows) -> NDArray[np.int64]:
        """Positions in `seen` of the labels of train or test rows, (B,)."""
        return np.searchsorted(np.array(self.seen), self.manifest["label"].to_numpy(dtype=str)[rows])

    def read(self, rows: Rows) -> Pixels:
        """Read samples in the order given: (B, S, S, 3) uint8."""
        if isinstance(self._pixels, np.ndarray):
            return self._pixels[rows]
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            return np.asarray(self._pixels[int(rows[0]) : int(rows[-1]) + 1])
        order = np.argsort(rows, kind="stable")
        pixels = np.empty((len(rows), self.size, self.size, 3), dtype=np.uint8)
        pixels[order] = self._pixels.oindex[rows[order]]
        return pixels

    def batches(self, batches: Iterable[Rows]) -> Iterator[tuple[Rows, Pixels]]:
        """Yield (rows, pixels) for each batch of rows, reading one batch ahead in a thread."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead = None
            for rows in batches:
                following = (rows, reader.submit(self.read, rows))
                if ahead is not None:
                    yield ahead[0], ahead[1].result()
                ahead = following
            if ahead is not None:
                yield ahead[0], ahead[1].result()


def open_images(path: Path) -> PackedImages:
    """Open a packed dataset.

    Raises:
        UserError: it is missing, unfinished, or of another version.
    """
    try:
        group = zarr.open_group(path / "images.zarr", mode="r")
        manifest = pd.read_csv(path / "manifest.csv", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no packed images there; run the prepare stage (`dvc repro`)") from None
    found = group.attrs.get("format")
    if found != FORMAT or not group.attrs.get("complete"):
        raise UserError(
            f"{path}: must be a finished store of format {FORMAT}, found {found!r}; "
            "run the prepare stage again (`dvc repro --force prepare`)"
        )
    attrs = group.attrs.asdict()
    return PackedImages(
        manifest, int(attrs["size"]), int(attrs["fill"]), tuple(attrs["seen"]), tuple(attrs["unseen"]), group["pixels"]
    )


def batch_rows(rows: Rows, batch_size: int) -> list[Rows]:
    """Cut rows into consecutive batches; the last may be smaller."""
    return [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]


def _check_manifest(manifest: pd.DataFrame) -> None:
    if tuple(manifest.columns) != MANIFEST_COLUMNS:
        raise ValueError(f"a manifest has the columns {MANIFEST_COLUMNS}, found {tuple(manifest.columns)}")
    order = manifest["split"].map({split: i for i, split in enumerate(SPLITS)})
    if order.isna().any() or not order.is_monotonic_increasing:
        raise ValueError(f"a manifest's rows are grouped by split in the order {SPLITS}")


def _blocks(images: Iterable[Pixels], size: int) -> Iterator[list[Pixels]]:
    block: list[Pixels] = []
    for image in images:
        block.append(image)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
