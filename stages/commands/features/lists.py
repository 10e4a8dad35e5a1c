"""Lists of images: a text file of paths, one a line, or a CSV with a column `path` and perhaps `label`."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from io import StringIO
from pathlib import Path

from stages.prepare.limits import LimitsParams
from stages.prepare.raw_files import check_regular, read_file
from stages.shared.runtime.errors import UserError

LISTS = (".csv", ".txt")


class NamedFiles:
    """Files that are named one by one, as `RawFiles`.

    Args:
        where: the folder that their paths are relative to, unless they are absolute.
        paths: of the files.
        limits: of them, the size of a file holds.

    Raises:
        UserError: a path leads to a pipe or a device.
    """

    hidden: tuple[str, ...] = ()

    def __init__(self, where: Path, paths: Sequence[str], limits: LimitsParams) -> None:
        self.where, self.paths, self._limits = where, tuple(paths), limits
        for path in self.paths:
            check_regular(where / path)

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(read_file, self.where / path, self._limits)


def read_list(path: Path, columns: Sequence[str] = ("path",)) -> list[dict[str, str]]:
    """Read the rows of a list of images.

    Args:
        path: a CSV, or a text file of paths.
        columns: those that are wanted; a text file has `path` alone.

    Raises:
        UserError: it cannot be read, a column or cell is empty, or a path stands there twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = csv.DictReader(StringIO(text, newline=""), strict=True)
        rows = [*table] if path.suffix.lower() == ".csv" else [{"path": line} for line in text.splitlines() if line]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: must be a list in UTF-8, found {error}; write it again") from None
    empty = next((column for column in columns if not all(row.get(column) for row in rows)), None)
    if empty or not rows:
        found = f"a row without {empty}" if empty else "no row"
        raise UserError(f"{path}: must have {' and '.join(columns)} in every row, found {found}; a CSV has a header")
    twice = next((name for name, count in Counter(row["path"] for row in rows).items() if count > 1), None)
    if twice:
        raise UserError(f"{path}: must name every image once, found {twice!r} twice; take one out")
    return rows
