"""Features of a run that may be cut short: finished shards of images lie beside the output and are taken up again.

    .<output>.unfinished/<number>-<key>.npz    one shard: features, sha256, and which images it lacks and why

The key is a hash of all that determines the shard: the network, how images are decoded, and the names, sizes and times
of its files. A shard of another key is not used. Each says its own name inside, so that none passes for another.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from stages.commands.features.image_files import refuse_unreadable
from stages.commands.features.sources import Extractor, Float32
from stages.prepare.decode import decode_many
from stages.prepare.limits import RawFiles
from stages.shared.networks.hub import without_advice
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import UserError, printable
from stages.shared.runtime.scratch import remove

IMAGES_PER_SHARD = 1024


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


class Shards:
    """The shards of one run, in their folder.

    Args:
        folder: where they lie.
        images: what is embedded. Their state is taken once, before any is read.
        extractor: by what.
    """

    def __init__(self, folder: Path, images: RawFiles, extractor: Extractor) -> None:
        self._images, self._extractor = images, extractor
        # a whole number of batches, so that no batch depends on where a run was cut short
        size = max(1, IMAGES_PER_SHARD // extractor.batch_size) * extractor.batch_size
        identity = extractor.identity
        self._shards: list[tuple[Path, Sequence[str]]] = []
        for number, start in enumerate(range(0, len(images.paths), size)):
            paths = images.paths[start : start + size]
            determined = json.dumps([identity, [_state(images.where, path) for path in paths]], sort_keys=True)
            key = hashlib.sha256(determined.encode()).hexdigest()[:16]
            self._shards.append((folder / f"{number:06}-{key}.npz", paths))

    def __iter__(self) -> Iterator[Shard]:
        """Read the shards in order."""
        return (_read(file, paths, self._extractor.width) for file, paths in self._shards)

    def fill(self, *, skip: bool) -> None:
        """Embed every shard that is not there yet.

        Args:
            skip: whether images that cannot be decoded are left out.

        Raises:
            UserError: one cannot be decoded; the shards before it stay.
        """
        missing = []
        for file, paths in self._shards:
            kept = _read_kept(file, paths, self._extractor.width)
            if kept is None:
                missing.append((file, paths))
            elif not skip:
                refuse_unreadable(self._images.where, kept.unreadable)
        count = sum(len(paths) for _, paths in missing)
        for _ in progress(self._embed(missing, skip), total=count, what="features", unit="images"):
            pass

    def _embed(self, missing: Sequence[tuple[Path, Sequence[str]]], skip: bool) -> Iterator[str]:
        """Embed shards and write them; yield every image."""
        if not missing:
            return
        of = self._extractor
        with of.running() as embed:
            for file, paths in missing:
                shard, batch = Shard([], [], np.empty((0, of.width), np.float32), {}), []
                features = [shard.features]
                decoded = decode_many([self._images.content(path) for path in paths], **of.decode)
                for path, (sha256, pixels) in zip(paths, decoded, strict=True):
                    if isinstance(pixels, str):
                        shard.unreadable[path] = pixels
                    else:
                        shard.paths.append(path)
                        shard.sha256.append(sha256)
                        batch.append(pixels)
                    if batch and (len(batch) == of.batch_size or path == paths[-1]):
                        features.append(embed(np.stack(batch)))
                        batch = []
                    yield path
                if not skip:
                    refuse_unreadable(self._images.where, shard.unreadable)
                _write(file, replace(shard, features=np.concatenate(features)))


def _state(where: Path, path: str) -> tuple[str, int, int]:
    """Return name, size and time of change of a file; of an archive's member the archive's."""
    try:
        found = (where / path if where.is_dir() else where).stat()
    except OSError:  # a link to nothing: reading will say so
        return path, -1, -1
    return path, found.st_size, found.st_mtime_ns


def _write(file: Path, shard: Shard) -> None:
    unfinished, unreadable = file.with_suffix(".tmp"), np.array(json.dumps(shard.unreadable))
    sha256, name = np.array(shard.sha256, dtype="U64"), np.array(file.stem)
    with unfinished.open("wb") as opened:
        np.savez(opened, name=name, features=shard.features, sha256=sha256, unreadable=unreadable)
    remove(file)  # a folder may have its name
    unfinished.replace(file)


def _read(file: Path, paths: Sequence[str], width: int) -> Shard:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as saved:
        name, features, sha256 = str(saved["name"]), saved["features"], saved["sha256"].tolist()
        unreadable: dict[str, str] = {**json.loads(str(saved["unreadable"]))}
    kept = [path for path in paths if path not in unreadable]
    if name != file.stem:
        raise ValueError(f"it is {name}")
    if (features.shape, features.dtype, len(sha256)) != ((len(kept), width), np.float32, len(kept)):
        raise ValueError("it has other images or another width")
    return Shard(kept, sha256, features, unreadable)


def _read_kept(file: Path, paths: Sequence[str], width: int) -> Shard | None:
    """Read a shard of an earlier run; None where there is none, or it is damaged, which a line says."""
    try:
        return _read(file, paths, width) if file.is_file() else None
    except Exception as error:  # NumPy and zipfile raise anything on a file that is cut or has flipped bits
        damage = f"{file}: damaged ({without_advice(error) or type(error).__name__})"
        print(printable(f"features: {damage}; its images are embedded again"), file=sys.stderr, flush=True)
        return None


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
