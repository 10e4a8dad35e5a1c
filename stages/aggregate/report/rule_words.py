"""The findings in sentences: the scope first, then the status in the rule's own word, then the numbers."""

from collections.abc import Iterable

from stages.aggregate.formatting import joined
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.metric_info import Scope
from stages.aggregate.report.accuracy_rule import AccuracyFinding, AccuracyResult, NetworkPair
from stages.aggregate.report.depth_rule import DepthFinding
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.aggregate.report.scopes import OTHER_CLASSES, SCOPES, THESE_CLASSES, at_start, level

Judged = DepthFinding | FineTuningFinding


def accuracy_sentences(finding: AccuracyFinding) -> list[str]:
    """Finding (i): its status, counter-examples or what would have been seen, and the networks out of scope."""
    result = telling(finding)
    if result is None or finding.status == "cannot be judged":
        return ["Cannot be judged: fewer than two accurate networks.", *_left_out(result)]
    scope = at_start(OTHER_CLASSES if result is finding.classes else THESE_CLASSES)
    if finding.status == "no counter-example":
        head = f"{scope}: no counter-example among {len(result.in_scope)} accurate networks; {_power(result)}."
        return [head, *_left_out(result)]
    examples = " ".join(_counter_example(pair, result.level) for pair in result.counter_examples)
    beyond = [f"{at_start(OTHER_CLASSES)}: open."] if finding.classes and result is finding.images else []
    return [f"{scope}: shown. {examples}", *beyond, *_left_out(result)]


def telling(finding: AccuracyFinding) -> AccuracyResult | None:
    """The scope that the status is about: the wider one, unless only the narrower one has a counter-example."""
    if finding.status == "shown for these classes and trained networks":
        return finding.images
    results = [each for each in (finding.classes, finding.images) if each is not None]
    return next((each for each in results if len(each.in_scope) > 1), results[0] if results else None)


def by_status(findings: Iterable[Judged]) -> str:
    """Name the networks of every status, scope by scope; nothing where nothing is known of any.

    A network out of scope is so in both, and is named once.
    """
    findings = list(findings)
    sentences = []
    for scope, words in SCOPES.items():
        networks: dict[str, list[str]] = {}
        for finding in findings:
            status = finding.on_other_classes if scope == "classes" else finding.on_these_classes
            if status is not None and status != "out of scope":
                networks.setdefault(status, []).append(finding.network)
        told = "; ".join(f"{status} for {joined(names)}" for status, names in networks.items())
        sentences += [f"{at_start(words)}: {told}."] if told else []
    outside = [each.network for each in findings if isinstance(each, DepthFinding) and not each.in_scope]
    if outside:
        sentences.append(f"Out of scope, since no layer is shown to beat raw pixels: {joined(outside)}.")
    return " ".join(sentences)


def depth_sentences(finding: DepthFinding, metric: str) -> str:
    """Finding (ii) for one network, by one score."""
    if not finding.in_scope:
        return "Out of scope, since no layer is shown to beat raw pixels."
    leads: dict[Scope, Lead | None] = {"classes": finding.classes, "images": finding.images}
    return " ".join(
        f"{at_start(SCOPES[scope])}: {_lead(lead, level(metric, scope))}." for scope, lead in leads.items() if lead
    )


def fine_tuning_sentences(finding: FineTuningFinding, metric: str) -> str:
    """What fine-tuning did to g of one network, by one score, beside what accuracy did."""
    changes: dict[Scope, tuple[str | None, Estimate | None]] = {
        "classes": (finding.on_other_classes, finding.classes),
        "images": (finding.on_these_classes, finding.images),
    }
    told = [
        f"{at_start(SCOPES[scope])}: {status}, {_change(change)}{level(metric, scope)}."
        for scope, (status, change) in changes.items()
        if status and change
    ]
    if finding.accuracy:
        told.append(f"Accuracy went from chance ({finding.accuracy[0]:.2f}) to {finding.accuracy[1]:.2f}.")
    return f"{finding.network}: {' '.join(told) or 'Not compared.'}"


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


def _left_out(result: AccuracyResult | None) -> list[str]:
    if result is None or not result.out_of_scope:
        return []
    names = "; ".join(f"{name} ({reason})" for name, reason in result.out_of_scope.items())
    return [f"Out of scope: {names}."]


def _lead(lead: Lead, level: str) -> str:
    if lead.status == "supported":
        return f"supported, some earlier layer beats the last by at least {lead.low:.3f}{level}"
    if lead.status == "contradicted":
        return f"contradicted, the last layer is the best{level}"
    return f"inconclusive, compatible with a lead of up to {lead.high:.3f}{level}"


def _change(change: Estimate) -> str:
    low, high = change.interval()
    return f"{change.value:+.3f} [{low:+.3f}, {high:+.3f}]"
