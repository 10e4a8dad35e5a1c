"""The findings in a word each: what holds of a dataset or of one of its networks, and in which scope."""

from collections.abc import Iterable
from dataclasses import dataclass

from stages.aggregate.metric_info import BOTH, Scope
from stages.aggregate.report.accuracy_rule import AccuracyFinding, AccuracyResult
from stages.aggregate.report.depth_rule import DepthFinding
from stages.aggregate.report.evidence import DatasetEvidence
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.aggregate.report.rule_words import telling

UNKNOWN = "cannot be judged"


@dataclass(frozen=True)
class Outcome:
    """One status.

    Attributes:
        dataset: that it is about.
        network: that it is about; None: all of the dataset.
        scope: other `classes`, or other `images` of these classes; None where it cannot be judged.
        status: in the rule's own word.
        note: what belongs to the status in a sentence about it alone; may be empty.
    """

    dataset: str
    network: str | None
    scope: Scope | None
    status: str
    note: str = ""


def accuracy_outcomes(each: DatasetEvidence) -> list[Outcome]:
    """Finding (i), of the dataset."""
    if all(row.accuracy is None for row in each.rows):
        return [Outcome(each.rows[0].dataset, None, None, UNKNOWN, "no fine-tuned head")]
    result = telling(each.accuracy)
    scope: Scope = "classes" if result is not None and result is each.accuracy.classes else "images"
    known = None if each.accuracy.status == UNKNOWN else scope
    return [Outcome(each.rows[0].dataset, None, known, each.accuracy.status, _note(each.accuracy, result))]


def depth_outcomes(each: DatasetEvidence) -> list[Outcome]:
    """Finding (ii), of every network in every scope that is known."""
    without = "one layer" if all(row.last_depth == 0 for row in each.rows) else "no interval"
    return [outcome for finding in each.depth for outcome in _of_network(each, finding, without)]


def fine_tuning_outcomes(each: DatasetEvidence) -> list[Outcome]:
    """Finding (iii), of every network that has a step 0 and a later one, in every scope that is known."""
    if not each.fine_tuning:
        return [Outcome(each.rows[0].dataset, None, None, UNKNOWN, "no step 0 beside a later step")]
    return [outcome for finding in each.fine_tuning for outcome in _of_network(each, finding, "no interval")]


def _of_network(each: DatasetEvidence, finding: DepthFinding | FineTuningFinding, without: str) -> Iterable[Outcome]:
    dataset, statuses = each.rows[0].dataset, (finding.on_other_classes, finding.on_these_classes)
    known = [
        Outcome(dataset, finding.network, scope, status) for scope, status in zip(BOTH, statuses, strict=True) if status
    ]
    return known or [Outcome(dataset, finding.network, None, UNKNOWN, without)]


def _note(finding: AccuracyFinding, result: AccuracyResult | None) -> str:
    if result is None:
        return "no interval"
    accurate = len(result.in_scope)
    if finding.status == UNKNOWN:
        return f"{'one' if accurate else 'no'} accurate network"
    if finding.status == "no counter-example":
        seen = "no pair comparable" if result.detectable is None else f"{result.detectable:.2f} would be seen"
        return f"{accurate} networks; {seen}"
    pair = result.counter_examples[0]
    return f"{pair.first} against {pair.second}"
