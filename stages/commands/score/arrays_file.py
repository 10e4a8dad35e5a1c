"""The arrays of an .npz file, a Zarr group or a table of features: all shapes at once, values an array at a time."""

import json
import math
import stat
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import zarr
from numpy.lib import format as npy
from numpy.typing import NDArray

from stages.commands.project import FEATURES
from stages.shared.networks.hub import without_advice
from stages.shared.runtime.errors import UserError, irregular, limited_memory

SEEN_GROUP = "seen"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What NumPy writes; zipfile unpacks a block of the others at once, whatever it holds."""

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

CODECS = ("bytes", "vlen-utf8", "transpose", "sharding_indexed", "zstd", "gzip", "blosc", "crc32c")
"""What a Zarr array may be stored with. Under other names zarr runs whatever an installed package has registered."""


FREE_BYTES, MAX_RATIO = 2**28, 20
"""What all arrays together may take whatever the file's size, and else how many times that: a kilobyte may say 1 TB."""

FREE_ROOM = 2**29
"""Bytes that reading may take beside arrays: a chunk or a text of a kilobyte may unpack to gigabytes."""

BATCH, ARROW_ROOM = 256, 2**30
"""Rows of a table that are read at once, and what Arrow reserves before it reads any."""

MAX_TEXT = 4096
"""Characters of a name."""

MAX_CHUNKS, MAX_FILL = 100_000, 100
"""Of a Zarr array: reading takes a tenth of a millisecond for each chunk."""

GROUP_FILES = ("zarr.json", ".zgroup", ".zarray")
"""Of format 3, and of earlier ones."""

MAX_METADATA_BYTES = 2**23


