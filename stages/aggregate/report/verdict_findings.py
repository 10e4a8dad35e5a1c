"""A finding in one line of the verdict: its status, or how many networks or datasets have which, and the scope."""

from collections import Counter
from collections.abc import Sequence

from stages.aggregate.formatting import harmless
from stages.aggregate.metric_info import BOTH
from stages.aggregate.report.findings import ACCURACY, DEPTH, FINE_TUNING, Finding
from stages.aggregate.report.outcomes import UNKNOWN, Outcome
from stages.aggregate.report.scopes import SHORT, THESE_CLASSES

CLAIMS = {
    ACCURACY: ("(i) Accuracy does not imply generalization", "(i) Accuracy need not generalize", "(i) Accuracy"),
    DEPTH: ("(ii) Deeper is not always better",),
    FINE_TUNING: ("(iii) What fine-tuning did to g", "(iii) g after fine-tuning"),
}

ORDER = (
    "shown", f"shown {THESE_CLASSES}", "no counter-example", "supported", "contradicted", "inconclusive",
    "raised", "lowered", "not distinguishable", "out of scope", UNKNOWN,
)  # fmt: skip
"""Every status, as they are counted."""


def finding_line(finding: Finding) -> list[str]:
    """Say what holds, in wordings from long to short."""
    alone = len({(each.dataset, each.network) for each in finding.outcomes}) == 1
    said = _alone(finding.outcomes) if alone else _counted(finding.outcomes)
    return [f"{claim}: {text}" for text in said for claim in CLAIMS[finding.claim]]


def _alone(outcomes: Sequence[Outcome]) -> list[str]:
    """Of one network, or of one dataset: the status in every scope, or in the wider one alone."""
    first = outcomes[0]
    if first.network is None or first.scope is None:
        return [_with_note(first)]
    by_status: dict[str, list[str]] = {}
    for each in outcomes:
        by_status.setdefault(each.status, []).append(SHORT[each.scope or "images"])
    both = ", ".join(f"{status} ({' and '.join(scopes)})" for status, scopes in by_status.items())
    return [both, f"{first.status} ({SHORT[first.scope]})"]


def _with_note(outcome: Outcome) -> str:
    note = harmless(outcome.note)
    if outcome.scope is None:
        return f"{outcome.status} ({note})"
    scope = "" if outcome.status.endswith(THESE_CLASSES) else f" ({SHORT[outcome.scope]})"
    if outcome.status.startswith("shown"):
        first, _, second = note.partition(" against ")
        return f"{outcome.status}{scope}: {first} against {second}"
    return f"{outcome.status}, {note}{scope}"


def _counted(outcomes: Sequence[Outcome]) -> list[str]:
    """Count the statuses, each network or dataset once, by the wider scope that is known of any; fully, and briefly."""
    scope = next((each for each in BOTH if any(outcome.scope == each for outcome in outcomes)), None)
    known = {(each.dataset, each.network): each.status for each in outcomes if each.scope == scope}
    names = {(each.dataset, each.network) for each in outcomes}
    counts = Counter([*known.values(), *[UNKNOWN] * len(names - set(known))])
    by_status = ", ".join(f"{status} in {counts[status]}" for status in ORDER if counts[status])
    briefly = ", ".join(f"{counts[status]} {status}" for status in ORDER if counts[status])
    of_datasets, several = all(network is None for _, network in names), len({dataset for dataset, _ in names}) > 1
    what = "datasets" if of_datasets else "cases" if several else "networks"
    said = [f"{by_status} of {len(names)} {what}", *([] if of_datasets else [briefly])]
    return [f"{text}{f' ({SHORT[scope]})' if scope else ''}" for text in said]
