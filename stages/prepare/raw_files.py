"""The files of `data/raw/<dataset>`, whether they lie in a folder, in an archive, or behind a symlink to either."""

import os
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

from stages.shared.console import UserError

SOURCE_FILE = "source.json"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX")
BROKEN_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error)


class RawFiles(Protocol):
    """Files by their path relative to the root, with forward slashes, in the order in which they are read fastest."""

    where: Path
    paths: tuple[str, ...]

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""


def every_link(path: str) -> bool:
    """Refuse every symlink to a folder."""
    return True


def open_raw(raw: Path, resources: ExitStack, *, refused: Callable[[str], bool] = every_link) -> RawFiles:
    """List the files of a raw folder, or of the one archive that it holds or is. Hidden files are left out.

    Args:
        raw: a folder, an archive, or a symlink to one.
        resources: closes the archive.
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
    files = open_archive(archive, resources) if archive else FolderFiles(raw, refused=refused)
    if not files.paths:
        raise UserError(f"{files.where}: must hold images, found no file; put the images there, or link to them")
    return files


def find_archive(folder: Path) -> Path | None:
    """Find the one archive of a folder that holds no folders.

    Raises:
        UserError: there are several.
    """
    entries = [p for p in sorted(folder.iterdir()) if not _is_clutter(p.name)]
    archives = [p for p in entries if p.is_file() and is_archive(p.name)]
    if any(p.is_dir() for p in entries) or not archives:
        return None
    if len(archives) > 1:
        raise UserError(f"{folder}: must hold one archive, found {', '.join(p.name for p in archives)}; keep one")
    return archives[0]


def is_archive(name: str) -> bool:
    """Tell by its ending whether a file is an archive that can be read."""
    return name.lower().endswith(ARCHIVES)


class FolderFiles:
    """The files below a folder. It may be a symlink, and so may they.

    Args:
        where: the folder.
        refused: says of a symlink to a folder, by its path below this one, whether it is an error; others are passed
            over. None is followed: DVC does not follow them either, and would not notice what changes behind them.

    Raises:
        UserError: there is a refused link or a DVC repository below it, or a file's name is not valid UTF-8.
    """

    def __init__(self, where: Path, *, refused: Callable[[str], bool] = every_link) -> None:
        self.where, self._refused = where, refused
        self.paths = tuple(sorted(self._walk(where, "")))

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return (self.where / path).read_bytes

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if prefix and entry.name == ".dvc":
                    raise UserError(
                        f"{folder}: must not be a DVC repository of its own, found {entry.name} in it: DVC does not "
                        "look into one, and would not notice changes there; copy its images, or link "
                        f"{self.where} as a whole to it"
                    )
                if _is_clutter(entry.name) or (not prefix and entry.name == SOURCE_FILE):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
                elif entry.is_symlink() and Path(entry.path).is_dir():
                    self._pass_over(prefix + entry.name)
                else:
                    yield _utf8(prefix + entry.name, self.where)

    def _pass_over(self, path: str) -> None:
        if self._refused(path):
            link = self.where / path
            raise UserError(
                f"{link}: must not be a link to a folder, found one to {link.readlink()}: DVC does not look behind it, "
                f"and would not notice changes there; copy the images there, or link {self.where} as a whole to a "
                "folder that holds them"
            )


def open_archive(path: Path, resources: ExitStack) -> RawFiles:
    """Open an archive and list its files, without unpacking it.

    Raises:
        UserError: it is no archive, damaged, or has a member that points outside.
    """
    if not is_archive(path.name) and not path.resolve().name.lower().endswith(ARCHIVES):
        raise UserError(f"{path}: must be a folder or an archive ({', '.join(ARCHIVES)})")
    try:
        if zipfile.is_zipfile(path):
            return ZipFiles(path, resources.enter_context(zipfile.ZipFile(path)))
        return TarFiles(path, resources.enter_context(tarfile.open(path)))
    except BROKEN_ARCHIVE as error:
        raise _broken(path, error) from None


class TarFiles:
    """The files of a tar archive, compressed or not."""

    def __init__(self, where: Path, archive: tarfile.TarFile) -> None:
        self.where, self._archive = where, archive
        self._members = dict(self._files())
        self.paths = tuple(self._members)
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if len(archive.fileobj.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends before its end mark")

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(self._read, self._members[path])

    def _files(self) -> Iterator[tuple[str, tarfile.TarInfo]]:
        for member in self._archive.getmembers():
            path = _inside(member.name, self.where)
            if member.issym():
                _inside(posixpath.join(posixpath.dirname(member.name), member.linkname), self.where)
            elif member.islnk():
                _inside(member.linkname, self.where)
            elif not (member.isfile() or member.isdir()):
                raise UserError(
                    f"{self.where}: member {member.name!r} is neither a file, a folder nor a link; remove it"
                )
            if not member.isdir() and not _has_clutter(path):
                yield path, member

    def _read(self, member: tarfile.TarInfo) -> bytes:
        try:
            file = self._archive.extractfile(member)
            if file is None:
                raise UserError(
                    f"{self.where}: member {member.name!r} is a link to a folder; pack the files themselves"
                )
            return file.read()
        except (*BROKEN_ARCHIVE, KeyError) as error:
            raise _broken(self.where, error) from None


class ZipFiles:
    """The files of a zip archive."""

    def __init__(self, where: Path, archive: zipfile.ZipFile) -> None:
        self.where, self._archive = where, archive
        members = [(_inside(m.filename, where), m) for m in archive.infolist() if not m.is_dir()]
        self._members = {path: m for path, m in members if not _has_clutter(path)}
        self.paths = tuple(self._members)

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(self._read, self._members[path])

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        try:
            return self._archive.read(member)
        except (*BROKEN_ARCHIVE, RuntimeError, NotImplementedError) as error:  # encrypted; unknown compression
            raise _broken(self.where, error) from None


def inside(name: str) -> str | None:
    """Normalize a relative path, with forward slashes; none if it is absolute or leads out by `..`."""
    path = posixpath.normpath(name.replace("\\", "/"))
    return None if path.startswith(("/", "../")) or path == ".." else path


def _inside(name: str, archive: Path) -> str:
    path = inside(name)
    if path is None or path[1:2] == ":":
        raise UserError(f"{archive}: member {name!r} points outside the archive; pack it again with relative paths")
    return _utf8(path, archive)


def _utf8(path: str, where: Path) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: the file name {path!r} is not valid UTF-8; rename it") from None
    return path


def _broken(archive: Path, error: Exception) -> UserError:
    return UserError(f"{archive}: the archive cannot be read ({error}); copy or pack it again")


def _has_clutter(path: str) -> bool:
    return any(_is_clutter(part) for part in path.split("/"))


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name in CLUTTER
