"""The files of `data/raw/<dataset>`, whether they lie in a folder, in an archive, or behind a symlink to either."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from stages.prepare.archives import is_archive, open_archive
from stages.prepare.file_names import is_clutter, utf8
from stages.prepare.limits import DEFAULT_LIMITS, LimitsParams, Resources
from stages.shared.runtime.errors import UserError

SOURCE_FILE = "source.json"


class RawFiles(Protocol):
    """Files by their path relative to the root, with forward slashes, in the order in which they are read fastest.

    Hidden files are left out, and so is what lies in hidden folders, which are named.
    """

    where: Path
    paths: tuple[str, ...]
    hidden: tuple[str, ...]

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""


def every_link(path: str) -> bool:
    """Refuse every symlink to a folder."""
    return True


def open_raw(raw: Path, resources: Resources, *, refused: Callable[[str], bool] = every_link) -> RawFiles:
    """List the files of a raw folder, or of the one archive that it holds or is. Hidden files are left out.

    Args:
        raw: a folder, an archive, or a symlink to one.
        resources: closes the archive, and has the limits.
        refused: says of a symlink to a folder, by its path below a raw folder, whether it is an error; others are
            passed over.

    Raises:
        UserError: it is missing, empty or unreadable, holds several archives or a refused link, or has a member
            that points outside.
    """
    if not raw.exists():
        raise UserError(
            f"{raw}: no such folder or archive; put the images there, or link to them: ln -s /any/path {raw}"
        )
    archive = raw if raw.is_file() else find_archive(raw)
    files = open_archive(archive, resources) if archive else FolderFiles(raw, resources.limits, refused=refused)
    if not files.paths:
        raise UserError(f"{files.where}: must hold images, found no file; put the images there, or link to them")
    return files


def find_archive(folder: Path) -> Path | None:
    """Find the one archive of a folder that holds no folders.

    Raises:
        UserError: there are several.
    """
    entries = [p for p in sorted(folder.iterdir()) if not is_clutter(p.name)]
    archives = [p for p in entries if p.is_file() and is_archive(p.name)]
    if any(p.is_dir() for p in entries) or not archives:
        return None
    if len(archives) > 1:
        raise UserError(f"{folder}: must hold one archive, found {', '.join(p.name for p in archives)}; keep one")
    return archives[0]


def read_file(path: Path, limits: LimitsParams) -> bytes:
    """Read a file that is not in an archive.

    Raises:
        OSError: it cannot be read, or has more bytes than the limit.
    """
    most = limits.file_bytes
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > most or len(content := file.read(most + 1)) > most:
            raise OSError(f"more than {most} bytes, prepare.limits.file_bytes")
    return content


class FolderFiles:
    """The files below a folder. It may be a symlink, and so may they.

    Args:
        where: the folder.
        limits: of them, the size of a file holds.
        refused: says of a symlink to a folder, by its path below this one, whether it is an error; others are passed
            over. None is followed: DVC does not follow them either, and would not notice what changes behind them.

    Raises:
        UserError: there is a refused link or a DVC repository below it, or a file's name is not valid UTF-8.
    """

    def __init__(
        self, where: Path, limits: LimitsParams = DEFAULT_LIMITS, *, refused: Callable[[str], bool] = every_link
    ) -> None:
        self.where, self._limits, self._refused = where, limits, refused
        hidden: list[str] = []
        self.paths = tuple(sorted(self._walk(where, "", hidden)))
        self.hidden = tuple(sorted(hidden))

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(read_file, self.where / path, self._limits)

    def _walk(self, folder: Path, prefix: str, hidden: list[str]) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if prefix and entry.name == ".dvc":
                    raise UserError(
                        f"{folder}: must not be a DVC repository of its own, found {entry.name} in it: DVC does not "
                        "look into one, and would not notice changes there; copy its images, or link "
                        f"{self.where} as a whole to it"
                    )
                if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    hidden.append(prefix + entry.name)
                if is_clutter(entry.name) or (not prefix and entry.name == SOURCE_FILE):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/", hidden)
                elif entry.is_symlink() and Path(entry.path).is_dir():
                    self._pass_over(prefix + entry.name)
                else:
                    yield utf8(prefix + entry.name, self.where)

    def _pass_over(self, path: str) -> None:
        if self._refused(path):
            link = self.where / path
            raise UserError(
                f"{link}: must not be a link to a folder, found one to {link.readlink()}: DVC does not look behind it, "
                f"and would not notice changes there; copy the images there, or link {self.where} as a whole to a "
                "folder that holds them"
            )
