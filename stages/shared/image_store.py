"""The packed image store: every image of a dataset, decoded once, as uint8 in one Zarr array beside its manifest.

    <dataset>/images.zarr         array `pixels` (sample, height, width, 3) uint8;
                                  attributes: format, size, fill, complete
    <dataset>/manifest.csv        one row per sample, in the array's order: sample_id, label, group, source, sha256
    <dataset>/folds/<fold>.csv    which samples one fold uses, in the manifest's order: sample_id, split

A fold is one choice of the unseen classes: `0`, `1`, ..., and `all`, which leaves none out. Images are packed once for
all of them, and a cell depends on the table of its own fold alone.

Rows are sorted by class and id. Chunks are small (a batch of random rows reads little more than itself) and sit in few
shard files (a checkout of few files is fast).
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

FORMAT = "whichlayer.images/2"
SPLITS = ("train", "test", "unseen")
MANIFEST_COLUMNS = ("sample_id", "label", "group", "source", "sha256")
FOLD_COLUMNS = ("sample_id", "split")
AGAIN = "run the prepare stage again (`dvc repro --force prepare`)"

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
        manifest: columns `MANIFEST_COLUMNS`, sorted by label and id; `group` is empty where images are not grouped.
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
    group.attrs.update(format=FORMAT, size=size, fill=fill, complete=True)


def write_fold(path: Path, fold: str, splits: pd.DataFrame) -> None:
    """Write which samples one fold uses, and as what.

    Args:
        path: the dataset's folder.
        fold: its name: a number, or `all`.
        splits: columns `FOLD_COLUMNS`, in the manifest's order.
    """
    table = fold_path(path, fold)
    table.parent.mkdir(parents=True, exist_ok=True)
    splits[list(FOLD_COLUMNS)].to_csv(table, index=False)


def fold_path(path: Path, fold: str) -> Path:
    """Where a dataset's folder has the table of one fold."""
    return path / "folds" / f"{fold}.csv"


def fold_files(path: Path, fold: str) -> list[Path]:
    """List what a cell reads of a dataset's folder: all that `open_images` opens for one fold."""
    return [path / "images.zarr", path / "manifest.csv", fold_path(path, fold)]


def images_per_shard(size: int) -> int:
    """How many images of size x size one shard file holds: whole chunks, within `MAX_SHARD_BYTES`."""
    fitting = MAX_SHARD_BYTES // (size * size * 3) // IMAGES_PER_CHUNK * IMAGES_PER_CHUNK
    return max(IMAGES_PER_CHUNK, min(MAX_IMAGES_PER_SHARD, fitting))


@dataclass(frozen=True)
class PackedImages:
    """A dataset's images in the splits of one fold, read from disk as they are asked for.

    Attributes:
        manifest: one row per sample (`MANIFEST_COLUMNS`, then `split`: empty where the fold does not use it); the row
            number is the sample's row in the store.
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

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, in the order of `SPLITS`."""
        present = set(self.manifest["split"])
        return tuple(split for split in SPLITS if split in present)

    def rows(self, *splits: str) -> Rows:
        """Row numbers of the samples of these splits, split after split in the order of `SPLITS`, each ascending."""
        asked = [split for split in SPLITS if split in splits]
        return np.concatenate(
            [np.flatnonzero(self.manifest["split"] == split) for split in asked] or [np.empty(0, int)]
        )

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


def open_images(path: Path, fold: str) -> PackedImages:
    """Open a packed dataset in the splits of one fold.

    Raises:
        UserError: it is missing, unfinished, of another version or damaged, or has no such fold.
    """
    try:
        group = zarr.open_group(path / "images.zarr", mode="r")
        manifest = pd.read_csv(path / "manifest.csv", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no packed images there; run the prepare stage (`dvc repro`)") from None
    found = group.attrs.get("format")
    if found != FORMAT or not group.attrs.get("complete"):
        raise UserError(f"{path}: must be a finished store of format {FORMAT}, found {found!r}; {AGAIN}")
    splits = _read_fold(path, fold, manifest)
    attrs = group.attrs.asdict()
    labels = manifest["label"]
    seen, unseen = (tuple(sorted(labels[splits.isin(which)].unique())) for which in (SPLITS[:2], SPLITS[2:]))
    manifest = manifest.assign(split=splits)
    return PackedImages(manifest, int(attrs["size"]), int(attrs["fill"]), seen, unseen, group["pixels"])


def _read_fold(path: Path, fold: str, manifest: pd.DataFrame) -> "pd.Series[str]":
    """Read the split of every row of the manifest, empty where the fold does not use it."""
    table = fold_path(path, fold)
    if not table.is_file():
        present = sorted(file.stem for file in table.parent.glob("*.csv"))
        raise UserError(f"{path}: has no fold {fold!r}, but {', '.join(present) or 'none'}; {AGAIN}")
    splits = pd.read_csv(table, dtype=str, keep_default_na=False)
    known = splits["sample_id"].isin(manifest["sample_id"])
    if not known.all() or not splits["split"].isin(SPLITS).all() or splits["sample_id"].duplicated().any():
        raise UserError(f"{table}: must name samples of {path / 'manifest.csv'}, each once, by split; {AGAIN}")
    by_id = splits.set_index("sample_id")["split"]
    return manifest["sample_id"].map(by_id).fillna("").astype(str)


def batch_rows(rows: Rows, batch_size: int) -> list[Rows]:
    """Cut rows into consecutive batches; the last may be smaller."""
    return [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]


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
