"""The tables of what the default study gave, run by run: on several numbers of threads, instruction sets and seeds."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.aggregate.words.scores import short_name
from tests.reference.pages import table

Run = Mapping[str, Any]


def runs_table(path: Path) -> str:
    """Tabulate every run: accuracy, then of each use the layer, its score and its gain over the last layer."""
    runs: dict[str, Run] = json.loads(path.read_text(encoding="utf-8"))
    first = next(iter(runs.values()))
    uses = [_title(*use) for use in first["uses"].items()]
    rows = [(name, f"{run['accuracy']:.3f}", *map(_use, run["uses"].values())) for name, run in runs.items()]
    return table(("run", "accuracy", *uses), rows)


def spread_table(path: Path) -> str:
    """Tabulate over all runs the layer of each use, how often, and the range of each number that is printed."""
    runs: list[Run] = list(json.loads(path.read_text(encoding="utf-8")).values())
    rows = []
    for use, first in runs[0]["uses"].items():
        records = [run["uses"][use] for run in runs]
        numbers = [
            _range([each[name] for each in records if name in each], sign)
            for name, sign in (("value", ""), ("crossvalidated", "+"), ("untrained", "+"))
        ]
        statuses = [each["status"].replace("_", " ") for each in records]
        rows.append((_title(use, first), _counted(map(_named, records)), *numbers, _counted(statuses)))
    gain = "cross-validated gain over the last layer"
    heads = ("use", "recommended layer", "its score", gain, "the same, pre-trained", "choosing")
    return table(heads, rows)


def _counted(values: Iterable[str]) -> str:
    """List values with their numbers of runs, the most frequent first."""
    return "; ".join(f"{value} ({n})" for value, n in Counter(values).most_common())


def _range(values: Sequence[float], sign: str) -> str:
    ends = sorted({f"{end:{sign}.3f}" for end in values}, key=float)
    return " to ".join(dict.fromkeys((ends[0], ends[-1]))) if ends else "–"


def _title(use: str, record: Mapping[str, Any]) -> str:
    return f"{use} ({short_name(record['score'])})"


def _named(record: Mapping[str, Any]) -> str:
    return f"{record['layer']}{'' if record['step'] else ', pre-trained'}"


def _use(record: Mapping[str, Any]) -> str:
    gain = f", gain {record['crossvalidated']:+.3f}" if "crossvalidated" in record else ""
    return f"layer {_named(record)}: {record['value']:.3f}{gain}"
