"""findings.json and recommendation.json: the facts with their sentences, for programs of users."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, computed_field

from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.findings import STATUSES, finding_texts, outcome_note


class RecommendationEntry(Recommendation):
    """A recommendation with its sentences.

    Attributes:
        recommended: `best`; `null` where no layer is of use.
        reason: why nothing is recommended; `null` where something is.
        caveat: what makes it doubtful, or `null`.
        notes: what is missing, a sentence each.
    """

    recommended = computed_field(Recommendation.recommended)
    reason = computed_field(property(words.reason))
    caveat = computed_field(property(words.caveat))
    notes = computed_field(property(words.notes))


ENTRIES = TypeAdapter(list[RecommendationEntry])


def recommendations_json(recommendations: Sequence[Recommendation]) -> str:
    """Write recommendation.json: strict JSON, the same text for the same recommendations."""
    entries = [RecommendationEntry(**dict(found)) for found in recommendations]
    return ENTRIES.dump_json(entries, indent=2).decode()


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


def write_json(path: Path, text: str) -> None:
    """Write one of these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8")
