"""Simulated data sets on disk: one line of JSON each, so that an interrupted run goes on where it was."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


def path_of(folder: Path, design: str) -> Path:
    return folder / f"{design}.jsonl"


def lines(path: Path, code: str) -> Iterator[dict[str, Any]]:
    """Data sets that this code simulated; the last line of an interrupted run may be cut, and is left out."""
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            continue
        if found["code"] == code:
            yield found


def missing(folder: Path, design: str, code: str, sets: int) -> list[int]:
    """Numbers of the data sets that are still to be simulated."""
    done = {line["number"] for line in lines(path_of(folder, design), code)}
    return [number for number in range(sets) if number not in done]


def append(folder: Path, design: str, code: str, data_sets: Iterable[tuple[int, Any]]) -> None:
    """Write data sets as they come, each at once."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, design)
    cut = path.exists() and not path.read_text().endswith("\n")
    with path.open("a") as file:
        file.write("\n" if cut else "")
        for number, scores in data_sets:
            file.write(json.dumps({"code": code, "number": number, "scores": scores}) + "\n")
            file.flush()


def read(folder: Path, design: str, code: str, sets: int) -> dict[str, dict[str, Any]]:
    """Arrays of all data sets, (R, ...): score -> `values` and `without` or `halves`."""
    found = {line["number"]: line["scores"] for line in lines(path_of(folder, design), code)}
    chosen = [found[number] for number in sorted(found) if number < sets]
    metrics = chosen[0] if chosen else {}
    return {
        metric: {part: np.array([scores[metric][part] for scores in chosen]) for part in parts}
        for metric, parts in metrics.items()
    }
