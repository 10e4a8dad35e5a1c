"""The files of a zip archive."""

import os
import struct
import zipfile
from pathlib import Path

from stages.prepare.file_names import hidden_folders, inside_archive
from stages.prepare.limits import RawFiles, Resources, by_path, check_count, check_ratio, check_size, reading
from stages.shared.runtime.errors import UserError

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions that Python unpacks piece by piece; of the others it unpacks as much as there is."""

MAX_END_BYTES = 2**16 + 22 + 20 + 56
"""Bytes of a comment, and of the three records that end an archive."""


def open_zip(where: Path, resources: Resources) -> RawFiles:
    """List the files of a zip archive, each with a checksum, which is compared when it is read."""
    limits = resources.limits
    with reading(where):
        archive = resources.enter_context(zipfile.ZipFile(where))
        members = archive.infolist()
        _check_end(where, len(members))
    check_count(where, len(members), limits.files)
    files = [(inside_archive(member.filename, where), member) for member in members if not member.is_dir()]
    kept = by_path(where, files)
    for path, member in kept.items():
        check_size(where, path, member.file_size, limits.file_bytes)
        check_ratio(f"{where}: member {path!r}", member.file_size, member.compress_size, limits.ratio)
        if member.compress_type not in PACKED:
            raise UserError(
                f"{where}: member {path!r} must be stored or deflated, found compression {member.compress_type}; pack "
                "the archive again"
            )

    def read(path: str) -> bytes:
        member = kept[path]
        with reading(where), archive.open(member) as file:
            content = file.read(max(member.file_size, 1))  # without a number it would unpack all that there is at once
            if len(content) < member.file_size:
                raise EOFError(f"{path!r} ends early")
            return content

    return RawFiles(where, tuple(kept), hidden_folders(path for path, _ in files), read)


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
