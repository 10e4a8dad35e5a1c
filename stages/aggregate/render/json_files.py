"""The facts as JSON: for commands, for programs of users, with their sentences, and for `dvc metrics` and `dvc exp`."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.scope import INTERVAL_ENDS, LEAD_ENDS, Scope
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.findings import finding_texts, outcome_note

Numbers = dict[str, Any]

DECIMALS = 6
"""Of the numbers in metrics.json."""


def write_json_files(out: Path, facts: Facts, summary: Sequence[SummaryRow]) -> None:
    """Write facts.json, and what programs of users read: findings.json, recommendation.json and metrics.json."""
    write_facts(out, facts)
    for name, text in (
        ("metrics.json", metrics_json(summary, facts.recommendations, facts.notice)),
        ("findings.json", findings_json(facts.findings, facts.notice)),
        ("recommendation.json", recommendations_json(facts.recommendations, facts.notice)),
    ):
        (out / name).write_text(f"{text}\n", encoding="utf-8")


def recommendations_json(recommendations: Sequence[Recommendation], notice: str = "") -> str:
    """Write recommendation.json: the records, with what words say of them."""
    entries = []
    for found in recommendations:
        record = found.model_dump(mode="json")
        said = {"reason": words.reason(found), "caveat": words.caveat(found), "notes": words.notes(found)}
        entries.append(record | {"recommended": record["best"] if found.recommended else None} | said)
    return _strict(entries, notice)


def findings_json(datasets: Sequence[DatasetFindings], notice: str = "") -> str:
    """Write findings.json: every claim in words, and what holds of each dataset or network."""
    entries = []
    for claim, finding in finding_texts(datasets).items():
        outcomes = [
            {"dataset": each.dataset, "network": one.network, "scope": one.scope, "status": one.status}
            | {"note": outcome_note(one)}
            for each in datasets
            for one in each.outcomes(claim)
        ]
        entries.append(vars(finding) | {"outcomes": outcomes})
    return _strict(entries, notice)


def metrics_json(rows: Sequence[SummaryRow], recommendations: Sequence[Recommendation], notice: str = "") -> str:
    """Write metrics.json: dataset -> model -> the numbers of its main row and, by use, of what is recommended."""
    tree: dict[str, dict[str, Numbers]] = {}
    for row in rows:
        if row.main:
            scope: Scope = "classes" if row.ci_classes_low is not None else "images"
            own = [each for each in recommendations if (each.dataset, each.model) == (row.dataset, row.model)]
            tree.setdefault(row.dataset, {})[row.model] = _rounded(
                {
                    "accuracy": row.accuracy,
                    "g_unseen": row.unseen,
                    "g_seen": row.seen,
                    "best_layer": row.best_layer,
                    "best_depth": row.best_depth,
                    "last_value": row.last_value,
                    "lead": row.lead,
                    "scope": scope,
                    "ci_low": getattr(row, INTERVAL_ENDS[scope][0]),
                    "ci_high": getattr(row, INTERVAL_ENDS[scope][1]),
                    "lead_at_least": getattr(row, LEAD_ENDS[scope][0]),
                    "lead_at_most": getattr(row, LEAD_ENDS[scope][1]),
                    "uses": {each.use: _rounded(_of_use(each)) for each in own},
                }
            )
    return _strict(tree, notice)


def _of_use(found: Recommendation) -> Numbers:
    """The layer for one use, its score, and how much better the last layer and the one before it are."""
    best, losses = found.best, {"last": found.loss(words.LAST), "before": found.loss(words.PENULTIMATE)}
    return {
        "metric": found.metric,
        **{name: getattr(best, name) for name in ("layer", "depth", "step")},
        **dict(zip(("score", "low", "high"), best.estimate, strict=True)),
        **{name: None if loss is None else -loss for name, loss in losses.items()},
    }


def _rounded(numbers: Mapping[str, Any]) -> Numbers:
    """Round what is a float, or leave it out where it is not finite."""
    floats = {name: value for name, value in numbers.items() if isinstance(value, float)}
    return {**numbers, **{k: round(value, DECIMALS) if math.isfinite(value) else None for k, value in floats.items()}}


def _strict(content: Any, notice: str) -> str:
    """Write JSON without NaN and infinity; the notice, if any, stands in it, or in every entry of a list."""
    said = {"notice": notice} if notice else {}
    content = [said | each for each in content] if isinstance(content, list) else said | content
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
