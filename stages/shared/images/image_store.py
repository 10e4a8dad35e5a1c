"""The packed image store: every image of a dataset, decoded once, as uint8 in one Zarr array beside its manifest.

    <dataset>/images.zarr         array `pixels` (sample, height, width, 3) uint8;
                                  attributes: format, size, fill, made_with, complete
    <dataset>/manifest.csv        one row per sample, in the array's order: sample_id, label, group, source, sha256
    <dataset>/digests.json        of all of these (`stages.shared.workflow.digests`)
    <dataset>/folds/<fold>.csv    which samples one fold uses, in the manifest's order: sample_id, split; where its
                                  classes, all unseen, are scored in sets, also set, seen_as
    <dataset>/folds/<fold>.digests.json        of this table, and in its id the hash of the images' digests

A fold is one choice of the unseen classes: `0`, `1`, ..., and `all`, which leaves none out. Images are packed once for
all of them, and a cell depends only on the table of its own fold: so each table has digests of its own, the one file
that stands for all that a cell reads.

Rows are sorted by class and id. Chunks are small (a batch of random rows reads little more than itself) and sit in few
shard files (a checkout of few files is fast).
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..runtime.errors import UserError
from ..workflow.digests import DIGESTS, Digests, Record, read_digests, rerun_hint, write_digests
from ..workflow.shard_reader import ShardReader

FORMAT, FOLD_FORMAT = "whichlayer.images/3", "whichlayer.fold/2"
STAGE = "prepare"
STORE, MANIFEST = "images.zarr", "manifest.csv"
SPLITS = ("train", "test", "unseen")
MANIFEST_COLUMNS = ("sample_id", "label", "group", "source", "sha256")
FOLD_COLUMNS = ("sample_id", "split")
SET_COLUMNS = ("set", "seen_as")
"""Number of the set of an image's class, empty where it is in none; the image's split where its class is not of the set
that is scored, `train`, `test` or none."""

MAX_IMAGES_PER_CHUNK = 8
MAX_CHUNK_BYTES = 96 << 10  # eight images of 64 px
MAX_IMAGES_PER_SHARD = 2048
MAX_SHARD_BYTES = 64 << 20  # a shard is buffered while it is written

Pixels = NDArray[np.uint8]  # (B, S, S, 3), RGB
Rows = NDArray[np.int64]  # (B,)
T = TypeVar("T", bound=np.generic)


def fold_path(path: Path, fold: str) -> Path:
    """Return the path of the table of one fold."""
    return path / "folds" / f"{fold}.csv"


def fold_digests(path: Path, fold: str) -> Path:
    """Return the path of the digests of the table of one fold."""
    return path / "folds" / f"{fold}.{DIGESTS}"


def fold_of(images: Record, fold: str) -> dict[str, str | int]:
    """Return the id of the table of one fold: the dataset, and the hash of all that is known of its images."""
    return {**images.of, "fold": fold, "images": images.hash}


def fold_files(path: Path, fold: str) -> list[Path]:
    """List what a cell reads of a dataset's folder: all that `open_images` opens for one fold."""
    return [path / STORE, path / MANIFEST, path / DIGESTS, fold_path(path, fold), fold_digests(path, fold)]


