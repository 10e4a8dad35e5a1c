"""Features of a run that may be cut short: finished shards of images lie beside the output and are taken up again.

    .<output>.unfinished/<number>-<key>.npz    one shard: features, sha256, and which images it lacks and why

The key is a hash of all that determines the shard: the network, how images are decoded, and the names, sizes and times
of its files. A shard of another key is not used.
"""

import hashlib
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from stages.commands.features.extractor import EmbedPixels, Extractor, Float32
from stages.commands.features.image_files import ImageFiles, refuse_unreadable
from stages.prepare.decode import decode_many
from stages.shared.networks.hub import without_advice
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.plain_text import plain
from stages.shared.runtime.scratch import remove

IMAGES_PER_SHARD = 1024

DAMAGED = (BadZipFile, EOFError, KeyError, OSError, RuntimeError, ValueError, zlib.error)
"""What reading a file of arrays raises where it is cut or bits of it have flipped."""


@dataclass(frozen=True)
class Shard:
    """Consecutive images, embedded.

    Attributes:
        paths: (n,) of the images.
        sha256: (n,) of their files, hexadecimal.
        features: (n, D) float32.
        unreadable: path and reason of the images that it lacks.
    """

    paths: list[str]
    sha256: list[str]
    features: Float32
    unreadable: dict[str, str]


@dataclass(frozen=True)
class Shards:
    """The shards of one run, in their folder.

    Attributes:
        folder: where they lie.
        images: what is embedded.
        extractor: by what.
    """

    folder: Path
    images: ImageFiles
    extractor: Extractor

    def fill(self, *, skip: bool) -> None:
        """Embed every shard that is not there yet.

        Args:
            skip: whether images that cannot be decoded are left out.

        Raises:
            UserError: one cannot be decoded; the shards before it stay.
        """
        missing = []
        for start, path in self._paths.items():
            kept = self._read_kept(start) if path.is_file() else None
            if kept is None:
                missing.append(start)
            else:
                self._check(kept.unreadable, skip)
        count = sum(len(self._range(start)) for start in missing)
        done = progress(self._embed(missing, skip), total=count, what="features", unit="images")
        for _ in done:
            pass

    def __iter__(self) -> Iterator[Shard]:
        """Read the shards in order."""
        return map(self._read, self._paths)

    @property
    def images_per_shard(self) -> int:
        """A whole number of batches, so that no batch depends on where a run was cut short."""
        size = self.extractor.batch_size
        return max(1, IMAGES_PER_SHARD // size) * size

    @cached_property
    def _paths(self) -> dict[int, Path]:
        """Every shard's first image and file; the state of all images is taken once, before any is read."""
        return {start: self._path(start) for start in range(0, len(self.images.paths), self.images_per_shard)}

    def _range(self, start: int) -> range:
        return range(start, min(start + self.images_per_shard, len(self.images.paths)))

    def _path(self, start: int) -> Path:
        rows = self._range(start)
        determined = [self.extractor.identity, self.images.state(rows.start, rows.stop)]
        key = hashlib.sha256(json.dumps(determined, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{start // self.images_per_shard:06}-{key}.npz"

    def _check(self, unreadable: dict[str, str], skip: bool) -> None:
        if not skip:
            refuse_unreadable(self.images.where, unreadable)

    def _embed(self, starts: list[int], skip: bool) -> Iterator[int]:
        """Embed shards and write them; yield once for each image."""
        if not starts:
            return
        with self.extractor.running() as embed:
            for start in starts:
                parts: dict[str, Any] = {"features": [], "sha256": [], "unreadable": {}}
                yield from self._embed_shard(start, embed, parts)
                self._check(parts["unreadable"], skip)
                self._write(self._paths[start], parts)

    def _embed_shard(self, start: int, embed: EmbedPixels, parts: dict[str, Any]) -> Iterator[int]:
        rows, size = self._range(start), self.extractor.batch_size
        batch: list[NDArray[np.uint8]] = []
        for row, (sha256, pixels) in zip(rows, self._decoded(rows), strict=True):
            if isinstance(pixels, str):
                parts["unreadable"][self.images.paths[row]] = pixels
            else:
                parts["sha256"].append(sha256)
                batch.append(pixels)
            if len(batch) == size or (batch and row == rows[-1]):
                parts["features"].append(embed(np.stack(batch)))
                batch = []
            yield row

    def _decoded(self, rows: range) -> Iterator[tuple[str, NDArray[np.uint8] | str]]:
        of = self.extractor
        contents = self.images.contents(rows.start, rows.stop)
        return decode_many(contents, size=of.image_size, fit=of.fit, fill=of.fill)

    def _write(self, path: Path, parts: dict[str, Any]) -> None:
        empty = np.empty((0, self.extractor.width), dtype=np.float32)
        features = np.concatenate(parts["features"] or [empty])
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            np.savez(
                file,
                features=features,
                sha256=np.array(parts["sha256"], dtype="U64"),
                unreadable=np.array(json.dumps(parts["unreadable"])),
            )
        unfinished.replace(path)

    def _read_kept(self, start: int) -> Shard | None:
        """Read a shard of an earlier run; None, and a line that says so, where it is damaged."""
        try:
            return self._read(start)
        except DAMAGED as error:
            found = f"{self._paths[start]}: damaged ({without_advice(error) or type(error).__name__})"
            print(plain(f"features: {found}; its images are embedded again"), file=sys.stderr, flush=True)
            return None

    def _read(self, start: int) -> Shard:
        with self._paths[start].open("rb") as file, np.load(file, allow_pickle=False) as saved:
            unreadable: dict[str, str] = json.loads(str(saved["unreadable"]))
            paths = [self.images.paths[row] for row in self._range(start)]
            kept = [path for path in paths if path not in unreadable]
            return Shard(kept, saved["sha256"].tolist(), saved["features"], unreadable)


@contextmanager
def unfinished_folder(out: Path) -> Iterator[Path]:
    """Give the folder of an output's shards to one run at a time; it stays if something fails after a shard was done.

    Raises:
        UserError: another run writes this output.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            try:
                yield folder
                remove(folder)
            finally:
                if not any(folder.glob("*.npz")):
                    remove(folder)
    except Timeout:
        raise UserError(f"{out}: another run is writing it; wait for that, or name another --out") from None
