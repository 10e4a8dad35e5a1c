"""Recommendations in words: the cells of every table of uses, and sentences."""

from collections.abc import Sequence

from stages.aggregate.findings.status import Status
from stages.aggregate.recommend.criteria import criterion_of
from stages.aggregate.recommend.schema import LayerRecord, Missing, Recommendation, best_network
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.words.formatting import MISSING as MISSING_NUMBER
from stages.aggregate.words.formatting import capitalized, decimals, interval, joined, number, percent, place, runs
from stages.aggregate.words.scopes import SHORT
from stages.aggregate.words.scores import metric_name

PENULTIMATE, LAST = "penultimate", "last_layer"
"""The criteria that users follow without a study."""

SHORT_NAMES = {
    "probe_accuracy": "probe",
    "knn_purity": "k-NN",
    "nn1_accuracy": "1-NN",
    "few_shot_accuracy_5": "5-shot",
    "few_shot_accuracy_1": "1-shot",
    "ood_auroc_knn": "AUROC",
    "ood_auroc_mahalanobis": "AUROC",
}
"""Names of scores where there is little room."""

MISSING = {
    Missing.HALVES: "No score was fitted again on halves of the images (measure.refits), so that little is known of "
    "how sure a choice is.",
    Missing.GROUPS: "Nothing is said of other images: these are of fewer than six groups (docs/uncertainty.md).",
    Missing.OTHER_FOLDS: "What choosing by other folds gives on unseen classes is not known: it takes two folds.",
    Missing.OPERATIONS: "Multiply-adds are not known.",
}

CRITERIA = {
    "other_folds": "other folds (recommended)",
    "last_layer": "last layer",
    "penultimate": "layer before the last",
    "two_thirds": "two thirds of the depth",
    "random_layer": "random layer, on average",
    "other_datasets": "best on other datasets",
    "seen_score": "best on seen classes",
    "tunnel": "95 % of the seen accuracy",
}


def criterion_words(criterion: str) -> str:
    """Spell out a criterion; one of a label-free score by its rule and that score."""
    score, rule = criterion_of(criterion).score, criterion_of(criterion).rule
    if score is None:
        return CRITERIA[criterion]
    return f"{metric_name(score)} nearest to 1" if rule == "nearest_to_one" else f"{rule} {metric_name(score)}"


def use_words(found: Recommendation) -> str:
    """Name a use and its leading score: `retrieval (MAP@R)`."""
    return f"{found.use} ({SHORT_NAMES.get(found.metric, metric_name(found.metric))})"


def score_and_interval(found: Recommendation) -> tuple[str, str]:
    """Write the best candidate's score, and the interval in the wider scope that is known, which may be nothing.

    Where there is an interval, both know that the candidate was chosen; else the score is the plain mean.
    """
    value, low, high = found.best.estimate
    return number(value), interval(low, high)


def difference(found: Recommendation, criterion: str) -> str:
    """Write how much better another way of choosing is than the recommended one on unseen classes, mostly below 0."""
    value = found.loss(criterion)
    return MISSING_NUMBER if value is None else decimals(-value, sign=True)


def brief_ties(found: Recommendation) -> str:
    """Number the layers that tie with the recommended one, the shallowest with what it may lose: `4 (-0.22), 6-8`."""
    if found.shortlist_scope is None:
        return MISSING_NUMBER
    if not found.ties:
        return "none" if is_proven(found.metric, found.shortlist_scope) else MISSING_NUMBER
    first, others = found.ties[0], [tie.depth for tie in found.ties[1:]]
    price = "" if first.loss_at_most is None else f" (-{first.loss_at_most:.2f})"
    return ", ".join([f"{first.depth + 1}{price}", *([runs(others)] if others else [])])


def explain_intervals(networks: Sequence[Recommendation]) -> str:
    """Explain what brackets in tables of uses are, and for which uses their level is proven; nothing of no network."""
    if not networks:
        return ""
    told = []
    for scope in SHORT:
        own = [found for found in networks if found.best.scope == scope]
        if not own:
            continue
        unproven = list(dict.fromkeys(found.use for found in own if not is_proven(found.metric, scope)))
        proven = len({found.use for found in own}) > len(unproven)
        level = "95 % " if proven else ""
        exception = f" ({joined(unproven)}: not proven)" if unproven else ""
        told.append(f"{level}{SCOPE_QUESTIONS[scope]}{exception}")
    return f"[ ]: {'; '.join(told)}." if told else "No interval is known."


SCOPE_QUESTIONS: dict[Scope, str] = {
    "classes": "for other unseen classes and retraining",
    "images": "for other images of these classes",
}


def reason(found: Recommendation) -> str | None:
    """Why nothing is recommended; None where something is."""
    if found.unbeaten is None:
        return None
    baseline, best = found.unbeaten, f"{metric_name(found.metric)} {number(found.best.value)} at best"
    return f"no layer beats {baseline.name} ({best}, {baseline.name} {number(baseline.value)})"


