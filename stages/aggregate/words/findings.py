"""The findings in words: of each claim a title, what holds in one line, and the numbers behind it in sentences."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ...core.inference.layer_comparison import Bounds
from ..findings.outcomes import (
    Claim,
    DatasetFindings,
    NetworkPair,
    Outcome,
    Reason,
    Status,
    change_status,
    lead_status,
)
from ..names import Parts
from .formatting import capitalized, change_interval, decimals, harmless, joined
from .scores import ROWS, metric_name
from .study import (
    NO_INTERVAL,
    SCOPES,
    SHORT,
    at_last_step,
    explain_scopes,
    few_folds,
    scope_sentence,
)

TITLES = {
    Claim.ACCURACY: "(i) Accuracy does not imply generalization",
    Claim.DEPTH: "(ii) Deeper is not always better",
    Claim.FINE_TUNING: "(iii) What fine-tuning did to g",
}

ABOUT = {
    Claim.ACCURACY: (
        "g is the best layer's score on unseen classes. The claim denies an implication: one counter-example shows it, "
        "and networks that agree show nothing. The networks, each at its last checkpoint, were chosen, not sampled."
    ),
    Claim.DEPTH: (
        "The lead is by how much the truly best earlier layer beats the last. Its bounds are one-sided, each by "
        "itself; that layer is the best one or among those not distinguishable from it. It is judged at the last "
        "checkpoint, and where another is recommended at that, too, of which the bounds do not know that it was chosen."
    ),
    Claim.FINE_TUNING: ("The last step is compared with step 0, as two networks on the same classes; g need not rise."),
}

STATUSES = {status: status.replace("_", " ") for status in Status} | {
    Status.SHOWN_HERE: "shown for these classes and trained networks",
    Status.NO_COUNTER_EXAMPLE: "no counter-example",
    Status.UNKNOWN: "cannot be judged",
}

REASONS = {reason: reason.replace("_", " ") for reason in Reason} | {
    Reason.NO_HEAD: "no fine-tuned head",
    Reason.NO_INTERVAL: "no interval of a proven level",
    Reason.NO_STEPS: "no step 0 beside a later step",
    Reason.NOT_AT_START: "the score was not measured at step 0",
    Reason.LESS_ACCURATE: "less accurate than the best",
    Reason.PIXELS_AS_ACCURATE: "not above raw pixels",
    Reason.NO_LAYER_BEATS_PIXELS: "no layer is shown to beat chance and raw pixels",
}

OUT_OF_SCOPE = f"Out of scope, since {REASONS[Reason.NO_LAYER_BEATS_PIXELS]}."


@dataclass(frozen=True)
class Finding:
    """One claim, on every dataset.

    Attributes:
        claim: what is claimed.
        summaries: dataset -> what holds of it there, in a line.
        details: dataset -> the numbers behind it, a sentence or a few each.
        caution: what the summaries do not say.
    """

    claim: str
    summaries: dict[str, str]
    details: dict[str, list[str]]
    caution: str


def finding_texts(
    datasets: Sequence[DatasetFindings], unit_rows: Collection[str] = (), parts: Parts = "folds"
) -> dict[Claim, Finding]:
    """Put every claim into words.

    Args:
        datasets: the findings on each; all have the same main score.
        unit_rows: the scores that are of rows of length 1.
        parts: what their folds are.
    """
    rows = [row for each in datasets for row in each.rows]
    judged = f"{metric_name(rows[0].metric)} is of {ROWS['l2' if rows[0].metric in unit_rows else 'none']}."
    scopes, few = explain_scopes(rows[0].metric, max(row.step for row in rows)), few_folds(rows, parts)
    return {
        claim: Finding(
            TITLES[claim],
            {each.dataset: f"{capitalized(status_words([each], claim))}." for each in datasets},
            {each.dataset: details(each) for each in datasets},
            " ".join(part for part in (judged, scopes, ABOUT[claim], few) if part),
        )
        for claim, details in DETAILS.items()
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


def _accuracy_details(findings: DatasetFindings) -> list[str]:
    """Counter-examples, and the networks that are left out."""
    result = findings.accuracy.deciding[1] if findings.accuracy.deciding else None
    judged = [row for row in findings.rows if row.accuracy is not None]
    outside = [f"{name} ({REASONS[reason]})" for name, reason in result.out_of_scope.items()] if result else []
    headless = [row.model for row in findings.rows if row.accuracy is None]
    weak = [row.model for row in judged if row.unbeaten_by(row.unseen)] if len(judged) > 1 else []
    named = {
        "Out of scope": "; ".join(outside),
        "Left out, having no fine-tuned head": joined(headless),
        "No layer beats raw pixels or chance": joined(weak),
    }
    examples = [_counter_example(pair, result.level) for pair in result.counter_examples] if result else []
    return [*examples, *(f"{what}: {text}." for what, text in named.items() if text)]


def _counter_example(pair: NetworkPair, level: float) -> str:
    return (
        f"{pair.first} is at least as accurate as {pair.second} (accuracy {pair.accuracy.value:+.3f}, at least "
        f"{pair.accuracy.lower(level):+.3f}) and has the worse g ({pair.g.value:+.3f}, at most "
        f"{pair.g.upper(level):+.3f})."
    )


def _depth_details(findings: DatasetFindings) -> list[str]:
    """Each network's lead in both scopes, at each checkpoint."""
    details = []
    for finding in findings.networks:
        for depth in finding.depths if finding.row.last_depth > 0 else ():
            scopes = {capitalized(scope_sentence(scope, depth.step)): lead for scope, lead in depth.leads.items()}
            sentences = [f"{scope}: {_lead(lead)}." for scope, lead in scopes.items()]
            told = (sentences or [f"{capitalized(NO_INTERVAL)}."]) if depth.in_scope else [OUT_OF_SCOPE]
            where = f", step {depth.step}" if finding.row.step else ""
            details.append(f"{finding.row.model}{where}: {' '.join(told)}")
    return details


def _lead(lead: Bounds) -> str:
    status = lead_status(lead)
    told = f"lead over the last layer {decimals(lead.value, sign=True)}, {STATUSES[status]}"
    if status is Status.SUPPORTED:
        return f"{told}, some earlier layer beats the last by at least {lead.low:.3f}"
    if status is Status.CONTRADICTED:
        return f"{told}, no earlier layer is better than the last"
    return f"{told}, compatible with a lead of up to {lead.high:.3f}"


def _fine_tuning_details(findings: DatasetFindings) -> list[str]:
    """What fine-tuning did to g of each network, beside what accuracy did from chance, which an untrained head has."""
    details = []
    for row, changes in ((each.row, each.changes) for each in findings.networks if each.changes is not None):
        sentences = [
            f"{capitalized(scope_sentence(scope, 1))}: {STATUSES[change_status(change)]}, "
            f"{change_interval(change.value, *change.interval())}."
            for scope, change in changes.items()
        ] or [f"{capitalized(NO_INTERVAL)}."]
        if row.accuracy is not None and row.accuracy_chance is not None:
            sentences.append(f"Accuracy went from chance ({row.accuracy_chance:.2f}) to {row.accuracy:.2f}.")
        details.append(f"{row.model}: {' '.join(sentences)}")
    return details


DETAILS = {
    Claim.ACCURACY: _accuracy_details,
    Claim.DEPTH: _depth_details,
    Claim.FINE_TUNING: _fine_tuning_details,
}
"""What writes the numbers behind a claim on one dataset."""
