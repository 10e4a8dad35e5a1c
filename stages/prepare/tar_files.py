"""The files of a tar archive, compressed or not."""

import bz2
import gzip
import math
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from stages.prepare.limits import LimitsParams, RawFiles, Resources, by_path, hidden_folders, inside_archive, reading
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
    with reading(where):
        stream = BoundedStream(where, resources)
        archive = tarfile.open(fileobj=cast(Any, stream), mode="r:")  # noqa: SIM115
        resources.enter_context(archive)
        members = list(_members(where, archive, stream, resources.limits))
        stream.header_left = math.inf
        _read_to_the_end(archive, stream)
    paths = tuple(by_path(where, members))
    places = _follow_links(where, paths, dict(members))
    return RawFiles(where, paths, hidden_folders(path for path, _ in members), partial(_read, where, archive, places))


def _members(
    where: Path, archive: tarfile.TarFile, stream: "BoundedStream", limits: LimitsParams
) -> Iterator[tuple[str, Place]]:
    offset = holes = 0
    for count, member in enumerate(iter(archive.next, None), start=1):
        cast(Any, archive).members.clear()  # else it keeps them all
        stream.header_left = READ_SIZE
        limits.check_count(where, count)
        offset, before, holes = archive.offset, offset, holes + len(member.sparse or ())
        if offset <= before:
            raise tarfile.ReadError("a size below 0")
        if holes > MAX_HOLES or len(archive.pax_headers) > MAX_COMMON:
            raise tarfile.ReadError(f"more than {MAX_HOLES} holes, or {MAX_COMMON} values that all members have")
        limits.check_size(where, member.name, member.size)
        path = inside_archive(member.name, where)
        if member.issym() or member.islnk():
            folder = posixpath.dirname(member.name) if member.issym() else ""  # a hard link is relative to the archive
            yield path, inside_archive(posixpath.normpath(posixpath.join(folder, member.linkname)), where)
        elif member.isfile():
            yield path, member if member.sparse else (member.offset_data, member.size)
        elif not member.isdir():
            raise UserError(f"{where}: member {member.name!r} is neither a file, a folder nor a link; remove it")


def _read_to_the_end(archive: tarfile.TarFile, stream: "BoundedStream") -> None:
    """Read what follows the last member: the end mark, and the checksum of a compressed archive."""
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a bad header for the end
        raise tarfile.ReadError("it ends before its end mark, or a header is damaged")
    while block := stream.read(READ_SIZE):
        if block.strip(b"\0"):
            raise tarfile.ReadError("there is more after its end mark")


def _follow_links(where: Path, paths: Iterable[str], places: dict[str, Place]) -> dict[str, Place]:
    """Give every link the place of what it leads to in the end, or the path of that if it is no file."""
    for path in paths:
        passed, target = dict[str, None](), path
        while target not in passed and isinstance(following := places.get(target), str):
            passed[target], target = None, following
        if target in passed:
            raise UserError(f"{where}: member {path!r} is a link in a circle; pack the files themselves")
        places |= dict.fromkeys(passed, places.get(target, target))
    return places


def _read(where: Path, archive: tarfile.TarFile, places: Mapping[str, Place], path: str) -> bytes:
    """Read one file, or what a link leads to."""
    member = places[path]
    if isinstance(member, str):
        raise UserError(
            f"{where}: member {path!r} is a link to {member!r}, which is no file in it; pack the files themselves"
        )
    if isinstance(member, tuple):
        place, member = member, tarfile.TarInfo(path)
        member.offset_data, member.size = place
    with reading(where):
        file = cast(IO[bytes], archive.extractfile(member))
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
        self._where, self._packed, self._limits = where, where.stat().st_size, resources.limits
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
        self._limits.check_ratio(str(self._where), position + HEADER_COST * self._headers, self._packed)


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
