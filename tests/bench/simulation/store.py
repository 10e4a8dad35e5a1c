"""Simulated data sets and tables on disk: one line of JSON each, so that an interrupted run goes on where it was."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROWS = "rows"
"""Name of the file of finished tables, which is no design."""


def path_of(folder: Path, design: str) -> Path:
    return folder / f"{design}.jsonl"


def lines(path: Path, code: str) -> Iterator[dict[str, Any]]:
    """What this code wrote; the last line of an interrupted run may be cut, and is left out."""
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if line["code"] == code:
            yield line


def missing(folder: Path, design: str, code: str, sets: int) -> list[int]:
    """Numbers of the data sets that are still to be simulated."""
    done = {line["number"] for line in lines(path_of(folder, design), code)}
    return [number for number in range(sets) if number not in done]


def append(folder: Path, design: str, code: str, data_sets: Iterable[tuple[int, Any]]) -> None:
    """Write data sets as they come, each at once."""
    write(folder, design, ({"code": code, "number": number, "scores": scores} for number, scores in data_sets))


def read(folder: Path, design: str, code: str, sets: int) -> dict[str, dict[str, Any]]:
    """Arrays of all data sets, (R, ...): score -> `values` and `without` or `halves`."""
    found = {line["number"]: line["scores"] for line in lines(path_of(folder, design), code)}
    chosen = [found[number] for number in sorted(found) if number < sets]
    metrics = chosen[0] if chosen else {}
    return {
        metric: {part: np.array([scores[metric][part] for scores in chosen]) for part in parts}
        for metric, parts in metrics.items()
    }


def read_rows(folder: Path, design: str, code: str, sets: int) -> list[dict[str, Any]] | None:
    """Rows of one design's table over so many data sets, if they are there."""
    for line in lines(path_of(folder, ROWS), code):
        if (line["design"], line["sets"]) == (design, sets):
            return list(line["rows"])
    return None


def append_rows(folder: Path, design: str, code: str, sets: int, rows: list[dict[str, Any]]) -> None:
    """Keep rows of one design's table."""
    write(folder, ROWS, [{"code": code, "design": design, "sets": sets, "rows": rows}])


def write(folder: Path, name: str, records: Iterable[dict[str, Any]]) -> None:
    """Append records to a file, each at once; a line that was cut is ended first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, name)
    cut = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write("\n" if cut else "")
        for record in records:
            file.write(json.dumps(record) + "\n")
            file.flush()
