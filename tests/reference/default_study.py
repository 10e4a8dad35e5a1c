"""The tables of what the default study gave, run by run: on several numbers of threads, instruction sets and seeds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.aggregate.words.recommendation import SHORT_NAMES
from stages.aggregate.words.scores import metric_name
from tests.reference.pages import table

Run = Mapping[str, Any]


def runs_table(path: Path) -> str:
    """Tabulate every run: accuracy, then of each use the best layer, its score and the last layer's; the findings."""
    runs: dict[str, Run] = json.loads(path.read_text())
    first = next(iter(runs.values()))
    uses = [_title(*use) for use in first["uses"].items()]
    rows = [
        (name, f"{run['accuracy']:.3f}", *map(_use, run["uses"].values()), *run["findings"].values())
        for name, run in runs.items()
    ]
    return table(("run", "accuracy", *uses, *first["findings"]), rows)


def spread_table(path: Path) -> str:
    """Tabulate the range of each number over all runs."""
    runs: list[Run] = list(json.loads(path.read_text()).values())
    rows = []
    for use, first in runs[0]["uses"].items():
        of = [run["uses"][use] for run in runs]
        layers = " or ".join(map(str, sorted({each["layer"] for each in of})))
        numbers = [[each[name] for each in of if name in each] for name in ("best", "last", "lead")]
        rows.append((_title(use, first), layers, *map(_range, numbers)))
    return table(("", "best layer after training", "its score", "the last layer's", "its lead"), rows)


def _title(use: str, record: Mapping[str, Any]) -> str:
    return f"{use} ({SHORT_NAMES.get(record['score']) or metric_name(record['score'])})"


def _use(record: Mapping[str, Any]) -> str:
    return f"layer {record['layer']}: {record['best']:.3f}, last {record['last']:.3f}"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}" if values else "–"
