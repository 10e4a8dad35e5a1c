"""The files of a zip archive."""

import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from stages.prepare.file_names import has_clutter, hidden_folder, inside_archive
from stages.prepare.limits import Resources, by_path, check_count, check_ratio, check_size, reading
from stages.shared.runtime.errors import UserError

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions that Python unpacks piece by piece; of the others it unpacks as much as there is."""

MAX_END_BYTES = 2**16 + 22 + 20 + 56
"""Bytes of a comment, and of the three records that end an archive."""


class ZipFiles:
    """The files of a zip archive, each with a checksum."""

    def __init__(self, where: Path, resources: Resources) -> None:
        self.where, self._limits = where, resources.limits
        with reading(where):
            self._archive = resources.enter_context(zipfile.ZipFile(where))
            _check_end(where, len(self._archive.infolist()))
        check_count(where, len(self._archive.infolist()), self._limits.files)
        files = [(inside_archive(m.filename, where), m) for m in self._archive.infolist() if not m.is_dir()]
        self.hidden = tuple(sorted({folder for path, _ in files if (folder := hidden_folder(path))}))
        self._members = by_path(where, self._kept(files))
        self.paths = tuple(self._members)

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file, and compares its checksum."""
        return partial(self._read, self._members[path])

    def _kept(self, files: list[tuple[str, zipfile.ZipInfo]]) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        for path, member in files:
            if has_clutter(path):
                continue
            check_size(self.where, path, member.file_size, self._limits.file_bytes)
            check_ratio(f"{self.where}: member {path!r}", member.file_size, member.compress_size, self._limits.ratio)
            if member.compress_type not in PACKED:
                raise UserError(
                    f"{self.where}: member {path!r} must be stored or deflated, found compression "
                    f"{member.compress_type}; pack the archive again"
                )
            yield path, member

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        with reading(self.where), self._archive.open(member) as file:
            content = file.read(max(member.file_size, 1))  # without a number it would unpack all that there is at once
            if len(content) < member.file_size:
                raise EOFError(f"{member.filename!r} ends early")
            return content


def _check_end(where: Path, members: int) -> None:
    """Compare the number of members with that in the archive's end: a wrong length in a list takes what follows it.

    Raises:
        zipfile.BadZipFile: they differ; zipfile does not compare them.
    """
    with where.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_END_BYTES))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    (promised,) = struct.unpack_from("<H", tail, end + 10)
    wide = tail.rfind(b"PK\6\6", 0, end)
    if promised == 0xFFFF and wide >= 0:
        (promised,) = struct.unpack_from("<Q", tail, wide + 32)
    if promised % 2**16 != members % 2**16:  # old programs count so
        raise zipfile.BadZipFile(f"it lists {members} files and folders, and ends with {promised}")
