"""A tar or zip archive, opened to be read without unpacking it."""

import zipfile
from pathlib import Path

from stages.prepare.limits import Resources
from stages.prepare.members import reading
from stages.prepare.tar_files import TarFiles
from stages.prepare.zip_files import ZipFiles
from stages.shared.runtime.errors import UserError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ZIP_STARTS = (b"PK\3\4", b"PK\5\6")
"""The first bytes of a zip archive with files, and of an empty one."""


def is_archive(name: str) -> bool:
    """Tell by its ending whether a file is an archive that can be read."""
    return name.lower().endswith(ARCHIVES)


def open_archive(path: Path, resources: Resources) -> TarFiles | ZipFiles:
    """Open an archive and list its files, without unpacking it.

    A compressed tar archive is read to its end, where its checksum stands; a file of a zip archive has a checksum of
    its own, which is compared when it is read; a plain tar archive has none.

    Args:
        path: the archive.
        resources: closes it, and has the limits.

    Raises:
        UserError: it is not an archive, is damaged, exceeds a limit, or has a member that points outside.
    """
    if not is_archive(path.name) and not is_archive(path.resolve().name):
        raise UserError(f"{path}: must be a folder or an archive ({', '.join(ARCHIVES)})")
    with reading(path), path.open("rb") as file:
        is_zip = file.read(4) in ZIP_STARTS or (path.name.lower().endswith(".zip") and zipfile.is_zipfile(path))
    return ZipFiles(path, resources) if is_zip else TarFiles(path, resources)
