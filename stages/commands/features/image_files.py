"""The images of any folder or archive, of a list, or one alone, listed without labels and without being decoded."""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

from ...prepare.archives import is_archive
from ...prepare.raw_data import open_raw
from ...prepare.raw_files import RawFiles, check_regular, read_file
from ...shared.runtime.errors import UserError, listed
from ..project import MAX_LISTED

LISTS = (".csv", ".txt")

UNDECODED = re.compile(r"[\ud800-\udfff]")
"""What Python makes of bytes of a file's name that are not UTF-8."""


def list_images(where: Path, resources: ExitStack) -> RawFiles:
    """List all files of a folder, of an archive or of a list as images. Hidden files are left out.

    Args:
        where: a folder, which may hold folders or one archive; an archive; a text file of paths, one a line, or a CSV
            with a column `path`, which are relative to the list's folder or absolute; or an image.
        resources: closes the archive, and removes what is unpacked.

    Raises:
        UserError: it is empty, the archive or list is damaged, an entry is a pipe, a device or a link to
            a folder, or a name is not in UTF-8.
    """
    check_regular(where)
    if where.is_dir() or is_archive(where.name) or is_archive(where.resolve().name):
        files = open_raw(where, resources)
    else:
        is_list = where.suffix.lower() in LISTS
        named = read_list(where) if is_list else [where.name]
        files = RawFiles(where.parent, tuple(named), (), lambda path: read_file(where.parent / path))
        for path in files.paths:
            check_regular(where.parent / path)
    if wrong := next(filter(UNDECODED.search, files.paths), None):
        raise UserError(f"{where}: a file's name must be in UTF-8, as the table is, found {wrong!r}; rename it")
    return files


def read_list(path: Path) -> list[str]:
    """Read the images that a list names: a text file of paths, one a line, or the column `path` of a CSV.

    Raises:
        UserError: it is no regular file, cannot be read, or a path is missing or stands there twice.
    """
    try:
        text = read_file(path).decode("utf-8-sig")
        if path.suffix.lower() == ".csv":
            names = [row.get("path") or "" for row in csv.DictReader(StringIO(text), strict=True)]
        else:
            names = [line for line in text.splitlines() if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: must be a list in UTF-8, found {error}; rewrite it") from None
    if not all(names) or not names:
        found = "a row without path" if names else "no row"
        raise UserError(f"{path}: must have a path in every row, found {found}; a CSV has a header")
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise UserError(f"{path}: must list every image once, found {twice!r} twice; remove one")
    return names


def refuse_unreadable(where: Path, reasons: Mapping[str, str]) -> None:
    """Refuse files that cannot be embedded, if there are any.

    Raises:
        UserError: naming some, and the remedies.
    """
    if reasons:
        raise UserError(
            f"{where}: every file must be an image, found {describe(reasons)}; remove such files, or leave them out "
            "with --skip-unreadable; what is done so far is kept"
        )


def describe(reasons: Mapping[str, str]) -> str:
    """Count files and name the first of them with their reasons."""
    files = [f"{path} ({why})" for path, why in reasons.items()]
    return f"{len(files)} that cannot be read: {listed(files, MAX_LISTED)}"