class Described(NamedTuple):
    """An array's shape and type."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass
class ArraysFile:
    """Arrays by name; those of the group `seen` are called `seen/<name>`.

    Attributes:
        path: the file.
        described: name -> shape and type, in the order of the file, if it keeps one.
        ordered: whether it keeps the order in which arrays were written.
        notes: what a user should know of it, one sentence each.
        room: bytes of memory that reading takes in any case.
    """

    path: Path
    described: dict[str, Described]
    ordered: bool
    _values: Callable[[str], NDArray[Any]]
    notes: Sequence[str] = ()
    room: int = 0

    def read(self, name: str) -> NDArray[Any]:
        """Read one array; objects, which only unpickling would give, are refused.

        Raises:
            UserError: it is damaged.
        """
        shape, dtype = self.described[name]
        size = abs(math.prod(shape)) * dtype.itemsize
        with readable(f"array {name!r} must be readable", "write the file again", self.room + 3 * size):
            return self._values(name)


@contextmanager
def readable(what: str, remedy: str, own_room: int = 0) -> Iterator[None]:
    """Name what NumPy, zipfile, zarr and its codecs raise, which is anything on a file that is not their own.

    Args:
        what: must be readable.
        remedy: of the user.
        own_room: bytes of memory that may be taken meanwhile beside `FREE_ROOM`; more is a MemoryError, where the
            system keeps such a limit.
    """
    room = FREE_ROOM + own_room
    try:
        with limited_memory(room):
            yield
    except UserError:
        raise
    except Exception as error:
        words = without_advice(error)
        reason = textwrap.shorten(type(error).__name__ + (f": {words}" if words else ""), 300)
        if isinstance(error, MemoryError):
            reason, remedy = f"no room in {room:,} bytes of memory", f"free memory, or {remedy}"
        raise UserError(f"{what}, found {reason}; {remedy}") from None


def open_arrays(path: Path, resources: ExitStack) -> ArraysFile:
    """Open an .npz file, the folder of a Zarr group, or a .parquet of features.

    Raises:
        UserError: it is missing, damaged or of another kind, or has links or other special files within.
    """
    kinds = f"{path}: must be an .npz file, the folder of a Zarr group, or what `whichlayer features` wrote"
    if path.is_dir() and not any((path / name).exists() for name in GROUP_FILES):  # it may be large
        raise UserError(f"{kinds}, found a folder without {GROUP_FILES[0]}")
    with readable(f"{kinds}, and readable", "write it again"):
        stored = _check_regular(path)
        if path.is_dir():
            file = _open_zarr(path)
        else:
            file = _open_parquet(path) if path.suffix == ".parquet" else _open_npz(path, resources)
        # in memory, texts of unknown length aside; a wrong shape may be below 0
        size = sum(abs(math.prod(shape)) * dtype.itemsize for shape, dtype in file.described.values())
        if size > (most := max(FREE_BYTES, MAX_RATIO * stored)):
            raise UserError(
                f"{path}: its arrays must take at most {most:,} bytes, since it has {stored:,}, found {size:,}; write "
                "it again with all values, not compressed"
            )
        return file


def _check_regular(path: Path) -> int:
    """Check that all files are regular ones: links may lead to private files, and a FIFO would be waited for.

    Returns:
        The bytes of all files.
    """
    files = {path: path.stat()}  # which the user has named and which may be a link
    if path.is_dir():
        files = {file: file.lstat() for file in path.rglob("*")}
    for file, status in files.items():
        kind = irregular(status.st_mode)
        if kind and not stat.S_ISDIR(status.st_mode):
            raise UserError(f"{file}: must be a regular file, found {kind}; replace it by the file itself")
    return sum(status.st_size for status in files.values())


def _open_npz(path: Path, resources: ExitStack) -> ArraysFile:
    archive = resources.enter_context(zipfile.ZipFile(path))
    described: dict[str, Described] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if member.compress_type not in METHODS or name in described:
            found = "twice" if name in described else "compressed in another way"
            raise UserError(
                f"{path}: must hold every array once, stored or deflated, found {name!r} {found}; write it again with "
                "numpy.savez or numpy.savez_compressed"
            )
        if not member.is_dir():
            with archive.open(member) as file:
                shape, _, dtype = HEADERS[npy.read_magic(file)](file)
            described[name] = Described(shape, dtype)

    def read(name: str) -> NDArray[Any]:
        with archive.open(f"{name}.npy") as member:
            values = np.asarray(npy.read_array(member, allow_pickle=False))
            if member.read(1):
                raise ValueError(f"more bytes than those of its shape {values.shape}")
            return values

    return ArraysFile(path, described, True, read)


def _open_parquet(path: Path) -> ArraysFile:
    """Open a table that `whichlayer features` wrote; what it is of is the array `about`, as in its .npz files."""
    with path.open("rb") as table:  # at its end are the bytes of its metadata, some hundred for each column
        table.seek(max(0, path.stat().st_size - 8))
        end = table.read()
    if end.endswith(b"PAR1") and (found := int.from_bytes(end[:4], "little")) > MAX_METADATA_BYTES:
        raise UserError(
            f"{path}: must have at most {MAX_METADATA_BYTES} bytes of metadata, found {found}; write it again"
        )
    file = pq.ParquetFile(path)
    kinds, about = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True)), file.schema_arrow.metadata
    if "path" not in kinds or not hasattr(kinds.get("features"), "list_size") or FEATURES.encode() not in (about or {}):
        columns = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise UserError(
            f"{path}: must be a table as `whichlayer features` writes it: path, features (lists of a fixed size), and "
            f"in its metadata what of, found {textwrap.shorten(columns, 300)}. pandas keeps neither: choose rows with "
            "pyarrow (pq.write_table(pq.read_table(FILE, filters=...), NEW)), write embeddings of your own as .npz"
        )
    count, width = file.metadata.num_rows, kinds["features"].list_size
    shapes = {"path": (count,), "features": (count, width), "about": ()}

    def read(name: str) -> NDArray[Any]:
        if name == "about":
            return np.array(about[FEATURES.encode()].decode())
        batches = (batch.column(0) for batch in file.iter_batches(BATCH, columns=[name]))
        if name == "features":
            vectors = (batch.flatten().to_numpy().reshape(-1, width) for batch in batches)
            return np.concatenate([np.empty((0, width), "f4"), *vectors])
        texts: list[str] = []
        for batch in batches:
            texts += batch.to_pylist()
            if max(map(len, texts[-BATCH:])) > MAX_TEXT:  # it may be stored once for all rows
                raise ValueError(f"a text of more than {MAX_TEXT:,} characters")
        return np.array(texts, object)

    described = {name: Described(shape, np.dtype("f4")) for name, shape in shapes.items()}
    return ArraysFile(path, described, True, read, room=ARROW_ROOM)


def _open_zarr(path: Path) -> ArraysFile:
    """Open a Zarr group and the group `seen` inside it, which have no order of their own.

    A file of format 2 may have Python unpickle objects, and so run what it says. zarr's own `zarr_format=3` does not
    keep such arrays out: a group of format 3 may list them in its consolidated metadata.
    """
    if _metadata(path)["node_type"] != "group":
        raise UserError(f"{path}: must be a Zarr group, found a Zarr array; name the group that holds it")
    arrays = dict(_arrays_of(path))
    lacking, notes = 0, []
    for name, array in arrays.items():  # what is not stored takes time for each chunk, and memory for each fill value
        chunks, pieces = (_pieces(array, shape) for shape in (array.chunks, array.shards or array.chunks))
        missing = pieces - sum(file.is_file() for file in (path / name).rglob("*")) + 1  # beside zarr.json
        if missing > 0:
            lacking += chunks
            notes.append(f"{path / name}: {missing:,} of {pieces:,} chunks are not stored, and read as its fill value")
        fill = len(str(array.fill_value))
        if max(chunks, lacking) > MAX_CHUNKS or fill > MAX_FILL:
            raise UserError(
                f"{path / name}: must have at most {MAX_CHUNKS:,} chunks (as all arrays together that lack some) and a "
                f"fill value of at most {MAX_FILL} characters, found {max(chunks, lacking):,} and {fill}; write it "
                "again with zarr's defaults"
            )
    described = {name: Described(array.shape, np.dtype(array.dtype)) for name, array in arrays.items()}
    return ArraysFile(path, described, False, lambda name: np.asarray(arrays[name][...]), notes)


def _pieces(array: zarr.Array, shape: tuple[int, ...]) -> int:
    return math.prod(math.ceil(length / size) for length, size in zip(array.shape, shape, strict=True))


def _arrays_of(group: Path, prefix: str = "") -> Iterator[tuple[str, zarr.Array]]:
    """Open the arrays of a group and of `seen` in it by their own metadata, none of which names a foreign codec."""
    for folder in sorted(path for path in group.iterdir() if path.is_dir()):
        metadata = _metadata(folder)
        if metadata["node_type"] == "array":
            _check_codecs(folder, metadata["codecs"])
            yield prefix + folder.name, zarr.open_array(folder, mode="r", zarr_format=3)
        elif prefix + folder.name == SEEN_GROUP:
            yield from _arrays_of(folder, f"{SEEN_GROUP}/")
        else:
            raise UserError(
                f"{group}: must hold arrays and, of groups, `{SEEN_GROUP}` alone, found the group {folder.name!r}; "
                "name the group that holds an array per layer and `labels`"
            )


def _metadata(folder: Path) -> dict[str, Any]:
    """Read what a Zarr group or array says of itself.

    Raises:
        UserError: it is not of format 3.
    """
    file = folder / "zarr.json"
    earlier = any((folder / name).exists() for name in GROUP_FILES[1:])
    if file.exists() and file.stat().st_size > MAX_METADATA_BYTES:
        raise UserError(f"{file}: must have at most {MAX_METADATA_BYTES} bytes, found more; write the group again")
    metadata: dict[str, Any] = {"zarr_format": 2} if earlier and not file.exists() else json.loads(file.read_bytes())
    if metadata["zarr_format"] != 3:
        raise UserError(
            f"{folder}: must be of Zarr format 3, found format {metadata['zarr_format']!r:.40}, whose arrays may run "
            "code when read; write it again with zarr.create_group(path, zarr_format=3), or as an .npz file"
        )
    return metadata


def _check_codecs(array: Path, codecs: Iterable[dict[str, Any]]) -> None:
    """Check the codecs of an array, and those inside its shards."""
    for codec in codecs:
        if codec["name"] not in CODECS:
            raise UserError(
                f"{array}: must be stored with none but the codecs {', '.join(CODECS)}, found {codec['name']!r:.40}; "
                "write the array again with zarr's default codecs"
            )
        for inner in ("codecs", "index_codecs"):
            _check_codecs(array, codec.get("configuration", {}).get(inner, ()))
