"""A recommendation in words: sentences for summary.md, a paragraph and a table for `whichlayer recommend`."""

from collections.abc import Iterable

from tabulate import tabulate

from stages.aggregate.formatting import decimals, joined, layers, number, percent, place, wrapped
from stages.aggregate.metric_info import metric_name
from stages.aggregate.recommend.criteria import CRITERIA
from stages.aggregate.recommend.schema import CheckpointRecord, LayerRecord, Recommendation, RegretRecord
from stages.aggregate.report.scopes import NO_INTERVAL, SHORT
from stages.aggregate.tables.regret import JOINT, LAYERS

WIDTH = 80

OWN, REFERENCE = "other_folds", "two_thirds"
"""The criterion by which layers are recommended, and the baseline that stands beside it in a sentence."""


def recommendation_sentences(found: Recommendation) -> str:
    """Say from which layer of which checkpoint to take features, what ties, what it takes, and what choosing cost."""
    return f"{found.dataset}, {found.model}: {' '.join([*_choice(found), *_cost_of_choosing(found)])}"


def describe(found: Recommendation) -> str:
    """Say the same in lines of at most 80 characters, with what fine-tuning did and a table of regrets."""
    head = f"{found.dataset}, {found.model}: {' '.join([*_choice(found), *_fine_tuning(found), *_known(found)])}"
    table = _table(found) if found.recommended else ""
    return "\n".join(part for part in (wrapped(head, WIDTH), table) if part)


def missing(found: Iterable[Recommendation]) -> str:
    """Say what some recommendation lacks, each thing once, in lines of at most 80 characters; may be nothing."""
    return "\n".join(wrapped(note, WIDTH) for note in dict.fromkeys(note for each in found for note in each.notes))


def _choice(found: Recommendation) -> list[str]:
    chosen = found.recommended
    if chosen is None:
        return [f"no recommendation: {found.reason}."]
    name = f"layer {place(chosen.depth, found.last_depth)} (`{chosen.layer}`, {_score(found, chosen.value)})"
    if found.last_depth == 0:
        return [
            f"its only layer is `{chosen.layer}`, {_score(found, chosen.value)}{at_checkpoint(found, chosen.step)}."
        ]
    doubt = [f"But {found.caveat}."] if found.caveat else []
    return [
        f"take features from {name}{at_checkpoint(found, chosen.step)}{_cost(chosen)}.",
        *doubt,
        *_ties(found, chosen),
    ]


def at_checkpoint(found: Recommendation, step: int) -> str:
    """Name the checkpoint of a recommended layer, where there was a choice."""
    if len(found.candidate_steps) == 1:
        return ""
    return f" at step {step}" if step else " at step 0, before fine-tuning"


def _ties(found: Recommendation, chosen: LayerRecord) -> list[str]:
    others = [layer for layer in found.shortlist if layer.depth != chosen.depth]
    if found.shortlist_scope is None:
        return [f"Which layers tie with it is not known ({NO_INTERVAL})."]
    scope, first = SHORT[found.shortlist_scope], found.shallowest
    if not others or first is None:
        return [f"No other layer ties with it ({scope})."]
    tied = f"Not distinguishable from it ({scope}): {layers(layer.depth for layer in others)}"
    if first.depth >= chosen.depth:
        return [f"{tied}."]
    return [f"{tied}; the shallowest, layer {first.depth + 1} (`{first.layer}`){_cost(first)}."]


def _cost(layer: LayerRecord) -> str:
    known = {"parameters": layer.parameters_share, "multiply-adds": layer.operations_share}
    shares = [f"{percent(share)} of the {what}" for what, share in known.items() if share is not None]
    return f", with {joined(shares)}" if shares else ""


def _cost_of_choosing(found: Recommendation) -> list[str]:
    known = {each.criterion: each.layers_and_checkpoints for each in found.regret}
    own, reference = known.get(OWN), known.get(REFERENCE)
    if found.recommended is None or found.last_depth == 0:
        return []
    if own is None or reference is None:
        return ["What this choice costs on classes that it does not know was not measured."]
    return [
        f"On classes that it did not know, such a choice lost {_lost(own)} to the best, the layer at "
        f"{CRITERIA[REFERENCE].words} {_lost(reference)}."
    ]


def _lost(regret: float) -> str:
    """Spell out a regret, which is below 0 where the choice was lucky."""
    return decimals(regret) if round(regret, 3) > 0 else "nothing"


def _fine_tuning(found: Recommendation) -> list[str]:
    change = found.fine_tuning
    first = found.checkpoints[0] if found.checkpoints else None
    if found.recommended is None or change is None or first is None:
        return []
    name = metric_name(found.metric)
    said = {
        "raised": f"Fine-tuning to step {change.step} made it better",
        "lowered": f"Fine-tuning to step {change.step} made it worse",
        "not distinguishable": f"What fine-tuning to step {change.step} did is not distinguishable",
    }[change.status]
    bounds = f"[{decimals(change.low, sign=True)}, {decimals(change.high, sign=True)}]"
    return [
        f"{said}: {decimals(change.change, sign=True)} {bounds} ({SHORT[change.scope]}) over step 0, where "
        f"`{first.layer}` is best ({name} {number(first.value)})."
    ]


def _known(found: Recommendation) -> list[str]:
    """Accuracy on the classes trained on, the price: of each checkpoint's own head, or of a linear probe."""
    told = [words for each in found.checkpoints if (words := _accuracy(each))]
    return [f"On known classes: {'; '.join(told)}."] if told and found.recommended else []


def _accuracy(checkpoint: CheckpointRecord) -> str:
    if checkpoint.accuracy is not None:
        return f"accuracy {number(checkpoint.accuracy)} at step {checkpoint.step}"
    if checkpoint.probe_accuracy is None:
        return ""
    return (
        f"{number(checkpoint.probe_accuracy)} by a linear probe on `{checkpoint.probe_layer}` at step {checkpoint.step}"
    )


def _table(found: Recommendation) -> str:
    """Regrets of the criterion and the baselines; the others are in regret.csv."""
    own = [each for each in found.regret if CRITERIA[each.criterion].kind in ("criterion", "baseline")]
    if not own:
        return ""
    columns = [LAYERS, JOINT] if len(found.candidate_steps) > 1 else [LAYERS]
    header = ["Score lost on unknown classes", "to best layer", "and step"][: 1 + len(columns)]
    rows = [[_name(each), *(decimals(getattr(each, column)) for column in columns)] for each in own]
    aligned = ["left", *["right"] * len(columns)]
    return tabulate(rows, header, tablefmt="plain", colalign=aligned, disable_numparse=True)


def _name(regret: RegretRecord) -> str:
    return regret.words + (" (as recommended)" if regret.criterion == OWN else "")


def _score(found: Recommendation, value: float) -> str:
    return f"{metric_name(found.metric)} {number(value)}"
