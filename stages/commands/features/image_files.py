"""The images of any folder or archive, of a list, or one alone, listed without labels and without being decoded."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from PIL import Image

from stages.commands.project import listed
from stages.prepare.archives import is_archive
from stages.prepare.candidates import Content
from stages.prepare.csv_rows import csv_rows, decoded
from stages.prepare.decode import BadImageError, damage_named, known_formats, open_image, read_content
from stages.prepare.raw_data import open_raw
from stages.prepare.raw_files import RawFiles, check_regular, read_file
from stages.shared.runtime.errors import CONTROL, UserError

LISTS = (".csv", ".txt")


def list_images(where: Path, resources: ExitStack) -> RawFiles:
    """List all files of a folder, of an archive or of a list as images. Hidden files are left out.

    Args:
        where: a folder, which may hold folders or one archive; an archive; a text file of paths, one a line, or a CSV
            with a column `path`, which are relative to the list's folder or absolute; or an image.
        resources: closes the archive, and removes what is unpacked.

    Raises:
        UserError: it is empty, the archive or list is damaged, or an entry is a pipe, a device or a link to
            a folder.
    """
    check_regular(where)
    if where.is_dir() or is_archive(where.name) or is_archive(where.resolve().name):
        files = open_raw(where, resources)
    else:
        is_list = where.suffix.lower() in LISTS
        named = [row["path"] for row in read_list(where)] if is_list else [where.name]
        files = RawFiles(where.parent, tuple(named), (), lambda path: read_file(where.parent / path))
    for path in files.paths:
        if CONTROL.search(path):
            raise UserError(f"{files.where}: the name of a file must not have control characters, found {path!r}")
        if files.where == where.parent:  # named, and not listed from a folder that was looked through
            check_regular(files.where / path)
    return files


def read_list(path: Path, columns: Sequence[str] = ("path",)) -> list[dict[str, str]]:
    """Read the rows of a list of images.

    Args:
        path: a CSV, or a text file of paths, one a line.
        columns: those that are wanted; a text file has `path` alone.

    Raises:
        UserError: it cannot be read, a column or cell is empty, or a path stands there twice.
    """
    check_regular(path)
    content, is_csv = read_file(path), path.suffix.lower() == ".csv"
    texts = ([line.rstrip("\r")] for line in decoded(content, path).split("\n") if line.rstrip("\r"))
    read = (cells for _, cells in csv_rows(content, path)) if is_csv else texts
    header = next(read, []) if is_csv else ["path"]
    named = (dict(zip(header, cells, strict=False)) for cells in read)
    rows = [{column: row.get(column, "") for column in columns} for row in named]
    empty = next((column for column in columns if not all(row.get(column) for row in rows)), None)
    if empty or not rows:
        found = f"a row without {empty}" if empty else "no row"
        found += "; a CSV has a header" if is_csv else ""
        raise UserError(f"{path}: must have {' and '.join(columns)} in every row, found {found}")
    twice = next((name for name, count in Counter(row["path"] for row in rows).items() if count > 1), None)
    if twice:
        raise UserError(f"{path}: must name every image once, found {twice!r} twice; take one out")
    return rows


def not_images(files: Mapping[str, Callable[[], Content]]) -> dict[str, str]:
    """Open the files whose names do not end as an image's, and return why some are none.

    Args:
        files: path -> a function that reads it.
    """
    formats = known_formats()
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in formats}
    reasons = {}
    for path in (path for path in files if PurePosixPath(path).suffix.lower() not in endings):
        file = read_content(files[path])
        try:
            with damage_named():
                open_image(file if isinstance(file, bytes) else b"")  # what cannot be read is no image
        except BadImageError as error:
            reasons[path] = str(error)
    return reasons


def refuse_unreadable(where: Path, reasons: Mapping[str, str]) -> None:
    """Refuse files that cannot be embedded, if there are any.

    Raises:
        UserError: naming some, and the remedies.
    """
    if reasons:
        raise UserError(
            f"{where}: every file must be an image, found {describe(reasons)}; take such files out, or leave them out "
            "with --skip-unreadable; what is done so far is kept"
        )


def describe(reasons: Mapping[str, str]) -> str:
    """Count files and name the first of them with their reasons."""
    return f"{len(reasons)} that cannot be read: {listed([f'{path} ({why})' for path, why in reasons.items()])}"
