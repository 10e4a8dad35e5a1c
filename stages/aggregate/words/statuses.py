"""What holds of a claim, in a line: how often, at which checkpoint, and about what."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from ..findings.outcomes import Claim, DatasetFindings, Outcome, Reason, Status
from .formatting import harmless
from .scopes import SCOPES, SHORT, at_last_step

TITLES = {
    Claim.ACCURACY: "(i) Accuracy does not imply generalization",
    Claim.DEPTH: "(ii) Deeper is not always better",
    Claim.FINE_TUNING: "(iii) What fine-tuning did to g",
}

STATUSES = {status: status.replace("_", " ") for status in Status} | {
    Status.SHOWN_HERE: "shown for these classes and trained networks",
    Status.NO_COUNTER_EXAMPLE: "no counter-example",
    Status.UNKNOWN: "cannot be judged",
}

REASONS = {reason: reason.replace("_", " ") for reason in Reason} | {
    Reason.NO_HEAD: "no fine-tuned head",
    Reason.NO_INTERVAL: "no interval with a proven level",
    Reason.NO_STEPS: "no later step beside the pre-trained network",
    Reason.NOT_AT_START: "the pre-trained network's score was not measured",
    Reason.LESS_ACCURATE: "less accurate than the best",
    Reason.PIXELS_AS_ACCURATE: "not above raw pixels",
    Reason.NO_LAYER_BEATS_PIXELS: "no layer is shown to beat chance and raw pixels",
}

CHECKPOINTS: dict[str, Callable[[list[int]], int]] = {"recommended": min, "last": max}
"""Which of the steps at which a network is judged each one is."""

Judged = list[tuple[str, Outcome]]
"""Outcomes of one claim, each with its dataset."""


def status_words(datasets: Sequence[DatasetFindings], claim: Claim, *, at: Collection[str] = CHECKPOINTS) -> str:
    """Write what holds of a claim, and at which checkpoint; of several networks or datasets, how often.

    Args:
        datasets: the findings on each.
        claim: what is claimed.
        at: of `CHECKPOINTS`, at which the claim is to be judged.
    """
    outcomes = [(each.dataset, outcome) for each in datasets for outcome in each.outcomes(claim)]
    steps: dict[tuple[str, str | None], list[int]] = {}
    for dataset, outcome in outcomes:
        steps.setdefault((dataset, outcome.network), []).append(outcome.step or 0)
    ends = [CHECKPOINTS[name] for name in (at if any(len({*own}) > 1 for own in steps.values()) else ["last"])]
    trained, told = any(map(any, steps.values())), []
    for end in ends:
        judged = {name: end(own) for name, own in steps.items()}
        there = [(dataset, each) for dataset, each in outcomes if (each.step or 0) == judged[dataset, each.network]]
        several = len({*judged.values()}) > 1
        where = "the recommended step" if several and end is min else at_last_step(judged.values())
        told.append(_statuses(there, f" at {where}" * trained))
    return "; ".join(told)


def _statuses(outcomes: Judged, where: str) -> str:
    """Write what holds at one checkpoint of each network."""
    if len({(dataset, outcome.network) for dataset, outcome in outcomes}) > 1:
        return _counted(outcomes, where)
    first = outcomes[0][1]
    status, note = STATUSES[first.status], harmless(outcome_note(first))
    if first.scope is None:
        return f"{status} ({note}){where}"
    if first.network is None:
        scope = "" if first.status is Status.SHOWN_HERE else f" ({SHORT[first.scope]})"
        return f"{status}{scope}: {note}" if first.counter_example else f"{status}, {note}{scope}"
    by_status: dict[Status, list[str]] = {}
    for _, outcome in outcomes:
        by_status.setdefault(outcome.status, []).append(SHORT[outcome.scope or "images"])
    told = ", ".join(f"{STATUSES[status]} ({' and '.join(scopes)})" for status, scopes in by_status.items())
    return f"{told}{where}"


def outcome_note(outcome: Outcome) -> str:
    """Write what belongs to a status in a sentence about it alone; may be nothing."""
    if outcome.reason is not None:
        return REASONS[outcome.reason]
    if outcome.counter_example is not None:
        return f"{outcome.counter_example.first} against {outcome.counter_example.second}"
    if outcome.n_networks is None:
        return ""
    seen = "no pair comparable" if outcome.detectable is None else f"{outcome.detectable:.2f} would be seen"
    return f"{outcome.n_networks} networks; {seen}"


def _counted(outcomes: Judged, where: str) -> str:
    """Count the statuses, each network or dataset once, by the wider scope that is known of any."""
    scope = next((scope for scope in SCOPES if any(outcome.scope == scope for _, outcome in outcomes)), None)
    known = {
        (dataset, outcome.network): outcome.status for dataset, outcome in outcomes if outcome.scope in (scope, None)
    }
    names = {(dataset, outcome.network) for dataset, outcome in outcomes}
    counts = Counter([*known.values(), *[Status.UNKNOWN] * len(names - set(known))])
    of_datasets, several = all(network is None for _, network in names), len({dataset for dataset, _ in names}) > 1
    what = "datasets" if of_datasets else "cases" if several else "networks"
    by_status = ", ".join(f"{words} in {counts[status]}" for status, words in STATUSES.items() if counts[status])
    return f"{by_status} of {len(names)} {what}{where}{f' ({SHORT[scope]}, each by itself)' if scope else ''}"