@dataclass(frozen=True)
class PackedImages:
    """A dataset's images in the splits of one fold, read from disk as they are asked for.

    Attributes:
        manifest: one row per sample (`MANIFEST_COLUMNS`, then `split`: empty where the fold does not use it, and
            `SET_COLUMNS` where its classes are scored in sets); the row number is the sample's row in the store.
        size: height and width in pixels.
        fill: grey level of the background, 0 to 255.
        seen: the seen classes, sorted; a train or test image's target is its label's position here.
        unseen: the unseen classes, sorted.
        made_with: versions of the libraries that decoded them.
    """

    manifest: pd.DataFrame
    size: int
    fill: int
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    _pixels: ShardReader | Pixels
    made_with: Mapping[str, str] = field(default_factory=dict)

    def in_memory(self, limit: int = 1 << 30) -> "PackedImages":
        """Hold the pixels in memory if they take at most `limit` bytes, for fast random access; else read from disk."""
        if len(self.manifest) * self.size**2 * 3 > limit:
            return self
        return replace(self, _pixels=self.read(np.arange(len(self.manifest))))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, in the order of `SPLITS`."""
        present = set(self.manifest["split"])
        return tuple(split for split in SPLITS if split in present)

    def rows(self, *splits: str) -> Rows:
        """Return the rows of the samples of these splits, split after split in the order of `SPLITS`, ascending."""
        asked = [split for split in SPLITS if split in splits]
        return np.concatenate(
            [np.flatnonzero(self.manifest["split"] == split) for split in asked] or [np.empty(0, int)]
        )

    def targets(self, rows: Rows) -> NDArray[np.int64]:
        """Return the positions in `seen` of the labels of train or test rows, (B,)."""
        return np.searchsorted(np.array(self.seen), self.manifest["label"].to_numpy(dtype=str)[rows])

    def read(self, rows: Rows) -> Pixels:
        """Read samples in the order given: (B, S, S, 3) uint8.

        Raises:
            UserError: a file that holds some of them is not as it was written.
        """
        return self._pixels[rows] if isinstance(self._pixels, np.ndarray) else self._pixels.read(rows)

    def batches(self, batches: Iterable[Rows]) -> Iterator[tuple[Rows, Pixels]]:
        """Yield (rows, pixels) for each batch of rows, reading one batch ahead in a thread."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            reads: Iterator[Any] = ((rows, reader.submit(self.read, rows)) for rows in batches)
            for (rows, pixels), _ in pairwise(chain(reads, [None])):  # which asks for the next before it gives one
                yield rows, pixels.result()


