"""The findings in words: of each claim a title, what holds in one line, and the numbers behind it in sentences."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...core.inference.layer_comparison import Bounds
from ..findings.outcomes import (
    Claim,
    DatasetFindings,
    NetworkPair,
    Reason,
    Status,
    change_status,
    lead_status,
)
from ..names import Parts
from .formatting import capitalized, change_interval, decimals, joined
from .scopes import NO_INTERVAL, explain_scopes, scope_sentence
from .scores import ROWS, metric_name
from .statuses import REASONS, STATUSES, TITLES, status_words
from .study import few_folds

ABOUT = {
    Claim.ACCURACY: (
        "g is the best layer's score on unseen classes. The claim denies an implication: one counter-example shows it, "
        "and networks that agree show nothing. The networks, each at its last checkpoint, were chosen, not sampled."
    ),
    Claim.DEPTH: (
        "The lead is by how much the truly best earlier layer beats the last. That layer is the best one, or not "
        "distinguishable from it. Bounds are one-sided, each by itself, at the last checkpoint and at the "
        "recommended one, where they ignore that it was chosen."
    ),
    Claim.FINE_TUNING: (
        "The last step is compared with the pre-trained network, as two networks on the same classes; g need not rise."
    ),
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
        unit_rows: the scores that are of L2-normalized embeddings.
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
    return f"{told}, compatible with a lead up to {lead.high:.3f}"


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
