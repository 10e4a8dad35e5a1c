"""The files of a tar archive, compressed or not."""

import bz2
import gzip
import math
import posixpath
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from stages.prepare.file_names import hidden_folders, inside_archive
from stages.prepare.limits import RawFiles, Resources, by_path, check_count, check_ratio, check_size, reading
from stages.shared.runtime.errors import UserError

READ_SIZE = 2**20  # bytes

HEADER_COST = 6
"""Each byte of a header counts as so many of the archive: in memory it takes more, and it takes time."""

MAX_HOLES = 100_000
"""Of all files of an archive together; a hole is a piece of a file that holds zeros and is not stored."""

MAX_COMMON = 100
"""Values that an archive gives to all its members: each of them has a copy. Git writes one."""

LONG_NUMBER = re.compile(rb"\d{50}")
"""In a header some versions of Python take a time for it that grows with the square of its length."""


Place = tuple[int, int] | tarfile.TarInfo | str
"""Where a file lies: position and length; its header, if it has holes; the path that a link leads to."""


def open_tar(where: Path, resources: Resources) -> RawFiles:
    """List the files of a tar archive."""
    files = _TarFiles(where, resources)
    return RawFiles(where, files.paths, files.hidden, files.read)


class _TarFiles:
    def __init__(self, where: Path, resources: Resources) -> None:
        self.where, self._limits = where, resources.limits
        with reading(where):
            self._stream = BoundedStream(where, resources)
            archive = tarfile.open(fileobj=cast(Any, self._stream), mode="r:")  # noqa: SIM115
            self._archive = resources.enter_context(archive)
            listed = list(self._listed())
            self._stream.header_left = math.inf
            self._read_to_the_end()
        self.hidden = hidden_folders(path for path, _ in listed)
        self._places = dict(listed)
        self.paths = tuple(by_path(where, listed))
        self._follow_links()

    def _listed(self) -> Iterator[tuple[str, Place]]:
        offset = holes = 0
        for count, member in enumerate(iter(self._archive.next, None), start=1):
            cast(Any, self._archive).members.clear()  # else it keeps them all
            self._stream.header_left = READ_SIZE
            check_count(self.where, count, self._limits.files)
            offset, before, holes = self._archive.offset, offset, holes + len(member.sparse or ())
            if offset <= before:
                raise tarfile.ReadError("a size below 0")
            if holes > MAX_HOLES or len(self._archive.pax_headers) > MAX_COMMON:
                raise tarfile.ReadError(f"more than {MAX_HOLES} holes, or {MAX_COMMON} values that all members have")
            check_size(self.where, member.name, member.size, self._limits.file_bytes)
            path = inside_archive(member.name, self.where)
            if member.issym() or member.islnk():
                yield path, inside_archive(_link_target(member), self.where)
            elif member.isfile():
                yield path, member if member.sparse else (member.offset_data, member.size)
            elif not member.isdir():
                raise UserError(
                    f"{self.where}: member {member.name!r} is neither a file, a folder nor a link; remove it"
                )

    def _read_to_the_end(self) -> None:
        """Read what follows the last member: the end mark, and the checksum of a compressed archive."""
        self._stream.seek(self._archive.offset)
        if self._stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a bad header for the end
            raise tarfile.ReadError("it ends before its end mark, or a header is damaged")
        while block := self._stream.read(READ_SIZE):
            if block.strip(b"\0"):
                raise tarfile.ReadError("there is more after its end mark")

    def _follow_links(self) -> None:
        """Give every link the place of what it leads to in the end, or the path of that if it is no file."""
        for path in self.paths:
            passed, target = dict[str, None](), path
            while target not in passed and isinstance(following := self._places.get(target), str):
                passed[target], target = None, following
            if target in passed:
                raise UserError(f"{self.where}: member {path!r} is a link in a circle; pack the files themselves")
            self._places |= dict.fromkeys(passed, self._places.get(target, target))

    def read(self, path: str) -> bytes:
        """Read one file, or what a link leads to."""
        place = self._places[path]
        if isinstance(place, str):
            raise UserError(
                f"{self.where}: member {path!r} is a link to {place!r}, which is no file in it; pack the files "
                "themselves"
            )
        if isinstance(place, tuple):
            member = tarfile.TarInfo(path)
            member.offset_data, member.size = place
        else:
            member = place
        with reading(self.where):
            file = cast(IO[bytes], self._archive.extractfile(member))
            return b"".join(iter(partial(file.read, READ_SIZE), b""))


class BoundedStream:
    """The unpacked bytes of a tar archive, up to the limits; what `tarfile` reads it from.

    `tarfile` believes a header: it would read one of any length into memory, and skip a file of any length, which
    unpacks it.

    Attributes:
        header_left: how many bytes the headers of the next member may still have.
    """

    def __init__(self, where: Path, resources: Resources) -> None:
        file = resources.enter_context(where.open("rb"))
        self._where, self._packed, self._ratio = where, where.stat().st_size, resources.limits.ratio
        self.header_left: float = READ_SIZE
        self._headers = 0
        self._stream = _unpacked(file)
        resources.enter_context(self._stream)

    def read(self, size: int = -1) -> bytes:
        """Read some bytes, READ_SIZE at most."""
        if not 0 <= size <= min(READ_SIZE, self.header_left):
            raise tarfile.ReadError(f"a header of more than {READ_SIZE} bytes")
        content = self._stream.read(size)
        if self.header_left < math.inf:
            self.header_left -= size
            self._headers += size
            if LONG_NUMBER.search(content):
                raise tarfile.ReadError("a number of 50 digits in a header")
        self._check(self._stream.tell())
        return content

    def seek(self, offset: int) -> int:
        """Go to a position, which unpacks what lies before it."""
        self._check(offset)
        return self._stream.seek(offset)

    def tell(self) -> int:
        """Return the position in the unpacked bytes."""
        return self._stream.tell()

    def _check(self, position: int) -> None:
        check_ratio(str(self._where), position + HEADER_COST * self._headers, self._packed, self._ratio)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Unpack what its first bytes say it is."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(file))
    if start == b"\xfd7zXZ\0":
        from lzma import LZMAFile  # some builds of Python lack it

        return cast(IO[bytes], LZMAFile(file))
    return file


def _link_target(member: tarfile.TarInfo) -> str:
    """Path of the member that a link leads to; a symbolic link is relative to its own folder, a hard link is not."""
    folder = posixpath.dirname(member.name) if member.issym() else ""
    return posixpath.normpath(posixpath.join(folder, member.linkname))
