"""The arrays of an .npz file or a Zarr group, by name: all shapes at once, values an array at a time."""

import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.lib import format as npy
from numpy.typing import NDArray

from stages.shared.console import UserError

SEEN_GROUP = "seen"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
BROKEN = (OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What NumPy, zipfile and zarr raise on files that are damaged, or not theirs."""


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
    except BROKEN as error:
        raise UserError(
            f"{path}: must be an .npz file or the folder of a Zarr group, and readable; found {_reason(error)}"
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
        except BROKEN as error:
            raise _unreadable(self.path, name, error) from None

    def _header(self, member: str) -> Described:
        with self._archive.open(member) as file:
            shape, _, dtype = HEADERS[npy.read_magic(file)](file)
        return Described(shape, dtype)


class ZarrArrays:
    """The arrays of a Zarr group and of the group `seen` inside it, which have no order of their own."""

    ordered = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group = zarr.open_group(path, mode="r")
        arrays = dict(sorted(self._group.arrays()))
        groups = dict(self._group.groups())
        others = sorted(set(groups) - {SEEN_GROUP})
        if others:
            raise UserError(
                f"{path}: must hold arrays and, of groups, `{SEEN_GROUP}` alone, found the group {others[0]!r}; "
                "name the group that holds an array per layer and `labels`"
            )
        if groups:
            arrays |= {f"{SEEN_GROUP}/{name}": array for name, array in sorted(groups[SEEN_GROUP].arrays())}
        self.described = {name: Described(array.shape, np.dtype(array.dtype)) for name, array in arrays.items()}

    def read(self, name: str) -> NDArray[Any]:
        """Read one array."""
        try:
            return np.asarray(self._group[name][...])
        except BROKEN as error:
            raise _unreadable(self.path, name, error) from None


def _unreadable(path: Path, name: str, error: Exception) -> UserError:
    return UserError(f"{path}: array {name!r} must be readable, found {_reason(error)}; write the file again")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")
