"""Recommendations in words: sentences of the documents, `whichlayer recommend`, and lines of the verdict."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from stages.aggregate.findings.status import Status
from stages.aggregate.recommend.criteria import criterion_of
from stages.aggregate.recommend.regret import REFERENCE
from stages.aggregate.recommend.schema import (
    CheckpointRecord,
    LayerRecord,
    Missing,
    Recommendation,
    UseRecord,
    useful_networks,
)
from stages.aggregate.words.formatting import (
    capitalized,
    decimals,
    harmless,
    joined,
    layers,
    number,
    percent,
    place,
    wrapped,
)
from stages.aggregate.words.regret import criterion_words
from stages.aggregate.words.scopes import NO_INTERVAL, SHORT
from stages.aggregate.words.scores import metric_name

WIDTH = 80

OWN = "other_folds"
"""The criterion by which layers are recommended."""

NAMED = 3
"""How many networks that are not distinguishable are named."""

MISSING = {
    Missing.HALVES: "No regret is known: the score was not fitted again on halves of the images (measure.refits).",
    Missing.OTHER_FOLDS: "What choosing by other folds costs is not known: it takes two folds.",
    Missing.OPERATIONS: "Multiply-adds are not known.",
}

SHORT_NAMES = (
    {"probe_accuracy": "linear probe"},
    {"probe_accuracy": "probe"},
    {"probe_accuracy": "probe", "knn_purity": "k-NN"},
)
"""Names of scores where there is little room, from long to short."""


def reason(found: Recommendation) -> str | None:
    """Why nothing is recommended; None where something is."""
    if found.unbeaten is None:
        return None
    baseline, value = found.unbeaten.name, number(found.unbeaten.value)
    return f"no layer beats {baseline} ({_score(found, found.best.value)} at best, {baseline} {value})"


def caveat(found: Recommendation) -> str | None:
    """What makes the choice doubtful; None where nothing does."""
    return f"it is not shown that a layer beats raw pixels ({number(found.pixels)})" if found.doubtful else None


def notes(found: Recommendation) -> list[str]:
    """What is missing, a sentence each."""
    unmeasured = [metric_name(score) for score in found.unmeasured]
    lacking = [f"Not measured without labels: {joined(unmeasured)}."] if unmeasured else []
    return [*(MISSING[what] for what in found.missing), *lacking]


def recommendation_sentences(found: Recommendation) -> str:
    """From which layer of which checkpoint to take features, what ties, what it takes, and what choosing cost."""
    return f"{found.dataset}, {found.model}: {' '.join([*_choice(found), *_cost_of_choosing(found)])}"


def describe(found: Recommendation) -> str:
    """The same in lines of at most 80 characters, with what fine-tuning did and a table of regrets."""
    head = f"{found.dataset}, {found.model}: {' '.join([*_choice(found), *_fine_tuning(found), *_known(found)])}"
    table = _table(found) if found.recommended else ""
    return "\n".join(part for part in (wrapped(head, WIDTH), table) if part)


def missing(found: Iterable[Recommendation]) -> str:
    """What some recommendation lacks, each thing once, in lines of at most 80 characters; may be nothing."""
    return "\n".join(wrapped(note, WIDTH) for note in dict.fromkeys(note for each in found for note in notes(each)))


def answer(found: Recommendation) -> str:
    """The layer and checkpoint to take, in a few words."""
    if found.recommended is None:
        return f"No recommendation: {reason(found)}."
    step = f", step {found.best.step}" if len(found.candidate_steps) > 1 else ""
    return f"Layer {place(found.best.depth, found.last_depth)} ({found.best.layer}){step}"


def ties_and_savings(found: Recommendation) -> str:
    """Which layers tie with the recommended one, and what the shallowest would save."""
    first = found.shallower_tie
    if first is None or first.parameters_share is None:
        return f"{ties(found)}."
    saved = percent(1 - first.parameters_share)
    return f"{ties(found)}. Layer {first.depth + 1} ({first.layer}) would save {saved} of parameters."


def ties(found: Recommendation) -> str:
    """Which layers tie with the recommended one, without a full stop."""
    if found.shortlist_scope is None:
        return "Which layers tie with it is not known"
    scope = SHORT[found.shortlist_scope]
    if not found.ties:
        return f"No other layer ties with it ({scope})"
    return f"Not distinguishable from it ({scope}): {layers(layer.depth for layer in found.ties)}"


def doubt(found: Recommendation) -> list[str]:
    """The caveat as a sentence after the choice, where there is one."""
    return [f"But {caveat(found)}."] if found.doubtful else []


def _choice(found: Recommendation) -> list[str]:
    chosen, first = found.recommended, found.shallower_tie
    if chosen is None:
        return [f"no recommendation: {reason(found)}."]
    at, score = _at_checkpoint(found), _score(found, chosen.value)
    if found.last_depth == 0:
        return [f"its only layer is `{chosen.layer}`, {score}{at}."]
    name = f"layer {place(chosen.depth, found.last_depth)} (`{chosen.layer}`, {score})"
    unknown = f" ({NO_INTERVAL})" if found.shortlist_scope is None else ""
    shallowest = (
        f"; the shallowest, layer {first.depth + 1} (`{first.layer}`){_takes(first, ', with ')}" if first else ""
    )
    return [
        f"take features from {name}{at}{_takes(chosen, ', with ')}.",
        *doubt(found),
        f"{ties(found)}{unknown}{shallowest}.",
    ]


def _at_checkpoint(found: Recommendation) -> str:
    """Name the checkpoint of a recommended layer, where there was a choice."""
    if len(found.candidate_steps) == 1:
        return ""
    return f" at step {found.best.step}" if found.best.step else " at step 0, before fine-tuning"


def _takes(layer: LayerRecord, before: str) -> str:
    """What a layer takes, after these words; nothing where that is not known."""
    shares = {"parameters": layer.parameters_share, "multiply-adds": layer.operations_share}
    known = [f"{percent(share)} of the {what}" for what, share in shares.items() if share is not None]
    return f"{before}{joined(known)}" if known else ""


def _cost_of_choosing(found: Recommendation) -> list[str]:
    regrets = {each.criterion: each.layers_and_checkpoints for each in found.regret}
    own, reference = regrets.get(OWN), regrets.get(REFERENCE)
    if found.recommended is None or found.last_depth == 0:
        return []
    if own is None or reference is None:
        return ["What this choice costs on classes that it does not know was not measured."]
    return [
        f"On classes that it did not know, such a choice lost {_lost(own)} to the best, the layer at "
        f"{criterion_words(REFERENCE)} {_lost(reference)}."
    ]


def _lost(regret: float) -> str:
    """Spell out a regret, which is below 0 where the choice was lucky."""
    return decimals(regret) if round(regret, 3) > 0 else "nothing"


def _fine_tuning(found: Recommendation) -> list[str]:
    change = found.fine_tuning
    if found.recommended is None or change is None or not found.checkpoints:
        return []
    first = found.checkpoints[0]
    status = {
        Status.RAISED: f"Fine-tuning to step {change.step} made it better",
        Status.LOWERED: f"Fine-tuning to step {change.step} made it worse",
        Status.NOT_DISTINGUISHABLE: f"What fine-tuning to step {change.step} did is not distinguishable",
    }[change.status]
    bounds = f"[{decimals(change.low, sign=True)}, {decimals(change.high, sign=True)}]"
    return [
        f"{status}: {decimals(change.change, sign=True)} {bounds} ({SHORT[change.scope]}) over step 0, where "
        f"`{first.layer}` is best ({_score(found, first.value)})."
    ]


def _known(found: Recommendation) -> list[str]:
    """Accuracy on the classes trained on, the price: of each checkpoint's own head, or of a linear probe."""
    accuracies = [words for each in found.checkpoints if (words := _accuracy(each))]
    return [f"On known classes: {'; '.join(accuracies)}."] if accuracies and found.recommended else []


