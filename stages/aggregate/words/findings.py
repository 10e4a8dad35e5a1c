"""The findings in words: a title, sentences, details and one line of each claim."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.aggregate.findings.accuracy_rule import AccuracyFinding, AccuracyResult, NetworkPair
from stages.aggregate.findings.facts import (
    Course,
    DatasetFindings,
    DepthFinding,
    FineTuningFinding,
    Outcome,
    TrainingCourse,
)
from stages.aggregate.findings.status import Claim, Status, change_status, lead_status
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.words.formatting import capitalized, decimals, harmless, joined, number
from stages.aggregate.words.scopes import NO_INTERVAL, SCOPES, SHORT, explain_scopes, few_folds, level

TITLES = {
    Claim.ACCURACY: "(i) High accuracy on seen classes does not imply generalization",
    Claim.DEPTH: "(ii) Deeper is not always better",
    Claim.FINE_TUNING: "(iii) What fine-tuning did to g",
}

BRIEF_TITLES = TITLES | {Claim.ACCURACY: "(i) Accuracy does not imply generalization"}

ABOUT = {
    Claim.ACCURACY: (
        "g is the best layer's score on unseen classes. The claim denies an implication: one counter-example shows it, "
        "and networks that agree show nothing. The networks were chosen, not sampled."
    ),
    Claim.DEPTH: (
        "The lead is by how much the truly best earlier layer beats the last, estimated in the wider scope that is "
        "known. Its bounds are one-sided, each by itself; that layer is the best one or among those not "
        "distinguishable from it."
    ),
    Claim.FINE_TUNING: ("The last step is compared with step 0, as two networks on the same classes; g need not rise."),
}

OUT_OF_SCOPE = "Out of scope, since no layer is shown to beat chance and raw pixels"


@dataclass(frozen=True)
class Finding:
    """One claim, on every dataset.

    Attributes:
        claim: what is claimed.
        summaries: dataset -> what these results say of it.
        details: dataset -> the numbers behind it, a sentence or a few each.
        caution: what the summaries do not say.
    """

    claim: str
    summaries: dict[str, str]
    details: dict[str, list[str]]
    caution: str


def finding_texts(datasets: Sequence[DatasetFindings]) -> dict[Claim, Finding]:
    """Put every claim into words.

    Args:
        datasets: the findings on each; all have the same main score.
    """
    rows = [row for each in datasets for row in each.rows]
    scopes, few = explain_scopes(rows[0].metric), few_folds(rows)
    return {
        claim: Finding(
            TITLES[claim],
            {each.dataset: summary(each) for each in datasets},
            {each.dataset: details(each) for each in datasets},
            " ".join(part for part in (scopes, ABOUT[claim], few) if part),
        )
        for claim, (summary, details) in TEXTS.items()
    }


def status_words(datasets: Sequence[DatasetFindings], claim: Claim) -> str:
    """Write what holds of a claim; of several networks or datasets, how often."""
    outcomes = [(each.dataset, outcome) for each in datasets for outcome in each.outcomes(claim)]
    if len({(dataset, outcome.network) for dataset, outcome in outcomes}) > 1:
        return _counted(outcomes)
    first = outcomes[0][1]
    if first.network is None or first.scope is None:
        return _with_note(first)
    by_status: dict[Status, list[str]] = {}
    for _, outcome in outcomes:
        by_status.setdefault(outcome.status, []).append(SHORT[outcome.scope or "images"])
    return ", ".join(f"{status} ({' and '.join(scopes)})" for status, scopes in by_status.items())


def outcome_note(outcome: Outcome) -> str:
    """Write what belongs to a status in a sentence about it alone; may be nothing."""
    if outcome.reason is not None:
        return outcome.reason
    if outcome.counter_example is not None:
        return f"{outcome.counter_example.first} against {outcome.counter_example.second}"
    if outcome.n_networks is None:
        return ""
    seen = "no pair comparable" if outcome.detectable is None else f"{outcome.detectable:.2f} would be seen"
    return f"{outcome.n_networks} networks; {seen}"


def _with_note(outcome: Outcome) -> str:
    status, note = outcome.status, harmless(outcome_note(outcome))
    if outcome.scope is None:
        return f"{status} ({note})"
    scope = "" if outcome.status is Status.SHOWN_HERE else f" ({SHORT[outcome.scope]})"
    return f"{status}{scope}: {note}" if outcome.counter_example else f"{status}, {note}{scope}"


def _counted(outcomes: Sequence[tuple[str, Outcome]]) -> str:
    """Count the statuses, each network or dataset once, by the wider scope that is known of any."""
    scope = next((scope for scope in SCOPES if any(outcome.scope == scope for _, outcome in outcomes)), None)
    known = {(dataset, outcome.network): outcome.status for dataset, outcome in outcomes if outcome.scope == scope}
    names = {(dataset, outcome.network) for dataset, outcome in outcomes}
    counts = Counter([*known.values(), *[Status.UNKNOWN] * len(names - set(known))])
    of_datasets, several = all(network is None for _, network in names), len({dataset for dataset, _ in names}) > 1
    what = "datasets" if of_datasets else "cases" if several else "networks"
    by_status = ", ".join(f"{status} in {counts[status]}" for status in Status if counts[status])
    return f"{by_status} of {len(names)} {what}{f' ({SHORT[scope]}, each by itself)' if scope else ''}"


def _accuracy_summary(findings: DatasetFindings) -> str:
    judged = [row for row in findings.rows if row.accuracy is not None]
    without = [row.model for row in findings.rows if row.accuracy is None]
    if findings.accuracy.deciding is None and len(judged) > 1:
        sentences = [f"Cannot be judged: {NO_INTERVAL}."]
    else:
        sentences = accuracy_sentences(findings.accuracy)
    if without:
        sentences.append(f"Left out, having no fine-tuned head: {joined(without)}.")
    return " ".join(sentences)


def _depth_summary(findings: DatasetFindings) -> str:
    if all(row.last_depth == 0 for row in findings.rows):
        return "Cannot be judged: no network has a second layer."
    outside = [each.network for each in findings.depth if not each.in_scope]
    sentences = [_by_status(findings.depth), f"{OUT_OF_SCOPE}: {joined(outside)}." if outside else ""]
    return " ".join(filter(None, sentences)) or f"Cannot be judged: {NO_INTERVAL}."


def _fine_tuning_summary(findings: DatasetFindings) -> str:
    if not findings.fine_tuning:
        return "Cannot be judged: of no network are step 0 and a later step known."
    return _by_status(findings.fine_tuning) or capitalized(f"{NO_INTERVAL}.")


def _by_status(findings: Iterable[DepthFinding | FineTuningFinding]) -> str:
    """Name the networks of every status, scope by scope; nothing where nothing is known of any."""
    findings, sentences = list(findings), []
    for scope, words in SCOPES.items():
        networks: dict[Status, list[str]] = {}
        for finding in findings:
            status = finding.statuses.get(scope)
            if status is not None and status is not Status.OUT_OF_SCOPE:  # named once, since it is so in both scopes
                networks.setdefault(status, []).append(finding.network)
        statuses = "; ".join(f"{status} for {joined(names)}" for status, names in networks.items())
        sentences += [f"{capitalized(words)}: {statuses}."] if statuses else []
    return " ".join(sentences)


def accuracy_sentences(finding: AccuracyFinding) -> list[str]:
    """Finding (i): its status, counter-examples or what would have been seen, and the networks out of scope."""
    outside = finding.deciding[1].out_of_scope if finding.deciding else {}
    reasons = "; ".join(f"{name} ({reason})" for name, reason in outside.items())
    left_out = [f"Out of scope: {reasons}."] if outside else []
    if finding.deciding is None or finding.status is Status.UNKNOWN:
        return ["Cannot be judged: fewer than two accurate networks.", *left_out]
    deciding, result = finding.deciding
    scope = capitalized(SCOPES[deciding])
    if finding.status is Status.NO_COUNTER_EXAMPLE:
        head = f"{scope}: no counter-example among {len(result.in_scope)} accurate networks; {_power(result)}."
        return [head, *left_out]
    examples = " ".join(_counter_example(pair, result.level) for pair in result.counter_examples)
    open_scopes = [other for other in finding.results if other != deciding and deciding == "images"]
    beyond = [f"{capitalized(SCOPES[other])}: open." for other in open_scopes]
    return [f"{scope}: shown. {examples}", *beyond, *left_out]


def _counter_example(pair: NetworkPair, level: float) -> str:
    return (
        f"{pair.first} is at least as accurate as {pair.second} (accuracy {pair.accuracy.value:+.3f}, at least "
        f"{pair.accuracy.lower(level):+.3f}) and has the worse g ({pair.g.value:+.3f}, at most "
        f"{pair.g.upper(level):+.3f})."
    )


def _power(result: AccuracyResult) -> str:
    if result.detectable is None:
        return "of no pair is one shown to be as accurate as the other"
    return f"a difference of {result.detectable:.2f} in g would have been seen"


def _accuracy_details(findings: DatasetFindings) -> list[str]:
    """How accuracy and g are correlated, and which networks beat nothing."""
    n_judged = sum(row.accuracy is not None for row in findings.rows)
    correlations = [
        f"{each.value:+.2f} over "
        + (f"all {each.n_networks} networks" if each.n_networks == n_judged else f"the {each.n_networks} accurate ones")
        for each in findings.correlations
    ]
    described = f"Rank correlation of accuracy and g, described and no evidence: {', '.join(correlations)}."
    weak = [row.model for row in findings.rows if row.accuracy is not None and row.unbeaten_by(row.unseen)]
    beaten = f"No layer beats raw pixels or chance: {joined(weak)}." if weak and n_judged > 1 else ""
    return [text for text in (described if correlations else "", beaten) if text]


def _depth_details(findings: DatasetFindings) -> list[str]:
    """Each network's lead in both scopes."""
    details = []
    for row, finding in zip(findings.rows, findings.depth, strict=True):
        if row.last_depth > 0:
            lead = "" if row.lead is None else f"lead over the last layer {decimals(row.lead, sign=True)}. "
            judged = depth_sentences(finding, row.metric) or capitalized(f"{NO_INTERVAL}.")
            details.append(f"{row.model}: {lead}{judged}")
    return details


