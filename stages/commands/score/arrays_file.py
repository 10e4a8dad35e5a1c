"""The arrays of an .npz file, a Zarr group or a table of features: all shapes at once, values an array at a time."""

import json
import math
import stat
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import zarr
from numpy.lib import format as npy
from numpy.typing import NDArray

from stages.commands.project import FEATURES
from stages.shared.networks.hub import without_advice
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.resources import irregular

SEEN_GROUP = "seen"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

CODECS = ("bytes", "vlen-utf8", "transpose", "sharding_indexed", "zstd", "gzip", "blosc", "crc32c")
"""What a Zarr array may be stored with. Under other names zarr runs whatever an installed package has registered."""


FREE_BYTES, MAX_RATIO = 2**28, 200
"""What all arrays together may take whatever the file's size, and else how many times that: a kilobyte may say 1 TB."""

MAX_CHUNKS, MAX_FILL = 100_000, 100
"""Of a Zarr array: reading takes a tenth of a millisecond for each chunk."""

MAX_METADATA_BYTES = 2**23


@dataclass(frozen=True)
class Described:
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
    """

    path: Path
    described: dict[str, Described]
    ordered: bool
    _values: Callable[[str], NDArray[Any]]

    def read(self, name: str) -> NDArray[Any]:
        """Read one array; objects, which only unpickling would give, are refused.

        Raises:
            UserError: it is damaged.
        """
        with readable(f"array {name!r} must be readable", "write the file again"):
            return self._values(name)


@contextmanager
def readable(what: str, remedy: str) -> Iterator[None]:
    """Name what NumPy, zipfile, zarr and its codecs raise, which is anything on a file that is not their own."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        words, memory = without_advice(error), "free memory, or " if isinstance(error, MemoryError) else ""
        reason = textwrap.shorten(type(error).__name__ + (f": {words}" if words else ""), 300)
        raise UserError(f"{what}, found {reason}; {memory}{remedy}") from None


def open_arrays(path: Path, resources: ExitStack) -> ArraysFile:
    """Open an .npz file, the folder of a Zarr group, or a .parquet of features.

    Raises:
        UserError: it is missing, damaged or of another kind, or has links or other special files within.
    """
    kinds = f"{path}: must be an .npz file, the folder of a Zarr group, or what `whichlayer features` wrote"
    if not path.exists():
        raise UserError(f"{kinds}, found nothing there")
    with readable(f"{kinds}, and readable", "write it again"):
        stored = _check_regular(path)
        if path.is_dir():
            file = _open_zarr(path)
        else:
            file = _open_parquet(path) if path.suffix == ".parquet" else _open_npz(path, resources)
        # in memory, texts of unknown length aside; a wrong shape may be below 0
        size = sum(abs(math.prod(each.shape)) * each.dtype.itemsize for each in file.described.values())
        if size > (most := max(FREE_BYTES, MAX_RATIO * stored)):
            raise UserError(
                f"{path}: its arrays must take at most {most:,} bytes, since it has {stored:,}, found {size:,}; write "
                "it again with all values"
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
    described = {}
    for member in archive.namelist():
        if not member.endswith("/"):
            with archive.open(member) as file:
                shape, _, dtype = HEADERS[npy.read_magic(file)](file)
            described[member.removesuffix(".npy")] = Described(shape, dtype)

    def read(name: str) -> NDArray[Any]:
        with archive.open(f"{name}.npy") as member:
            return np.asarray(npy.read_array(member, allow_pickle=False))

    return ArraysFile(path, described, True, read)


def _open_parquet(path: Path) -> ArraysFile:
    """Open a table that `whichlayer features` wrote; what it is of is the array `about`, as in its .npz files."""
    file = pq.ParquetFile(path)
    count, width = file.metadata.num_rows, file.schema_arrow.field("features").type.list_size
    shapes = {"path": (count,), "features": (count, width), "about": ()}

    def read(name: str) -> NDArray[Any]:
        if name == "about":
            return np.array(file.schema_arrow.metadata[FEATURES.encode()].decode())
        values = file.read(columns=[name])[name].combine_chunks()
        return values.flatten().to_numpy().reshape(-1, width) if name == "features" else np.array(values.to_pylist())

    return ArraysFile(path, {name: Described(shape, np.dtype("f4")) for name, shape in shapes.items()}, True, read)


def _open_zarr(path: Path) -> ArraysFile:
    """Open a Zarr group and the group `seen` inside it, which have no order of their own.

    A file of format 2 may have Python unpickle objects, and so run what it says. zarr's own `zarr_format=3` does not
    keep such arrays out: a group of format 3 may list them in its consolidated metadata.
    """
    if _metadata(path)["node_type"] != "group":
        raise UserError(f"{path}: must be a Zarr group, found a Zarr array; name the group that holds it")
    arrays = dict(_arrays_of(path))
    for name, array in arrays.items():  # what is not stored takes time for each chunk, and memory for each fill value
        chunks = math.prod(math.ceil(length / chunk) for length, chunk in zip(array.shape, array.chunks, strict=True))
        fill = len(str(array.fill_value))
        if chunks > MAX_CHUNKS or fill > MAX_FILL:
            raise UserError(
                f"{path / name}: must have at most {MAX_CHUNKS:,} chunks and a fill value of at most {MAX_FILL} "
                f"characters, found {chunks:,} and {fill}; write it again with zarr's defaults"
            )
    described = {name: Described(array.shape, np.dtype(array.dtype)) for name, array in arrays.items()}
    return ArraysFile(path, described, False, lambda name: np.asarray(arrays[name][...]))


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
    earlier = any((folder / name).exists() for name in (".zgroup", ".zarray"))
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