def caveat(found: Recommendation) -> str | None:
    """What makes the choice doubtful; None where nothing does."""
    if not found.doubtful:
        return None
    levels = {"chance": found.chance, "raw pixels": found.pixels}
    known = [f"{name} ({number(value)})" for name, value in levels.items() if value is not None]
    return f"it is not shown that a layer beats {joined(known)}"


def notes(found: Recommendation) -> list[str]:
    """What is missing, a sentence each."""
    unmeasured = [metric_name(score) for score in found.unmeasured]
    lacking = [f"Not measured without labels: {joined(unmeasured)}."] if unmeasured else []
    return [*(MISSING[what] for what in found.missing), *lacking]


def sentences(found: Recommendation) -> str:
    """From which layer of which checkpoint to take features, what ties, what it takes, and what other choices lose."""
    chosen = found.recommended
    if chosen is None:
        return f"{use_words(found)}: no recommendation, since {reason(found)}."
    score = f"{metric_name(found.metric)} {' '.join(score_and_interval(found)).rstrip()}"
    if found.last_depth == 0:
        return f"{use_words(found)}: its only layer is `{chosen.layer}`, {score}{at_checkpoint(found)}."
    name = f"layer {place(chosen.depth, found.last_depth)} (`{chosen.layer}`, {score})"
    parts = [f"{use_words(found)}: {name}{at_checkpoint(found)}{takes(chosen)}.", doubt(found), ties(found)]
    parts += [losses(found), scaling(found), pair(found), fine_tuning(found), without_training(found)]
    return " ".join(part for part in parts if part)


def doubt(found: Recommendation) -> str:
    """The caveat as a sentence after the choice; nothing where nothing is doubtful."""
    return f"But {caveat(found)}." if found.doubtful else ""


def at_checkpoint(found: Recommendation) -> str:
    """Name the checkpoint of a recommended layer; nothing of a network that was measured as it is."""
    if found.best.step:
        return f" at step {found.best.step}"
    return " at step 0 (not fine-tuned)" if len(found.candidate_steps) > 1 else ""


def takes(layer: LayerRecord) -> str:
    """What a layer takes; nothing where that is not known."""
    shares = {"parameters": layer.parameters_share, "multiply-adds": layer.operations_share}
    known = [f"{percent(share)} of the {what}" for what, share in shares.items() if share is not None]
    return f", with {joined(known)}" if known else ""


def scope_words(found: Recommendation, scope: Scope) -> str:
    """Name a scope beside a statement, and say where its level is not proven."""
    return f"{SHORT[scope]}{'' if is_proven(found.metric, scope) else ', no proven level'}"


def ties(found: Recommendation) -> str:
    """Which layers tie with the recommended one, and what each may lose at most."""
    if found.shortlist_scope is None:
        return "Which layers tie with it is not known."
    scope = scope_words(found, found.shortlist_scope)
    if not found.ties:
        proven = is_proven(found.metric, found.shortlist_scope)
        return f"No other layer ties with it ({scope})." if proven else f"Whether others tie is not shown ({scope})."
    each = [
        f"{tie.depth + 1} (`{tie.layer}`"
        + (f", {decimals(tie.loss_at_most)})" if tie.loss_at_most is not None else ")")
        for tie in found.ties
    ]
    own = found.best.loss_at_most
    itself = "" if own is None else f" (the recommended one, {decimals(own)})"
    return (
        f"Not distinguishable ({scope}), with what each may lose at most{itself}: "
        f"layer{'s' * (len(each) > 1)} {joined(each)}."
    )


def losses(found: Recommendation) -> str:
    """What the last layer and the one before it lose to such a choice on classes that it did not know."""
    lost = {words: found.loss(name) for name, words in ((LAST, "the last layer"), (PENULTIMATE, "the one before it"))}
    known = [
        f"{words} {'loses' if value > -0.0005 else 'gains'} {decimals(abs(value))}"
        for words, value in lost.items()
        if value is not None
    ]
    return f"On unseen classes that such a choice did not know, {joined(known)}." if known else ""


SCALINGS: dict[str, str] = {"l2": "scale rows to length 1", "standard": "standardize"}
"""What to do with the embeddings of a layer."""


def scaling(found: Recommendation) -> str:
    """What scaling the layer gains on unseen classes; nothing where that is not known."""
    record = found.scaling
    if record is None or record.gain is None:
        return ""
    if record.recommended == "none":
        return "Scaling its rows to length 1 or standardizing its columns did not gain on unseen classes."
    gain = f"{decimals(record.gain, sign=True)} {metric_name(found.metric)}"
    return f"{capitalized(SCALINGS[record.recommended])}: that gained {gain} on unseen classes."


def pair(found: Recommendation) -> str:
    """What two layers joined gain over a single one on unseen classes; nothing where no interval is known."""
    record = found.pair
    if record is None or record.gain is None or record.low is None or record.high is None:
        return ""
    by = f"{decimals(record.gain, sign=True)} [{decimals(record.low, sign=True)}, {decimals(record.high, sign=True)}]"
    gained = f"gained {by} over the best single layer, scaled or not"
    if not record.recommended:
        return f"Two layers joined {gained}: not shown to help."
    layers = [f"{depth + 1} (`{layer}`)" for depth, layer in zip(record.depths, record.layers, strict=True)]
    return f"Layers {joined(layers)} joined, the rows of each scaled to length 1, {gained}."


