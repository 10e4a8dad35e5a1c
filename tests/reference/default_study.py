"""The tables of what the default study gave, run by run: on several numbers of threads, instruction sets and seeds."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
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


def spread_table(path: Path) -> str:
    """Tabulate over all runs what is named for each use, how often, and the range of each number that is printed."""
    runs: list[Run] = list(json.loads(path.read_text(encoding="utf-8")).values())
    rows = []
    for use, first in runs[0]["uses"].items():
        of = [run["uses"][use] for run in runs]
        named, statuses = Counter(map(_named, of)), Counter(STATUSES[each["status"]] for each in of)
        numbers = [[each[name] for each in of if name in each] for name in ("value", "estimate", "untrained")]
        rows.append((_title(use, first), _counted(named), *map(_range, numbers), _counted(statuses)))
    heads = ("", "layer to take", "its score", "gain over the last layer", "the same, untrained", "choosing")
    return table(heads, rows)


STATUSES = {"pays": "pays", "does_not_pay": "does not pay", "undecided": "undecided"}


def _title(use: str, record: Mapping[str, Any]) -> str:
    return f"{use} ({SHORT_NAMES.get(record['score']) or metric_name(record['score'])})"


def _named(record: Mapping[str, Any]) -> str:
    return f"{record['layer']}{'' if record['step'] else ', untrained'}"


def _use(record: Mapping[str, Any]) -> str:
    gain = f", gain {record['estimate']:+.3f}" if "estimate" in record else ""
    return f"layer {_named(record)}: {record['value']:.3f}{gain}"


def _counted(found: "Counter[str]") -> str:
    """List what runs gave, each with its number of runs, the most frequent first; one thing without."""
    return next(iter(found)) if len(found) == 1 else "; ".join(f"{what} ({n})" for what, n in found.most_common())


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}" if values else "–"
