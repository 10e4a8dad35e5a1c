"""The rows of a CSV that a user wrote."""

import csv
from collections.abc import Iterator
from io import StringIO

from ..shared.runtime.errors import UserError


def decoded(content: bytes, where: object) -> str:
    """Decode UTF-8, perhaps behind a mark of it.

    Raises:
        UserError: it is none.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{where}, line {line}: must be a list in UTF-8, found {error}; rewrite it") from None


def csv_rows(content: bytes, where: object) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row that is not blank, with the line where it begins, from 1.

    Args:
        content: the file.
        where: it lies, for messages.

    Raises:
        UserError: it is no CSV in UTF-8.
    """
    reader, line = csv.reader(StringIO(decoded(content, where), newline=""), strict=True), 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{where}, line {line}: not a CSV with commas: {error}") from None