def _accuracy(checkpoint: CheckpointRecord) -> str:
    if checkpoint.accuracy is not None:
        return f"accuracy {number(checkpoint.accuracy)} at step {checkpoint.step}"
    if checkpoint.probe_accuracy is None:
        return ""
    probe = f"by a linear probe on `{checkpoint.probe_layer}`"
    return f"{number(checkpoint.probe_accuracy)} {probe} at step {checkpoint.step}"


def _table(found: Recommendation) -> str:
    """Regrets of the criterion and the baselines; the others are in regret.csv."""
    own = [each for each in found.regret if criterion_of(each.criterion).kind in ("criterion", "baseline")]
    if not own:
        return ""
    n = 2 if len(found.candidate_steps) > 1 else 1
    rows = [
        [
            criterion_words(each.criterion) + (" (as recommended)" if each.criterion == OWN else ""),
            *[decimals(each.layers), decimals(each.layers_and_checkpoints)][:n],
        ]
        for each in own
    ]
    header = ["Score lost on unknown classes", "to best layer", "and step"][: 1 + n]
    return tabulate(rows, header, tablefmt="plain", colalign=["left", *["right"] * n], disable_numparse=True)


def _score(found: Recommendation, value: float) -> str:
    return f"{metric_name(found.metric)} {number(value)}"