def depth_sentences(finding: DepthFinding, metric: str) -> str:
    """Finding (ii) for one network, by one score."""
    if not finding.in_scope:
        return f"{OUT_OF_SCOPE}."
    return " ".join(
        f"{capitalized(SCOPES[scope])}: {_lead(lead)}{level(metric, scope)}." for scope, lead in finding.leads.items()
    )


def _lead(lead: Lead) -> str:
    status = lead_status(lead)
    if status is Status.SUPPORTED:
        return f"supported, some earlier layer beats the last by at least {lead.low:.3f}"
    if status is Status.CONTRADICTED:
        return "contradicted, the last layer is the best"
    return f"inconclusive, compatible with a lead of up to {lead.high:.3f}"


def _fine_tuning_details(findings: DatasetFindings) -> list[str]:
    """What fine-tuning did to each network in both scopes, and accuracy and g over training."""
    metric = findings.rows[0].metric
    by_steps: dict[tuple[int, int], list[str]] = {}
    for course in findings.training:
        by_steps.setdefault(course.steps, []).append(_training(course))
    return [
        *(fine_tuning_sentences(finding, metric) for finding in findings.fine_tuning),
        *(f"Over training, steps {a} to {b}: {'; '.join(texts)}." for (a, b), texts in sorted(by_steps.items())),
    ]