def open_images(path: Path, fold: str, *, dataset: str | None = None) -> PackedImages:
    """Open a packed dataset in the splits of one fold; pixels are compared with their digests when they are read.

    Args:
        path: the dataset's folder.
        fold: which.
        dataset: the id that it must have; None: any.

    Raises:
        UserError: it is missing, unfinished, of another version or dataset or damaged, or has no such fold.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no packed images there; run the prepare stage (`dvc repro`)")
    digests = open_prepared(path, dataset)
    digests.check_sizes(STORE).check(f"{STORE}/zarr.json", f"{STORE}/pixels/zarr.json")
    manifest = read_manifest(digests)
    of_fold = _read_fold(path, fold, manifest, digests.record)
    import zarr  # here: aggregate reads the manifest alone

    group = zarr.open_group(path / STORE, mode="r", zarr_format=3, use_consolidated=False)
    attrs, pixels = group.attrs.asdict(), ShardReader(digests, f"{STORE}/pixels", group["pixels"])
    labels, splits = manifest["label"], of_fold["split"]
    seen, unseen = (tuple(sorted(labels[splits.isin(which)].unique())) for which in (SPLITS[:2], SPLITS[2:]))
    manifest = manifest.join(of_fold)
    made_with = attrs.get("made_with", {})
    return PackedImages(manifest, int(attrs["size"]), int(attrs["fill"]), seen, unseen, pixels, made_with)


def _read_fold(path: Path, fold: str, manifest: pd.DataFrame, images: Record) -> pd.DataFrame:
    """Read the columns of a fold, of every row of the manifest; empty where the fold does not use it."""
    table = fold_path(path, fold)
    if not fold_digests(path, fold).is_file() and not table.is_file():
        present = sorted(file.stem for file in table.parent.glob("*.csv"))
        raise UserError(
            f"{path}: has no fold {fold!r}, but {', '.join(present) or 'none'}; {rerun_hint(STAGE, images.of)}"
        )
    of = fold_of(images, fold)
    read_digests(fold_digests(path, fold), format=FOLD_FORMAT, of=of, stage=STAGE).check(table.name)
    columns = pd.read_csv(table, dtype=str, keep_default_na=False).set_index("sample_id")
    return pd.DataFrame({name: manifest["sample_id"].map(columns[name]).fillna("").astype(str) for name in columns})


def batch_rows(rows: Rows, batch_size: int) -> list[Rows]:
    """Cut rows into consecutive batches; the last may be smaller."""
    return [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]


def filled(batch: NDArray[T], batch_size: int) -> NDArray[T]:
    """Fill a smaller batch up with repeats, (B, ...) -> (max(B, batch_size), ...).

    What a network computes of an image differs in its last digits in small batches.
    """
    return np.resize(batch, (batch_size, *batch.shape[1:])) if len(batch) < batch_size else batch


def open_prepared(path: Path, dataset: str | None) -> Digests:
    """Read the digests of a dataset's folder, to check its files before they are read; None: of any dataset.

    Raises:
        UserError: it is unfinished, or of another version or dataset.
    """
    of = {} if dataset is None else {"dataset": dataset}
    return read_digests(path / DIGESTS, format=FORMAT, of=of, stage=STAGE)


def read_manifest(digests: Digests) -> pd.DataFrame:
    """Read the manifest of a dataset's folder, all columns as text.

    Raises:
        UserError: it is not as it was written.
    """
    digests.check(MANIFEST)
    return pd.read_csv(digests.folder / MANIFEST, dtype=str, keep_default_na=False)


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
        ValueError: the number of images is not the manifest's.
    """
    path.mkdir(parents=True, exist_ok=True)
    import zarr

    group = zarr.create_group(path / STORE)
    count, per_shard = len(manifest), images_per_shard(size)
    array = group.create_array(
        "pixels",
        shape=(count, size, size, 3),
        dtype="uint8",
        chunks=(images_per_chunk(size), size, size, 3),
        shards=(per_shard, size, size, 3),
        compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
        dimension_names=("sample", "height", "width", "channel"),
    )
    written, waiting = 0, iter(images)
    while block := list(islice(waiting, per_shard)):
        array[written : written + len(block)] = np.stack(block)
        written += len(block)
    if written != count:
        raise ValueError(f"the manifest lists {count} images, {written} were given")
    manifest.to_csv(path / MANIFEST, index=False)
    made_with = {"pillow": version("pillow")}
    group.attrs.update(format=FORMAT, size=size, fill=fill, made_with=made_with, complete=True)
    write_digests(path / DIGESTS, [path / STORE, path / MANIFEST], format=FORMAT, of={"dataset": dataset})


def write_fold(path: Path, fold: str, splits: pd.DataFrame) -> None:
    """Write which samples one fold uses, and as what.

    Args:
        path: the dataset's folder, with its images.
        fold: its name: a number, or `all`.
        splits: columns `FOLD_COLUMNS`, and `SET_COLUMNS` where its classes are scored in sets, in the manifest's order.
    """
    table = fold_path(path, fold)
    table.parent.mkdir(parents=True, exist_ok=True)
    splits[[*FOLD_COLUMNS, *(name for name in SET_COLUMNS if name in splits)]].to_csv(table, index=False)
    images = Record.model_validate_json((path / DIGESTS).read_bytes())
    write_digests(fold_digests(path, fold), [table], format=FOLD_FORMAT, of=fold_of(images, fold))


def images_per_chunk(size: int) -> int:
    """Number of images of size x size that are compressed together: those of a random batch lie in different chunks."""
    return max(1, min(MAX_IMAGES_PER_CHUNK, MAX_CHUNK_BYTES // (size * size * 3)))


def images_per_shard(size: int) -> int:
    """Number of images of size x size in a shard file: whole chunks, within `MAX_SHARD_BYTES`."""
    per_chunk = images_per_chunk(size)
    fitting = min(MAX_IMAGES_PER_SHARD, MAX_SHARD_BYTES // (size * size * 3))
    return max(per_chunk, fitting // per_chunk * per_chunk)
