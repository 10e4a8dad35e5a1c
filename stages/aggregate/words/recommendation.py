"""Recommendations in words: the cells of every table of uses, and sentences."""

from collections.abc import Sequence

from stages.aggregate.curves import sign_of
from stages.aggregate.findings.facts import Status
from stages.aggregate.recommend.criteria import criterion_of
from stages.aggregate.recommend.schema import ChangeRecord, Missing, Recommendation, best_network
from stages.aggregate.scope import is_proven
from stages.aggregate.words.formatting import (
    MISSING,
    capitalized,
    change_interval,
    decimals,
    interval,
    joined,
    layers,
    number,
    percent,
    place,
    runs,
)
from stages.aggregate.words.scores import LOWER, ROWS, explain_intervals, metric_name, scope_words

OTHERS = {"last": "last layer", "before": "layer before it"}
"""Cells of other layers, and what they are of."""

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

LACKING = {
    Missing.HALVES: "No score was fitted again on halves of the images (measure.refits), so that little is known of "
    "how sure a choice is.",
    Missing.GROUPS: "Nothing is said of other images: these are of too few groups (docs/uncertainty.md).",
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


def use_cells(found: Recommendation) -> dict[str, str]:
    """Return the cells of a row of every table of uses, by their headings.

    Where its score has an interval, both know that the layer and its checkpoint were chosen; else it is the plain mean.
    *Last* and *before* are how much better other layers are on unseen classes, mostly below 0.
    """
    best, (value, low, high) = found.best, found.best.estimate
    losses = {"last": found.loss(LAST), "before": found.loss(PENULTIMATE)}
    shares = {"parameters": best.parameters_share, "multiply-adds": best.operations_share}
    return {
        "use": f"{found.use} ({SHORT_NAMES.get(found.metric, metric_name(found.metric))})",
        "layer": f"{best.depth + 1}/{found.last_depth + 1}",
        "step": str(best.step),
        "score": f"{number(value)} {interval(low, high)}".rstrip(),
        **{name: MISSING if lost is None else decimals(-lost, sign=True) for name, lost in losses.items()},
        "ties (at most)": brief_ties(found),
        **{name: MISSING if share is None else percent(share) for name, share in shares.items()},
    }


def use_of_rows(found: Recommendation) -> str:
    """Name a use, its score and its rows: scores of other rows do not stand beside these."""
    return f"{use_cells(found)['use']}, {ROWS[found.normalize]}"


def brief_ties(found: Recommendation, *, priced: bool = True) -> str:
    """Number the layers that tie with the recommended one, the shallowest with what it may lose: `4 (-0.22), 6-8`.

    Args:
        found: for one use of one network.
        priced: whether there is room for what the shallowest may lose.
    """
    if found.shortlist_scope is None or found.last_depth == 0:
        return MISSING
    if not found.ties:
        return "none" if is_proven(found.metric, found.shortlist_scope) else MISSING
    first, others = found.ties[0], [tie.depth for tie in found.ties[1:]]
    if not priced or first.loss_at_most is None:
        return runs([first.depth, *others])
    return ", ".join([f"{first.depth + 1} (-{first.loss_at_most:.2f})", *([runs(others)] if others else [])])


def explain_brackets(networks: Sequence[Recommendation]) -> str:
    """Explain what brackets in tables of uses are, else ties, and whose level is proven; nothing of no network."""
    shown = [(each.use, each.metric, each.best.scope) for each in networks]
    alone = [(each.use, each.metric, each.shortlist_scope) for each in networks if not each.best.scope]
    step = max((each.last_step for each in networks), default=0)
    brackets = explain_intervals("[ ]", shown, step) or ("No interval is known." if shown else "")
    return f"{brackets} {explain_intervals('Ties', alone, step)}".rstrip()


def reason(found: Recommendation) -> str | None:
    """Why nothing is recommended; None where something is."""
    if found.unbeaten is None:
        return None
    baseline, best = found.unbeaten, f"{metric_name(found.metric)} {number(found.best.value)} at best"
    return f"no layer beats {baseline.name} ({best}, {baseline.name} {number(baseline.value)})"


def caveat(found: Recommendation) -> str | None:
    """What makes the choice doubtful; None where nothing does."""
    if found.doubtful is False:
        return None
    levels = joined([f"{name} ({number(value)})" for name, value in _to_beat(found).items()])
    return f"{'it is not shown that' if found.doubtful else 'no bound tells if'} a layer beats {levels}"


def brief_doubts(networks: Sequence[Recommendation], *, known: bool) -> str:
    """Name the uses for which no layer is shown to beat chance and raw pixels, or for which that is not known."""
    own = [each for each in networks if each.doubtful is (True if known else None)]
    levels = joined(list(dict.fromkeys(level for each in own for level in _to_beat(each))))
    words = "Not shown to beat" if known else "No bound tells if a layer beats"
    return f"{words} {levels}: {joined([each.use for each in own])}." if own else ""


def _to_beat(found: Recommendation) -> dict[str, float]:
    """The levels that a layer should beat, where they are known."""
    levels = {"chance": found.chance, "raw pixels": found.pixels}
    return {name: value for name, value in levels.items() if value is not None}


def notes(found: Recommendation) -> list[str]:
    """What is missing, a sentence each."""
    unmeasured = [metric_name(score) for score in found.unmeasured]
    lacking = [f"Not measured without labels: {joined(unmeasured)}."] if unmeasured else []
    return [*(LACKING[what] for what in found.missing), *lacking]


def sentences(found: Recommendation) -> str:
    """From which layer of which checkpoint to take features, what ties, what it takes, and what other choices lose."""
    chosen, cells = found.recommended, use_cells(found)
    if chosen is None:
        return f"{cells['use']}: no recommendation, since {reason(found)}."
    score = f"{metric_name(found.metric)} {cells['score']}"
    if found.last_depth == 0:
        return f"{cells['use']}: its only layer is `{chosen.layer}`, {score}{at_checkpoint(found)}."
    parts = [name for name in ("parameters", "multiply-adds") if cells[name] != MISSING]
    shares = [f"{cells[name]} of the {name}" for name in parts]
    lost = [f"{what} {cells[name]}" for name, what in OTHERS.items() if cells[name] != MISSING]
    unknown = "unseen classes" if found.n_folds > 1 else "images"
    others = f"On {unknown} that such a choice did not know: {', '.join(lost)}." if lost else ""
    takes = f", with {joined(shares)}" if shares else ""
    name = f"layer {place(chosen.depth, found.last_depth)} (`{chosen.layer}`, {score})"
    parts = [f"{cells['use']}: {name}{at_checkpoint(found)}{takes}.", doubt(found), ties(found)]
    parts += [others, pair(found), fine_tuning(found), without_training(found)]
    return " ".join(part for part in parts if part)


def doubt(found: Recommendation) -> str:
    """The caveat as a sentence after the choice; nothing where nothing is doubtful."""
    return "" if found.doubtful is False else f"But {caveat(found)}."


def at_checkpoint(found: Recommendation) -> str:
    """Name the checkpoint of a recommended layer; nothing of a network that was measured as it is."""
    if found.best.step:
        return f" at step {found.best.step}"
    return " at step 0 (not fine-tuned)" if len(found.candidate_steps) > 1 else ""


def ties(found: Recommendation) -> str:
    """Which layers tie with the recommended one, and what each may lose at most."""
    if found.shortlist_scope is None:
        return "Which layers tie with it is not known."
    scope = scope_words(found.metric, found.shortlist_scope)
    if not found.ties:
        proven = is_proven(found.metric, found.shortlist_scope)
        return f"No other layer ties with it ({scope})." if proven else f"Whether others tie is not shown ({scope})."
    prices = [(tie, "" if tie.loss_at_most is None else f", {decimals(tie.loss_at_most)}") for tie in found.ties]
    each = [f"{tie.depth + 1} (`{tie.layer}`{price})" for tie, price in prices]
    own = found.best.loss_at_most
    itself = "" if own is None else f" (the recommended one, {decimals(own)})"
    losses = f", with what each may lose at most{itself}" if itself or any(price for _, price in prices) else ""
    return f"Not distinguishable ({scope}){losses}: layer{'s' * (len(each) > 1)} {joined(each)}."


def gains(found: Recommendation) -> dict[str, float]:
    """What to do with layers, as far as that gained on unseen classes, and the gain."""
    pair = found.pair
    if pair is None or pair.gain is None or not pair.recommended:
        return {}
    return {f"join {layers(pair.depths)}": pair.gain}


def brief_gains(networks: Sequence[Recommendation]) -> str:
    """Write the same of several uses in a line; nothing where nothing gained."""
    uses: dict[str, list[str]] = {}
    for each in networks:
        for advice, gain in gains(each).items():
            uses.setdefault(advice, []).append(f"{each.use} {decimals(gain, sign=True)}")
    advice = "; ".join(f"{what} for {joined(own)}" for what, own in uses.items())
    return f"{capitalized(advice)}." if advice else ""


def scored_as(networks: Sequence[Recommendation]) -> str:
    """Say that scores are of scaled rows, or of neighbours of other groups; nothing where they are not."""
    uses = {each.use: each.normalize for each in networks}
    of_unit_rows = [use for use, scaling in uses.items() if scaling == "l2"]
    which = "Scores" if len(of_unit_rows) == len(uses) else f"Scores for {joined(of_unit_rows)}"
    scaled = f"{which} are of {ROWS['l2']}." if of_unit_rows else ""
    others = any(each.neighbours == "other_groups" for each in networks)
    return f"{scaled} {'Neighbours are images of other groups alone.' if others else ''}".strip()


def pair(found: Recommendation) -> str:
    """What two layers joined gain over a single one on unseen classes; nothing where no interval is known."""
    record = found.pair
    if record is None or record.gain is None or record.low is None or record.high is None:
        return ""
    bounds = f"{change_interval(record.gain, record.low, record.high)} (no proven level)"
    gained = f"gained {bounds} over the best single layer of {ROWS['l2']}"
    if not record.recommended:
        return f"Two layers joined {gained}: not shown to help."
    named = [f"{depth + 1} (`{layer}`)" for depth, layer in zip(record.depths, record.layers, strict=True)]
    return f"Layers {joined(named)} joined, the rows of each scaled to length 1, {gained}."


def fine_tuning(found: Recommendation) -> str:
    """What fine-tuning did to the best layer's score and to the last one's; nothing where that is not known."""
    change = found.fine_tuning
    if change is None:
        return ""
    lower = LOWER * (found.better == "lower")
    last = f"; to that of the last layer: {_changed(found, change.last)}" if change.last else ""
    return f"What fine-tuning to step {change.step} did to the best score{lower}: {_changed(found, change)}{last}."


def _changed(found: Recommendation, change: ChangeRecord) -> str:
    """Write a change as that of the score itself: one that fell is lowered, also where lower is better."""
    sign, turned = sign_of(found.better), {Status.RAISED: Status.LOWERED, Status.LOWERED: Status.RAISED}
    status = change.status if sign > 0 else turned.get(change.status, change.status)
    by = change_interval(sign * change.change, *sorted((sign * change.low, sign * change.high)))
    return f"{status}, {by} ({scope_words(found.metric, change.scope)})"


def brief_fine_tuning(networks: Sequence[Recommendation]) -> str:
    """Write what fine-tuning did to the best layer's score of several uses in a line; nothing where not known."""
    told = [
        f"{each.use}{LOWER * (each.better == 'lower')} "
        + ("ties" if made.status == Status.NOT_DISTINGUISHABLE else f"{sign_of(each.better) * made.change:+.2f}")
        for each in networks
        if (made := each.fine_tuning)
    ]
    return f"Fine-tuning: {', '.join(told)}" if told else ""


def without_training(found: Recommendation) -> str:
    """What the network before fine-tuning may lose at most; nothing where that is not known, or it is recommended."""
    first = found.checkpoints[0] if found.checkpoints else None
    if first is None or first.step > 0 or first.step == found.best.step or first.loss_at_most is None:
        return ""
    layer = f"layer {first.depth + 1} (`{first.layer}`)"
    return f"Before fine-tuning, {layer} may lose {decimals(first.loss_at_most)} at most."


def headline(networks: Sequence[Recommendation]) -> str:
    """Name the layer to take for each use of one dataset, by names that can be typed: the best network's."""
    uses: dict[tuple[str, str, str], list[str]] = {}
    useless: dict[str, list[str]] = {}
    for use in dict.fromkeys(each.use for each in networks):
        own = [each for each in networks if each.use == use]
        best = best_network(own) or max(own, key=lambda each: each.gain)
        if why := reason(best):
            useless.setdefault(why, []).append(use)
        else:
            uses.setdefault((best.best.layer, best.model, at_checkpoint(best)), []).append(use)
    models, checkpoints = {model for _, model, _ in uses}, {checkpoint for *_, checkpoint in uses}
    told = [
        layer + f" of {model}" * (len(models) > 1) + checkpoint * (len(checkpoints) > 1) + f" for {joined(own)}"
        for (layer, model, checkpoint), own in uses.items()
    ]
    whose = f", of {min(models)}" if len(models) == 1 else ""
    whose += min(checkpoints) if len(checkpoints) == 1 else ""
    none = [f"nothing for {joined(own)}: {why}" for why, own in useless.items()]
    return f"take{whose + ',' if whose else ''} {'; '.join([*told, *none])}."


LOSSES = (
    "*Last* and *before*: how much better (below 0: worse) the last layer of the last checkpoint and the one before it "
    "are on unseen classes than a layer and checkpoint that were chosen on other folds (of a single fold: on one half "
    "of the images, all scored on the other). *Ties*: layers that are not distinguishable from the one to take; in "
    "brackets what the shallowest may lose at most."
)

REGRET_WORDS = (
    "What each way of choosing a layer and checkpoint loses to the best on unseen classes that it did not know, by "
    "use. The loss mostly lies between that to a best one which was chosen on one half of the images and scored on the "
    "other (too small: it is not always the best; but where a score depends much on the number of images, half of them "
    "may make it too large) and that to a best one which was chosen and scored on the same images (too large: it is "
    "lucky). Networks of one dataset are not independent: of fewer than five datasets each stands alone, "
    "without an interval; from five on [ ] is over datasets (Student's t, no proven level)."
)


def lost(at_least: float | None, at_most: float, ends: tuple[float, float] | None = None) -> str:
    """Write what is lost to the best, in a bracket; the lower end is not below 0, where a choice was lucky."""
    if at_least is None or at_least >= at_most:
        return f"≤ {decimals(at_most)}"
    return f"{decimals(max(0.0, at_least))}–{decimals(at_most)} {interval(*ends) if ends else ''}".rstrip()