def fine_tuning_sentences(finding: FineTuningFinding, metric: str) -> str:
    """What fine-tuning did to g of one network, by one score, beside what accuracy did."""
    sentences = []
    for scope, change in finding.changes.items():
        low, high = change.interval()
        by = f"{change.value:+.3f} [{low:+.3f}, {high:+.3f}]{level(metric, scope)}"
        sentences.append(f"{capitalized(SCOPES[scope])}: {change_status(change)}, {by}.")
    if finding.accuracy:
        sentences.append(f"Accuracy went from chance ({finding.accuracy[0]:.2f}) to {finding.accuracy[1]:.2f}.")
    return f"{finding.network}: {' '.join(sentences) or 'Not compared.'}"


def _training(course: TrainingCourse) -> str:
    values = {"accuracy": course.accuracy, "g": course.g}
    return f"{course.network} {', '.join(_course(each, name, course) for name, each in values.items() if each)}"


def _course(values: Course, name: str, course: TrainingCourse) -> str:
    """A first and last known value; where the first step has none, the step that the first is from."""
    where = "" if values.first_step == course.steps[0] else f" (step {values.first_step})"
    if values.first_step == values.last_step:
        return f"{name} {number(values.last)}{where}"
    return f"{name} {number(values.first)}{where} to {number(values.last)}"


TEXTS = {
    Claim.ACCURACY: (_accuracy_summary, _accuracy_details),
    Claim.DEPTH: (_depth_summary, _depth_details),
    Claim.FINE_TUNING: (_fine_tuning_summary, _fine_tuning_details),
}
"""What writes a claim's summary and its details on one dataset."""
