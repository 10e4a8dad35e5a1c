"""The tables of what the default study gave, run by run: on several numbers of threads, instruction sets and seeds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.aggregate.words.recommendation import SHORT_NAMES
from stages.aggregate.words.scores import metric_name
from tests.reference.pages import table

Run = Mapping[str, Any]


def runs_table(path: Path) -> str:
    """Tabulate every run: accuracy, then of each use what is named, its score and its gain over the last layer."""
    runs: dict[str, Run] = json.loads(path.read_text(encoding="utf-8"))
    first = next(iter(runs.values()))
    uses = [_title(*use) for use in first["uses"].items()]
    rows = [(name, f"{run['accuracy']:.3f}", *map(_use, run["uses"].values())) for name, run in runs.items()]
    return table(("run", "accuracy", *uses), rows)


def _title(use: str, record: Mapping[str, Any]) -> str:
    return f"{use} ({SHORT_NAMES.get(record['score']) or metric_name(record['score'])})"


def _named(record: Mapping[str, Any]) -> str:
    return f"{record['layer']}{'' if record['step'] else ', untrained'}"


def _use(record: Mapping[str, Any]) -> str:
    gain = f", gain {record['estimate']:+.3f}" if "estimate" in record else ""
    return f"layer {_named(record)}: {record['value']:.3f}{gain}"
