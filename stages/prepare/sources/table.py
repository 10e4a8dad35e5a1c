"""Images listed in a CSV with the columns path, label and, if wanted, split."""

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast
from unicodedata import normalize

from ...shared.images.image_store import SPLITS
from ...shared.runtime.errors import UserError, did_you_mean, listed, prefix_errors
from ..candidates import Candidate, Listing, Split
from ..csv_rows import csv_rows
from ..names import inside
from ..params import TableParams
from ..raw_data import open_raw
from ..raw_files import RawFiles, read_file

COLUMNS = ("path", "label", "split")


def list_table(raw: Path, params: TableParams, seed: int, resources: ExitStack) -> Listing:
    """List the images that a CSV names; their paths are relative to the raw folder (or to its one archive).

    Raises:
        UserError: the CSV is missing, lacks a column or has an empty or impossible cell (named by its line), or names a
            file that is not there, or twice.
    """
    files = open_raw(raw, resources)
    where = f"{raw}/{params.table}"
    paths = {normalize("NFC", path): path for path in files.paths} | {path: path for path in files.paths}
    candidates: dict[str, Candidate] = {}
    for line, row in _rows(_read_table(raw, files, params.table), where, params.group):
        with prefix_errors(f"{where}, line {line}"):
            candidate = _candidate(row, files, paths)
            if candidate.source in candidates:
                raise UserError(f"file {candidate.source!r} must be listed once; remove a row of it")
        candidates[candidate.source] = candidate
    if not candidates:
        raise UserError(f"{where}: must list images, found no row")
    ignored = tuple(path for path in files.paths if path not in candidates and path != params.table)
    return Listing(list(candidates.values()), ignored, files.hidden)


def _read_table(raw: Path, files: RawFiles, name: str) -> bytes:
    if (own := raw / name).is_file():
        return read_file(own)
    if name in files.paths:
        return files.read(name)
    tables = [path for path in files.paths if path.lower().endswith(".csv")]
    raise UserError(f"{raw}: has no table {name!r}: {did_you_mean(name, tables)}")


def _rows(content: bytes, where: str, group: str | None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield of each row the line where it begins and its cells by column, that of its group as `group`."""
    lines = csv_rows(content, where)
    _, header = next(lines, (1, []))
    wanted = {column: column for column in COLUMNS} | ({"group": group} if group else {})
    missing = [name for column, name in wanted.items() if column != "split" and name not in header]
    if twice := [name for name in wanted.values() if header.count(name) > 1]:
        raise UserError(f"{where}: must have each column once, found {twice[0]!r} twice; rename or remove one of them")
    if missing:
        raise UserError(
            f"{where}: must have the columns path, label and, if wanted, split; lacks {', '.join(missing)}; "
            f"found {listed(header) or 'none'}; rename them in its first line"
        )
    for line, cells in lines:
        if len(cells) != len(header):
            raise UserError(
                f"{where}, line {line}: must have {len(header)} cells, as the header has, found {len(cells)}; "
                "quote a cell that holds a comma, and remove a comma at the end"
            )
        yield line, {column: cells[header.index(name)] for column, name in wanted.items() if name in header}


def _candidate(row: dict[str, str], files: RawFiles, paths: dict[str, str]) -> Candidate:
    path = inside(row["path"])
    if path is None:
        raise UserError(f"path must be relative to the raw folder and inside it, found {row['path']!r}")
    path = paths.get(path, paths.get(normalize("NFC", path), path))  # macOS encodes accents in names otherwise
    if path not in paths:
        neighbours = [other for other in paths.values() if posixpath.dirname(other) == posixpath.dirname(path)]
        raise UserError(f"file {row['path']!r} is not there: {did_you_mean(path, neighbours or paths)}")
    for column in ("label", "group"):
        if column in row and not row[column].strip():
            raise UserError(f"{column} must not be empty")
    split = row.get("split")
    if split is not None and split not in SPLITS:
        raise UserError(f"split must be one of {', '.join(SPLITS)}; found {split!r}")
    label, group = row["label"].strip(), row.get("group", "").strip()
    return Candidate(path, label, cast(Split | None, split), path, files.content(path), group)
