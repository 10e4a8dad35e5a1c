"""The findings in sentences: method before rhetoric, every number with its scope."""

from stages.aggregate.report.accuracy_rule import AccuracyFinding, AccuracyResult, NetworkPair
from stages.aggregate.report.depth_rule import DepthFinding
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.aggregate.uncertainty.contrasts import Estimate
from stages.aggregate.uncertainty.layer_comparison import Lead

OTHER_CLASSES = "on other classes of this domain, training repeated"
THESE_CLASSES = "for these classes and trained networks"


def accuracy_sentences(finding: AccuracyFinding) -> list[str]:
    """Finding (i): its status, counter-examples or what would have been seen, and the networks out of scope."""
    result = _telling(finding)
    if result is None or finding.status == "cannot be judged":
        return ["Cannot be judged: fewer than two accurate networks.", *_left_out(result)]
    if finding.status == "no counter-example":
        scope = OTHER_CLASSES if result is finding.classes else THESE_CLASSES
        head = f"No counter-example among {len(result.in_scope)} accurate networks; {_power(result)} ({scope})."
        return [head, *_left_out(result)]
    head = finding.status.capitalize()
    beyond = ["Open for other classes and training again."] if finding.classes and result is finding.images else []
    examples = [f"{head}: {_counter_example(pair, result.level)}" for pair in result.counter_examples]
    return [*examples, *beyond, *_left_out(result)]


def depth_sentence(finding: DepthFinding, *, classes: int | None = None) -> str:
    """Finding (ii) for one network.

    Args:
        finding: of the network.
        classes: number of classes that the folds hold.
    """
    if not finding.in_scope:
        return f"{finding.network}: out of scope, since no layer is shown to beat raw pixels."
    parts = [_on_other_classes(finding.classes, classes)] if finding.classes else []
    parts += [_on_these_classes(finding.images)] if finding.images else []
    parts = parts or ["Not tested."]
    return f"{finding.network}: {' '.join(parts)}"


def fine_tuning_sentence(finding: FineTuningFinding) -> str:
    """What fine-tuning did to g of one network, beside what accuracy did."""
    scopes = [
        (finding.on_these_classes, finding.images, THESE_CLASSES),
        (finding.on_other_classes, finding.classes, OTHER_CLASSES),
    ]
    parts = [f"{status}, {_change(change)} {scope}" for status, change, scope in scopes if status and change]
    accuracy = (
        f" Accuracy went from {finding.accuracy[0]:.2f} to {finding.accuracy[1]:.2f}." if finding.accuracy else ""
    )
    return f"{finding.network}: g {'; '.join(parts) or 'not compared'}.{accuracy}"


def _telling(finding: AccuracyFinding) -> AccuracyResult | None:
    """The scope that the status is about: the wider one, unless only the narrower one has a counter-example."""
    if finding.status == "shown for these classes and trained networks":
        return finding.images
    results = [each for each in (finding.classes, finding.images) if each is not None]
    return next((each for each in results if len(each.in_scope) > 1), results[0] if results else None)


def _counter_example(pair: NetworkPair, level: float) -> str:
    return (
        f"{pair.first} is at least as accurate as {pair.second} (accuracy {pair.accuracy.value:+.3f}, at least "
        f"{pair.accuracy.lower(level):+.3f}) and has the worse g ({pair.g.value:+.3f}, at most "
        f"{pair.g.upper(level):+.3f})."
    )


def _power(result: AccuracyResult) -> str:
    if result.detectable is None:
        return "of no pair is one shown to be as accurate as the other"
    return f"a difference of {result.detectable:.2f} would have been seen"


def _left_out(result: AccuracyResult | None) -> list[str]:
    if result is None or not result.out_of_scope:
        return []
    names = "; ".join(f"{name} ({reason})" for name, reason in result.out_of_scope.items())
    return [f"Out of scope: {names}."]


def _on_other_classes(lead: Lead, classes: int | None) -> str:
    if lead.status == "supported":
        only = f", not only on these {classes}" if classes else ""
        return f"Some earlier layer beats the last by at least {lead.low:.2f} (95 %), on other classes too{only}."
    if lead.status == "contradicted":
        return "On other classes of this domain the last layer is the best (95 %)."
    known = f"these {classes}" if classes else "the results"
    return f"Not shown for other classes: {known} are compatible with a lead of up to {lead.high:.2f}."


def _on_these_classes(lead: Lead) -> str:
    if lead.status == "supported":
        return f"For these classes and trained networks, by at least {lead.low:.2f} (95 %)."
    if lead.status == "contradicted":
        return "For these classes and trained networks the last layer is the best (95 %)."
    return f"Not shown for these classes: compatible with a lead of up to {lead.high:.2f}."


def _change(change: Estimate) -> str:
    low, high = change.interval()
    return f"{change.value:+.2f} [{low:+.2f}, {high:+.2f}]"
