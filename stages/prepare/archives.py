"""Archives of images: listed where they lie, and unpacked as a whole when the first file is read.

Python's own readers unpack them, into a folder on the project's disk that is removed at the end; of a killed run, when
the next archive is unpacked.
"""

import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path

from ..shared.runtime.errors import UserError, explain_system_error
from ..shared.runtime.scratch import partial_path, remove, remove_leftovers
from .names import inside, is_clutter
from .raw_files import RawFiles, read_file

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
SCRATCH = Path(".dvc") / "tmp"
"""Lies on the project's disk, below the folder in which DVC runs commands; elsewhere the system's folder is taken."""

HIDDEN_FOLDER = re.compile(r"(?:(?!__MACOSX/)[^./][^/]*/)*\.[^/]*(?=/)")
"""The outermost hidden folder of a path."""

Contents = tuple[list[tuple[str, int]], Callable[[Path], object]]
"""Names and sizes in bytes of all members but folders, and a function that unpacks them into a folder."""


def is_archive(name: str) -> bool:
    """Return whether a file's suffix is that of an archive that can be read."""
    return name.lower().endswith(ARCHIVES)


def open_archive(where: Path, resources: ExitStack) -> RawFiles:
    """Open an archive and list its files.

    Args:
        where: the archive.
        resources: closes it, and removes what is unpacked when a first file is read.

    Raises:
        UserError: it is not an archive, is damaged, or has a member that points outside or is there twice. Of the
            function that reads a file: also if a member is a device or a link that leads out, or if there is no room.
    """
    name = next(filter(is_archive, (where.name, where.resolve().name)), None)
    if name is None:
        raise UserError(f"{where}: must be a folder or an archive ({', '.join(ARCHIVES)})")
    with reading(where):
        members, unpack = (_open_zip if name.lower().endswith(".zip") else _open_tar)(where, resources)
    files: dict[str, int] = {}
    for name, size in members:
        path = inside(name)
        if path is None:
            raise UserError(f"{where}: member {name!r} points outside the archive; repack it with relative paths")
        if path in files:
            raise UserError(f"{where}: member {path!r} is there twice; repack the archive with one of them")
        files[path] = size

    @cache
    def unpacked() -> Path:
        home = SCRATCH if SCRATCH.parent.is_dir() else Path(tempfile.gettempdir())
        remove_leftovers(home / "unpacked")
        scratch = partial_path(home / "unpacked")
        scratch.mkdir(parents=True, exist_ok=True)
        resources.callback(remove, scratch)
        if (size := sum(files.values())) > (free := shutil.disk_usage(scratch).free):
            raise UserError(
                f"{where}: must have room to be unpacked, {size} bytes, found {free} free at {scratch}; free some, or "
                "unpack it elsewhere and link the raw folder to that"
            )
        folder = Path(tempfile.mkdtemp(dir=scratch))
        with reading(where):
            unpack(folder)
        return folder

    paths = sorted(path for path in files if not any(map(is_clutter, path.split("/"))))
    hidden = {found[0] for path in files if (found := HIDDEN_FOLDER.match(path))}
    return RawFiles(where, tuple(paths), tuple(sorted(hidden)), lambda path: read_file(unpacked() / path))


def _open_zip(where: Path, resources: ExitStack) -> Contents:
    archive = resources.enter_context(zipfile.ZipFile(where))
    members = archive.infolist()
    for member in members:
        member.filename = member.filename.replace("\\", "/")  # as some programs of Windows write it
    return [(m.filename, m.file_size) for m in members if not m.is_dir()], partial(archive.extractall, members=members)


def _open_tar(where: Path, resources: ExitStack) -> Contents:
    """Open a tar archive, and read it to its end: the checksum of a compressed one stands there."""
    archive = resources.enter_context(tarfile.open(where))  # noqa: SIM115
    members = [(member.name, member.size) for member in archive if not member.isdir()]
    stream = archive.fileobj
    if stream is not None:
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a bad header for the end
            raise tarfile.ReadError("it ends before its end mark, or a header is damaged")
        if any(block.strip(b"\0") for block in iter(partial(stream.read, 2**20), b"")):
            raise tarfile.ReadError("there is more after its end mark")
    return members, partial(archive.extractall, filter="data")


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Turn what Python raises on a damaged archive into an error that names it; what the machine lacks is raised."""
    try:
        yield
    except Exception as error:  # zlib's, lzma's and many kinds of Python's own
        if explain_system_error(error):
            error.add_note(str(archive))
            raise
        raise UserError(f"{archive}: the archive cannot be read ({error}); copy or repack it") from None