def brief_scalings(networks: Sequence[Recommendation]) -> str:
    """Write in a line for which uses scaling a layer is recommended, with the gains; nothing where for none."""
    records = {each.use: each.scaling for each in networks if each.scaling is not None}
    gains: dict[str, list[str]] = {name: [] for name in SCALINGS}
    for use, record in records.items():
        if record.gain is not None and record.recommended != "none":
            gains[record.recommended].append(f"{use} {decimals(record.gain, sign=True)}")
    advice = [f"{SCALINGS[name]} for {joined(uses)}" for name, uses in gains.items() if uses]
    return capitalized(f"{'; '.join(advice)}.") if advice else ""


def brief_pairs(networks: Sequence[Recommendation]) -> str:
    """Write in a line for which uses two layers joined are recommended, with the gains; nothing where for none."""
    advice = [
        f"layers {joined([str(depth + 1) for depth in each.pair.depths])} for {each.use} "
        f"{decimals(each.pair.gain, sign=True)}"
        for each in networks
        if each.pair is not None and each.pair.gain is not None and each.pair.recommended
    ]
    return f"Join {'; '.join(advice)}." if advice else ""


def fine_tuning(found: Recommendation) -> str:
    """What fine-tuning did to the best layer's score; nothing where that is not known."""
    change = found.fine_tuning
    if change is None or found.recommended is None:
        return ""
    by = f"{decimals(change.change, sign=True)} [{decimals(change.low, sign=True)}, {decimals(change.high, sign=True)}]"
    what = f"{FINE_TUNING[change.status]} {by} ({scope_words(found, change.scope)})"
    return f"Fine-tuning to step {change.step} {what}."


FINE_TUNING = {
    Status.RAISED: "raised the best score by",
    Status.LOWERED: "lowered the best score by",
    Status.NOT_DISTINGUISHABLE: "did not change the best score distinguishably:",
}


def fine_tuning_brief(found: Recommendation) -> str:
    """The same in a few words."""
    change = found.fine_tuning
    assert change is not None
    return f"{change.status} ({decimals(change.change, sign=True)})"


def without_training(found: Recommendation) -> str:
    """What the network before fine-tuning may lose at most; nothing where that is not known, or it is recommended."""
    first = found.checkpoints[0] if found.checkpoints else None
    if first is None or first.step > 0 or first.step == found.best.step or first.loss_at_most is None:
        return ""
    layer = f"layer {first.depth + 1} (`{first.layer}`)"
    return f"Before fine-tuning, {layer} may lose {decimals(first.loss_at_most)} at most."


def headline(networks: Sequence[Recommendation]) -> str:
    """Name the layer to take for each use of one dataset, by names that can be typed: the best network's."""
    by_layer: dict[tuple[str, str, int], list[Recommendation]] = {}
    useless: list[Recommendation] = []
    for use in dict.fromkeys(each.use for each in networks):
        own = [each for each in networks if each.use == use]
        best = best_network(own)
        if best is None:
            useless.append(own[0])
        else:
            by_layer.setdefault((best.best.layer, best.model, best.best.step), []).append(best)
    models, steps = {model for _, model, _ in by_layer}, {step for _, _, step in by_layer}
    told = [
        layer
        + (f" of {model}" if len(models) > 1 else "")
        + (at_checkpoint(found[0]) if len(steps) > 1 else "")
        + f" for {joined([each.use for each in found])}"
        for (layer, model, _), found in by_layer.items()
    ]
    first = next(iter(by_layer.values()))[0] if by_layer else None
    whose = f", of {first.model}" if first and len(models) == 1 else ""
    whose += at_checkpoint(first) if first and len(steps) == 1 else ""
    none = [f"nothing for {joined([each.use for each in useless])}: {reason(useless[0])}"] if useless else []
    return f"take{whose + ',' if whose else ''} {'; '.join([*told, *none])}."


LOSSES = (
    "*Last* and *before*: how much worse the last layer and the one before it are on unseen classes than a layer "
    "that was chosen on other folds (of a single fold: on the other half of the images). *Ties*: layers that are not "
    "distinguishable from the one to take; in brackets what the shallowest may lose at most."
)

REGRET_WORDS = (
    "What each way of choosing a layer and checkpoint loses to the best on unseen classes that it did not know, by "
    "use. The loss lies between that to a best one which was chosen on one half of the images and scored on the other "
    "(too small: it is not always the best) and that to a best one which was chosen and scored on the same images (too "
    "large: it is lucky)."
)


def lost(at_least: float | None, at_most: float) -> str:
    """Write what is lost to the best, in a bracket; the lower end is not below 0, where a choice was lucky."""
    if at_least is None or at_least >= at_most:
        return f"≤ {decimals(at_most)}"
    return f"{decimals(max(0.0, at_least))}–{decimals(at_most)}"