def choice_wordings(networks: Sequence[Recommendation]) -> list[str]:
    """Which layer of which network to take features from, or what is not distinguishable, from long to short.

    Of several datasets, how often a network or a layer stands alone. A network without a recommendation is never named.
    """
    if len({each.dataset for each in networks}) > 1:
        return _counts(networks)
    useful = useful_networks(networks)
    if len(useful) > 1:
        return _several(useful)
    if useful:
        scopes = {each.behind.scope for each in networks if each.behind is not None}
        beaten = f", the best network ({SHORT['images' if 'images' in scopes else 'classes']})" if scopes else ""
        return _one(useful[0], beaten)
    if len(networks) == 1:
        return [f"No recommendation: {reason(networks[0])}."]
    return [f"No recommendation: in none of {len(networks)} networks does a layer beat raw pixels and chance."]


def _one(found: Recommendation, beaten: str) -> list[str]:
    chosen, first = found.recommended, found.shallower_tie
    assert chosen is not None
    name, at, layer = harmless(found.model), _at_checkpoint(found), harmless(chosen.layer)
    but = "".join(f" {sentence}" for sentence in doubt(found))
    if found.last_depth == 0:
        return [f"Take {name}{beaten}: its only layer ({layer}){at}.{but}"]
    where = f"layer {place(chosen.depth, found.last_depth)}"
    share = chosen.operations_share
    cost = "" if share is None else f" ({percent(share)} of the multiply-adds)"
    tied, named, brief, tie = _ties_briefly(found), "", "", "which layers tie is not known"
    if found.shortlist_scope is not None:
        scope = SHORT[found.shortlist_scope]
        tie = f"the shallowest tie is {first.depth + 1} ({scope})" if first else f"no shallower layer ties ({scope})"
    if first:
        named = f"; the shallowest, {first.depth + 1} ({harmless(first.layer)}){_takes(first, ', takes ')}"
        share = first.operations_share
        brief = f"; {first.depth + 1} is the shallowest{'' if share is None else f' ({percent(share)})'}"
    takes = _takes(chosen, ", which takes ")
    return [
        f"Take features from {name}{beaten}: {where} ({layer}){at}{takes}.{but} {tied}{named}.",
        f"Take {name}{beaten}: {where} ({layer}){at}{cost}.{but} {tied}{brief}.",
        f"Take {name}{beaten}: {where} ({layer}){at}{cost}; {tie}.{but}",
        f"Take {name}, {where}{at}{cost}.{but} {tied}{brief}.",
        f"Take {name}, {where}{at}; {tie}.{but}",
    ]


def _ties_briefly(found: Recommendation) -> str:
    if found.shortlist_scope is None:
        return "Which layers tie is not known"
    scope, others = SHORT[found.shortlist_scope], [layer.depth for layer in found.ties]
    if not others:
        return f"No other layer ties ({scope})"
    return f"{layers(others).capitalize()} {'tie' if len(others) > 1 else 'ties'} ({scope})"


def _several(found: Sequence[Recommendation]) -> list[str]:
    """Name networks that are not distinguishable, each with its layer."""
    compared = [each.behind for each in found[1:] if each.behind is not None]
    scope = SHORT["images" if any(each.scope == "images" for each in compared) else "classes"]
    why = f"not distinguishable ({scope})" if len(compared) == len(found) - 1 else "the best is not known"
    doubtful = [harmless(each.model) for each in found if each.doubtful]
    but = f" Not shown to beat raw pixels: {joined(doubtful[:NAMED])}." if doubtful else ""
    wordings = ((NAMED, True), (NAMED, False), (2, False))
    listed = [_or([_with_layer(each, named=named) for each in found], shown) for shown, named in wordings]
    places = [_where(each).replace(", layer ", ", ") for each in found]
    return [*(f"Take {names}: {why}.{but}" for names in listed), f"{capitalized(why)}: {_or(places, 2)}.{but}"]


