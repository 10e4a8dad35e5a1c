"""The files of a folder of images, and whether it holds files and folders only."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from ..shared.runtime.errors import UserError, irregular
from .names import is_clutter

SOURCE_FILE = "source.json"
DVC_FILES = ("dvc.yaml", ".dvcignore")

SMALL = 2**20
"""Bytes of a file for which the free memory is not asked: to ask takes longer than to read it."""


@dataclass(frozen=True)
class RawFiles:
    """Files that can be read, without those that are hidden or lie in hidden folders.

    Attributes:
        where: the folder or archive.
        paths: relative to it, with forward slashes, sorted.
        hidden: the hidden folders.
        read: reads one file.
    """

    where: Path
    paths: tuple[str, ...]
    hidden: tuple[str, ...]
    read: Callable[[str], bytes]

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(self.read, path)


def read_file(path: Path) -> bytes:
    """Read a regular file: as many bytes as it has when it is opened, so that none is without end.

    Raises:
        UserError: it is a pipe, a device or a socket, which is not waited for, or larger than the memory that is free,
            so that Linux would end the process.
        OSError: it cannot be read.
    """
    _refuse_special(path, path.stat().st_mode)  # unopened: to open a device may do something
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        _refuse_special(path, status.st_mode)  # another file may lie there by now
        if status.st_size > SMALL and status.st_size > psutil.virtual_memory().available:
            found = f"found {status.st_size} bytes; remove it, or free some"
            raise UserError(f"{path}: must fit in the memory that is free, {found}")
        return file.read(status.st_size)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def list_files(where: Path, *, refused: Callable[[str], bool] = lambda path: True) -> RawFiles:
    """List the files below a folder. It may be a symlink, and so may they.

    Args:
        where: the folder.
        refused: says of a symlink to a folder, by its path below this one, whether it is an error; others are passed
            over. None is followed: DVC does not follow them either, and would not notice what changes behind them.

    Raises:
        UserError: there is a refused link or a DVC repository below it.
    """
    hidden: list[str] = []

    def unnoticed(problem: str) -> UserError:
        return UserError(
            f"{problem}: it is not looked into, since changes there go unnoticed; copy the images themselves, or "
            f"link {where} as a whole to a folder that holds them"
        )

    def walk(folder: Path, prefix: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if prefix and entry.name == ".dvc":
                    raise unnoticed(f"{folder}: must not be a DVC repository of its own, found {entry.name} in it")
                if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    hidden.append(prefix + entry.name)
                if is_clutter(entry.name) or (not prefix and entry.name == SOURCE_FILE):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from walk(Path(entry.path), f"{prefix}{entry.name}/")
                elif not (entry.is_symlink() and Path(entry.path).is_dir()):
                    yield prefix + entry.name
                elif refused(prefix + entry.name):
                    target = Path(entry.path).readlink()
                    raise unnoticed(f"{entry.path}: must not be a link to a folder, found one to {target}")

    paths = tuple(sorted(walk(where, "")))
    return RawFiles(where, paths, tuple(sorted(hidden)), lambda path: read_file(where / path))


def check_regular(raw: Path, *, for_dvc: bool = False) -> None:
    """Check that a raw folder holds, or is, only files and folders, as reading a pipe or a device may never end.

    Nothing is opened. DVC hashes every file in it, hidden ones too.

    Args:
        raw: a folder, or a file.
        for_dvc: refuse, too, a link to nothing or in a circle, at which DVC ends with the system's words, and files
            that DVC would take for its own if `.dvcignore` did not hide them.

    Raises:
        UserError: naming a pipe, a device or a socket, or a link to one.
    """
    if not raw.is_dir():
        _check_entry(raw, for_dvc)
        return
    folders = [raw]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                    continue
                is_dvc_file = entry.name in DVC_FILES or entry.name.endswith(".dvc")
                if for_dvc and is_dvc_file and not raw.is_symlink():  # DVC follows no link
                    raise UserError(
                        f"{entry.path}: must not lie in a raw folder: DVC takes a file of this name for its own, and "
                        "would run the commands in it; remove it"
                    )
                if not entry.is_file(follow_symlinks=False):
                    _check_entry(Path(entry.path), for_dvc)


def _check_entry(path: Path, for_dvc: bool) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if for_dvc and path.is_symlink():
            raise UserError(f"{path}: is a link to {path.readlink()}: {error.strerror}; remove it") from None
        return  # reading will say so
    _refuse_special(path, mode)


def _refuse_special(path: Path, mode: int) -> None:
    """Raise a `UserError` for a pipe, a device or a socket, or a link to one."""
    if (kind := irregular(mode)) and not stat.S_ISDIR(mode):
        link = f", through a link to {path.readlink()}" if path.is_symlink() else ""
        raise UserError(f"{path}: must be a regular file, found {kind}{link}; remove it")
