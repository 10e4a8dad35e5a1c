"""The files of a tar or zip archive, read without unpacking it."""

import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from stages.prepare.file_names import has_clutter, inside_archive
from stages.shared.console import UserError

try:
    from lzma import LZMAError
except ImportError:  # a Python built without it, which opens no .tar.xz
    LZMAError = OSError  # type: ignore[misc,assignment]

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BROKEN_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, LZMAError)
READ_SIZE = 2**20  # bytes


def is_archive(name: str) -> bool:
    """Tell by its ending whether a file is an archive that can be read."""
    return name.lower().endswith(ARCHIVES)


def open_archive(path: Path, resources: ExitStack) -> "TarFiles | ZipFiles":
    """Open an archive and list its files, without unpacking it.

    Raises:
        UserError: it is not an archive, is damaged, or has a member that points outside.
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
        self._check_links()
        self.paths = tuple(self._members)
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if len(archive.fileobj.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends before its end mark")
        while archive.fileobj.read(READ_SIZE):  # the checksum of a compressed archive stands at its end
            pass

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(self._read, self._members[path])

    def _files(self) -> Iterator[tuple[str, tarfile.TarInfo]]:
        for member in self._archive.getmembers():
            path = inside_archive(member.name, self.where)
            if _is_link(member):
                inside_archive(_link_target(member), self.where)
            elif not (member.isfile() or member.isdir()):
                raise UserError(
                    f"{self.where}: member {member.name!r} is neither a file, a folder nor a link; remove it"
                )
            if not member.isdir() and not has_clutter(path):
                yield path, member

    def _check_links(self) -> None:
        targets = {path: _link_target(member) for path, member in self._members.items() if _is_link(member)}
        for path in targets:
            passed, target = {path}, targets[path]
            while target in targets and target not in passed:
                passed.add(target)
                target = targets[target]
            if target in passed:
                raise UserError(f"{self.where}: member {path!r} is a link in a circle; pack the files themselves")

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


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def _link_target(member: tarfile.TarInfo) -> str:
    """Path of the member that a link leads to; a symbolic link is relative to its own folder, a hard link is not."""
    folder = posixpath.dirname(member.name) if member.issym() else ""
    return posixpath.normpath(posixpath.join(folder, member.linkname))


class ZipFiles:
    """The files of a zip archive."""

    def __init__(self, where: Path, archive: zipfile.ZipFile) -> None:
        self.where, self._archive = where, archive
        members = [(inside_archive(m.filename, where), m) for m in archive.infolist() if not m.is_dir()]
        self._members = {path: m for path, m in members if not has_clutter(path)}
        self.paths = tuple(self._members)

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(self._read, self._members[path])

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        try:
            return self._archive.read(member)
        except (*BROKEN_ARCHIVE, RuntimeError, NotImplementedError) as error:  # encrypted; unknown compression
            raise _broken(self.where, error) from None


def _broken(archive: Path, error: Exception) -> UserError:
    return UserError(f"{archive}: the archive cannot be read ({error}); copy or pack it again")
