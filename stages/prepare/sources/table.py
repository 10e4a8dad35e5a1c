"""Images listed in a CSV with the columns path, label and, if wanted, split."""

import posixpath
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import cast

import pandas as pd

from stages.prepare.candidates import Candidate, Listing, Split
from stages.prepare.params import TableParams
from stages.prepare.raw_files import RawFiles, open_raw
from stages.shared.console import UserError, nearest
from stages.shared.images import SPLITS


def list_table(raw: Path, params: TableParams, seed: int, resources: ExitStack) -> Listing:
    """List the images that a CSV names; their paths are relative to the raw folder (or to its one archive).

    Raises:
        UserError: the CSV is missing, lacks a column or has an empty or impossible cell (named by its line), or names a
            file that is not there.
    """
    files = open_raw(raw, resources)
    table = _read_table(raw, files, params.table)
    where = f"{raw}/{params.table}"
    known = set(files.paths)
    candidates = [_candidate(row, line, where, files, known) for line, row in enumerate(_rows(table), start=2)]
    listed = {c.source for c in candidates} | {params.table}
    return Listing(candidates, tuple(path for path in files.paths if path not in listed))


def _read_table(raw: Path, files: RawFiles, name: str) -> pd.DataFrame:
    if (raw / name).is_file():
        content = (raw / name).read_bytes()
    elif name in files.paths:
        content = files.content(name)()
    else:
        tables = [path for path in files.paths if path.lower().endswith(".csv")]
        raise UserError(f"{raw}: has no table {name!r}: {nearest(name, tables)}")
    try:
        table = pd.read_csv(BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{raw}/{name}: not a CSV in UTF-8 with commas: {error}") from None
    missing = [column for column in ("path", "label") if column not in table.columns]
    if missing:
        raise UserError(
            f"{raw}/{name}: must have the columns path, label and, if wanted, split; lacks {', '.join(missing)}; "
            f"found {', '.join(table.columns)}"
        )
    if table.empty:
        raise UserError(f"{raw}/{name}: must list images, found no row")
    return table


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return [{str(column): cell for column, cell in row.items()} for row in table.to_dict("records")]


def _candidate(row: dict[str, str], line: int, where: str, files: RawFiles, known: set[str]) -> Candidate:
    path = posixpath.normpath(row["path"].replace("\\", "/"))
    if path.startswith(("/", "../")):
        raise UserError(
            f"{where}, line {line}: path must be relative to the raw folder and inside it, found {row['path']!r}"
        )
    if path not in known:
        raise UserError(
            f"{where}, line {line}: file {row['path']!r} is not there: {nearest(path, _neighbours(path, known))}"
        )
    if not row["label"].strip():
        raise UserError(f"{where}, line {line}: label must not be empty")
    split = row.get("split")
    if split is not None and split not in SPLITS:
        raise UserError(f"{where}, line {line}: split must be one of {', '.join(SPLITS)}; found {split!r}")
    return Candidate(path, row["label"].strip(), cast(Split | None, split), path, files.content(path))


def _neighbours(path: str, known: set[str]) -> list[str]:
    folder = posixpath.dirname(path)
    return [k for k in known if posixpath.dirname(k) == folder] or list(known)