def _with_layer(found: Recommendation, *, named: bool) -> str:
    """Name a network and its layer, by its number alone or also by its name."""
    first = found.shallower_tie
    tied = f" ({first.depth + 1} ties)" if first else ""
    layer = f" ({harmless(found.best.layer)}){_at_checkpoint(found)}" if named else ""
    return f"{_where(found)}{layer}{tied}"


def _where(found: Recommendation) -> str:
    return f"{harmless(found.model)}, layer {place(found.best.depth, found.last_depth)}"


def _or(names: list[str], shown: int) -> str:
    others = len(names) - shown
    listed = [*names[:shown], f"{others} more networks"] if others > 1 else names
    return f"{'; '.join(listed[:-1])}; or {listed[-1]}"


def _counts(networks: Sequence[Recommendation]) -> list[str]:
    by_dataset: dict[str, list[Recommendation]] = {}
    for each in networks:
        by_dataset.setdefault(each.dataset, []).append(each)
    useful = [each for each in networks if each.recommended is not None]
    compared = [own for own in by_dataset.values() if sum(each.recommended is not None for each in own) > 1]
    alone = sum(len(useful_networks(own)) == 1 for own in compared)
    tied = sum(len(each.shortlist) > 1 for each in useful)
    scopes = {each.shortlist_scope for each in useful if each.shortlist_scope}
    scope = f" ({SHORT['images' if 'images' in scopes else 'classes']})" if scopes else ""
    best = [f"one network is best in {alone} of {len(compared)} datasets"] if compared else []
    layers_tie = [f"layers tie in {tied} of {len(useful)} cases"] if scopes else ["which layers tie is not known"]
    none = [f"{len(networks) - len(useful)} of {len(networks)} cases beat no raw pixels or chance"]
    text = f"{'; '.join([*best, *layers_tie, *(none if len(useful) < len(networks) else [])])}{scope}"
    brief = f"{'; '.join([*layers_tie, *best])}{scope}"
    command = f"`whichlayer recommend` names a layer for each case: {text}."
    return [command, f"{capitalized(text)}.", f"{capitalized(brief)}."]


def use_wordings(networks: Sequence[Recommendation], network: Recommendation) -> list[str]:
    """Which layer each use's scores choose, in wordings from long to short; of several datasets, how often another.

    Args:
        networks: all of them.
        network: the one whose layers are named.
    """
    if len({each.dataset for each in networks}) > 1:
        return _uses_counted(networks)
    whose = f" of {harmless(network.model)}" if len(useful_networks(networks)) > 1 else ""
    long, short, shortest = (_by_use(network, names) for names in SHORT_NAMES)
    if not long:
        return [""]
    return [
        f"Best layer{whose} for each use: {long}.",
        f"Best layer{whose} by use: {long}",
        f"Layer by use{whose}: {short}",
        f"Layer by use{whose}: {shortest}",
        f"By use: {shortest}",
    ]


def _by_use(network: Recommendation, names: dict[str, str]) -> str:
    """Name layers by use; the step stands beside one that is not of the recommended checkpoint."""
    by_layer: dict[tuple[str, int, int], list[UseRecord]] = {}
    for use in network.uses:
        by_layer.setdefault((use.use, use.depth, use.step), []).append(use)
    texts = []
    for (use_name, depth, step), uses in by_layer.items():
        scores = ", ".join(names.get(use.metric, metric_name(use.metric)) for use in uses)
        texts.append(f"{use_name} ({scores}) {depth + 1}{'' if step == network.best.step else f' at step {step}'}")
    return "; ".join(texts)


def _uses_counted(networks: Sequence[Recommendation]) -> list[str]:
    """Count the networks for which a use's score chooses another layer than the main score."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for network in networks:
        for use in network.uses:
            if use.metric != network.metric:
                counts.setdefault((use.use, use.metric), []).append(use.depth != network.best.depth)
    _, short, shortest = SHORT_NAMES
    wordings, first = [], dict(reversed(counts))
    for names, shown in ((short, list(counts)), (shortest, [key for key in counts if first[key[0]] == key[1]])):
        texts = [
            f"{use} ({names.get(metric, metric_name(metric))}) {sum(counts[use, metric])} of {len(counts[use, metric])}"
            for use, metric in shown
        ]
        wordings.append(f"Another layer by use: {'; '.join(texts)}" if texts else "")
    return wordings
