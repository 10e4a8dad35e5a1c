"""Three findings, put to the test on one grid's results: sentences with their scope, numbers and cautions.

The paper claims the first two; the third is asked beside them. Each is judged for every dataset by itself.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from stages.aggregate.formatting import joined
from stages.aggregate.report import finding_details
from stages.aggregate.report.evidence import DatasetEvidence
from stages.aggregate.report.outcomes import (
    Outcome,
    accuracy_outcomes,
    depth_outcomes,
    fine_tuning_outcomes,
)
from stages.aggregate.report.rule_words import accuracy_sentences, by_status
from stages.aggregate.report.scopes import NO_INTERVAL, at_start, explain_scopes, few_folds
from stages.aggregate.result_files import check_result
from stages.shared.files.digests import again, mend
from stages.shared.runtime.errors import UserError

ACCURACY = "(i) High accuracy on seen classes does not imply generalization"
DEPTH = "(ii) Deeper is not always better"
FINE_TUNING = "(iii) What fine-tuning did to g"

ABOUT_ACCURACY = (
    "g is the best layer's score on unseen classes. The claim denies an implication: one counter-example shows it, and "
    "networks that agree show nothing. The networks were chosen, not sampled."
)
ABOUT_DEPTH = (
    "The lead over the last layer is that of a layer that was chosen on the other folds, of a single fold on the other "
    "half of the images. Bounds are one-sided, each by itself, of the truly best layer's lead; that layer is "
    "the best one or among those not distinguishable from it."
)
ABOUT_FINE_TUNING = "The last step is compared with step 0, as two networks on the same classes; g need not rise."


@dataclass(frozen=True)
class Finding:
    """One claim, on every dataset.

    Attributes:
        claim: what is claimed.
        summaries: dataset -> what these results say of it.
        details: dataset -> the numbers behind it, a sentence or a few each.
        caution: what the summaries do not say.
        outcomes: the summaries in a word each.
    """

    claim: str
    summaries: dict[str, str]
    details: dict[str, list[str]]
    caution: str
    outcomes: list[Outcome]


def evaluate_findings(evidence: Sequence[DatasetEvidence], steps: pd.DataFrame) -> list[Finding]:
    """Judge the claims for every dataset.

    Args:
        evidence: of every dataset; all have the same main score.
        steps: steps.csv, for accuracy and g over training; may be empty.
    """
    rows = [row for each in evidence for row in each.rows]
    metric, few = rows[0].metric, few_folds(rows)
    about = {
        ACCURACY: (_accuracy_summary, accuracy_outcomes, finding_details.accuracy, ABOUT_ACCURACY),
        DEPTH: (_depth_summary, depth_outcomes, finding_details.depth, ABOUT_DEPTH),
        FINE_TUNING: (
            _fine_tuning_summary,
            fine_tuning_outcomes,
            lambda each: finding_details.fine_tuning(each, steps),
            ABOUT_FINE_TUNING,
        ),
    }
    return [
        Finding(
            claim,
            {each.rows[0].dataset: summary(each) for each in evidence},
            {each.rows[0].dataset: details(each) for each in evidence},
            " ".join(part for part in (explain_scopes(metric), words, few) if part),
            [outcome for each in evidence for outcome in outcomes(each)],
        )
        for claim, (summary, outcomes, details, words) in about.items()
    ]


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings.json: strict JSON, the same bytes for the same findings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def read_findings(path: Path) -> list[Finding]:
    """Read findings.json.

    Raises:
        UserError: there is none, it is damaged, or it is of another version.
    """
    what = f"{path}: must be a list of findings"
    try:
        entries = json.loads(check_result(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{what}, found no file; run the aggregate stage (`dvc repro`)") from None
    except ValueError as error:
        raise UserError(f"{what}, found it damaged ({error}); {mend('aggregate')}") from None
    names = {field.name for field in fields(Finding)}
    if not isinstance(entries, list) or any(not isinstance(e, dict) or set(e) != names for e in entries):
        raise UserError(
            f"{what}, each with {', '.join(sorted(names))}; it was written by another version; {again('aggregate')}"
        )
    return [Finding(**entry | {"outcomes": [Outcome(**each) for each in entry["outcomes"]]}) for entry in entries]


def _accuracy_summary(each: DatasetEvidence) -> str:
    judged = [row for row in each.rows if row.accuracy is not None]
    without = [row.model for row in each.rows if row.accuracy is None]
    unknown = each.accuracy.classes is None and each.accuracy.images is None
    if unknown and len(judged) > 1:
        sentences = [f"Cannot be judged: {NO_INTERVAL}."]
    else:
        sentences = accuracy_sentences(each.accuracy)
    if without:
        sentences.append(f"Left out, having no fine-tuned head: {joined(without)}.")
    return " ".join(sentences)


def _depth_summary(each: DatasetEvidence) -> str:
    if all(row.last_depth == 0 for row in each.rows):
        return "Cannot be judged: no network has a second layer."
    return by_status(each.depth) or f"Cannot be judged: {NO_INTERVAL}."


def _fine_tuning_summary(each: DatasetEvidence) -> str:
    if not each.fine_tuning:
        return "Cannot be judged: of no network are step 0 and a later step known."
    return by_status(each.fine_tuning) or at_start(f"{NO_INTERVAL}.")
