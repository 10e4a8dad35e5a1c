"""findings.json and recommendation.json: the facts with their sentences, for programs of users."""

import json
from collections.abc import Sequence
from pathlib import Path

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.render.metrics_json import write_metrics
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.findings import STATUSES, finding_texts, outcome_note


def recommendations_json(recommendations: Sequence[Recommendation]) -> str:
    """Write recommendation.json: strict JSON, the same text for the same recommendations."""
    entries = [
        found.model_dump(mode="json")
        | {"recommended": found.recommended and found.recommended.model_dump(mode="json")}
        | {"reason": words.reason(found), "caveat": words.caveat(found), "notes": words.notes(found)}
        for found in recommendations
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False)


def findings_json(datasets: Sequence[DatasetFindings]) -> str:
    """Write findings.json: strict JSON, the same text for the same findings."""
    entries = []
    for claim, finding in finding_texts(datasets).items():
        outcomes = [
            {
                "dataset": each.dataset,
                "network": outcome.network,
                "scope": outcome.scope,
                "status": STATUSES[outcome.status],
                "note": outcome_note(outcome),
            }
            for each in datasets
            for outcome in each.outcomes(claim)
        ]
        entries.append(vars(finding) | {"outcomes": outcomes})
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False)


def write_json_files(out: Path, facts: Facts, summary: Sequence[SummaryRow]) -> None:
    """Write facts.json, and what programs of users read: findings.json, recommendation.json and metrics.json."""
    write_facts(out, facts)
    write_metrics(out / "metrics.json", summary, facts.recommendations)
    for name, text in (
        ("findings.json", findings_json(facts.findings)),
        ("recommendation.json", recommendations_json(facts.recommendations)),
    ):
        (out / name).write_text(f"{text}\n", encoding="utf-8")
