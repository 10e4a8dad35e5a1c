"""The arrays of an .npz file or a Zarr group, by name: all shapes at once, values an array at a time."""

import json
import textwrap
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.lib import format as npy
from numpy.typing import NDArray

from stages.shared.networks.hub import without_advice
from stages.shared.runtime.errors import UserError

SEEN_GROUP = "seen"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

CODECS = ("bytes", "vlen-utf8", "transpose", "sharding_indexed", "zstd", "gzip", "blosc", "crc32c")
"""What a Zarr array may be stored with. Under other names zarr runs whatever an installed package has registered."""


@dataclass(frozen=True)
class Described:
    """An array's shape and type."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class ArraysFile(Protocol):
    """Arrays by name; those of the group `seen` are called `seen/<name>`."""

    path: Path
    described: dict[str, Described]
    """In the order of the file, if it keeps one."""
    ordered: bool
    """Whether it keeps the order in which arrays were written."""

    def read(self, name: str) -> NDArray[Any]:
        """Read one array.

        Raises:
            UserError: it is damaged.
        """


def open_arrays(path: Path, resources: ExitStack) -> ArraysFile:
    """Open an .npz file, or the folder of a Zarr group.

    Raises:
        UserError: it is missing, damaged or of another kind.
    """
    if not path.exists():
        raise UserError(f"{path}: must be an .npz file or the folder of a Zarr group, found nothing there")
    try:
        return ZarrArrays(path) if path.is_dir() else NpzArrays(path, resources)
    except UserError:
        raise
    except Exception as error:  # NumPy, zipfile and zarr raise anything on a file that is not their own
        raise UserError(
            f"{path}: must be an .npz file or the folder of a Zarr group, and readable; found {_reason(error)}; "
            "write it again"
        ) from None


class NpzArrays:
    """The arrays of an .npz file, in the order in which they were given to `numpy.savez`."""

    ordered = True

    def __init__(self, path: Path, resources: ExitStack) -> None:
        self.path = path
        self._archive = resources.enter_context(zipfile.ZipFile(path))
        members = [name for name in self._archive.namelist() if not name.endswith("/")]
        self.described = {name.removesuffix(".npy"): self._header(name) for name in members}

    def read(self, name: str) -> NDArray[Any]:
        """Read one array; objects, which only unpickling would give, are refused."""
        try:
            with self._archive.open(f"{name}.npy") as member:
                values: NDArray[Any] = npy.read_array(member, allow_pickle=False)
                return values
        except Exception as error:  # as above
            raise _unreadable(self.path, name, error) from None

    def _header(self, member: str) -> Described:
        with self._archive.open(member) as file:
            shape, _, dtype = HEADERS[npy.read_magic(file)](file)
        return Described(shape, dtype)


class ZarrArrays:
    """The arrays of a Zarr group and of the group `seen` inside it, which have no order of their own.

    A file of format 2 may have Python unpickle objects, and so run what it says. zarr's own `zarr_format=3` does not
    keep such arrays out: a group of format 3 may list them in its consolidated metadata.
    """

    ordered = False

    def __init__(self, path: Path) -> None:
        self.path = path
        if _metadata(path)["node_type"] != "group":
            raise UserError(f"{path}: must be a Zarr group, found a Zarr array; name the group that holds it")
        self._arrays = dict(_arrays_of(path))
        self.described = {name: Described(array.shape, np.dtype(array.dtype)) for name, array in self._arrays.items()}

    def read(self, name: str) -> NDArray[Any]:
        """Read one array."""
        try:
            return np.asarray(self._arrays[name][...])
        except Exception as error:  # as above, and its codecs
            raise _unreadable(self.path, name, error) from None


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


def _unreadable(path: Path, name: str, error: Exception) -> UserError:
    too_large = "free memory, or " if isinstance(error, MemoryError) else ""
    return UserError(
        f"{path}: array {name!r} must be readable, found {_reason(error)}; {too_large}write the file again"
    )


def _reason(error: Exception) -> str:
    """A library's words, shortened and without its advice to trust the file."""
    words = without_advice(error)
    return textwrap.shorten(type(error).__name__ + (f": {words}" if words else ""), 300)
