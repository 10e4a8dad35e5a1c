"""The lines of the verdict, of which the first is the page's, too: what to do for each use comes first."""

from collections.abc import Sequence

from stages.aggregate.curves import TOLERANCE, sign_of
from stages.aggregate.findings.outcomes import Status
from stages.aggregate.inference.gain import Payoff
from stages.aggregate.recommend.schema import Recommendation, best_network
from stages.aggregate.scope import is_proven
from stages.aggregate.words.formatting import decimals, harmless, joined, number, percent, plural
from stages.aggregate.words.recommendation import UNTRAINED, at_checkpoint, brief_ties, levels_to_beat, reason
from stages.aggregate.words.scores import LOWER

TAKE, UNDECIDED, NOTHING = "take", "undecided, best so far", "nothing"
"""Kinds of answers."""

OF_PARAMETERS = " of parameters"
"""What shares are of, which the first one names."""


def headline(networks: Sequence[Recommendation]) -> str:
    """Answer for each use of one dataset, by names that can be typed: the best network's, what is sure first.

    A doubt about all of them comes before.
    """
    chosen: list[Recommendation] = []
    for use in dict.fromkeys(each.use for each in networks):
        own = [each for each in networks if each.use == use]
        chosen.append(best_network(own) or max(own, key=lambda each: each.gain))
    useful = [each for each in chosen if each.recommended is not None]
    models = list(dict.fromkeys(each.model for each in useful))
    checkpoints = list(dict.fromkeys(map(at_checkpoint, useful)))
    answers: dict[str, dict[tuple[str, str], list[str]]] = {TAKE: {}, UNDECIDED: {}, NOTHING: {}}
    for each in chosen:
        checkpoint = at_checkpoint(each) if each.best.step < each.last_step and len(checkpoints) > 1 else ""
        kind, what, why = _answer(each, each.best.layer + f" of {each.model}" * (len(models) > 1), checkpoint)
        answers[kind].setdefault((what, why), []).append(each.use)
    sure, undecided, nothing = (
        [f"{what} for {joined(uses)}{why}" for (what, why), uses in own.items()] for own in answers.values()
    )
    clauses = [*sure, *([f"{UNDECIDED}: {joined(undecided)}"] if undecided else []), *nothing]
    doubt = doubt_first(chosen)
    doubt += "if any, " * bool(doubt and sure)
    whose = f", {models[0]}" * (len(models) == 1) + checkpoints[0] * (len(checkpoints) == 1) if useful else ""
    told, unit, others = f"{doubt}{'; '.join(clauses)}.".partition(OF_PARAMETERS)
    return f"{networks[0].dataset}{whose}: {told}{unit}{others.replace(OF_PARAMETERS, '')}"


def _answer(found: Recommendation, name: str, checkpoint: str) -> tuple[str, str, str]:
    """What to do for a use: of which kind that is, the words before the use, and those after it.

    Args:
        found: for the use.
        name: of its layer.
        checkpoint: of the layer, as far as it is to be named.
    """
    last, is_last = found.gain_over_last, found.best.depth == found.last_depth
    if why := reason(found):
        return NOTHING, NOTHING, f": {why}"
    if found.last_depth == 0:
        return TAKE, f"take the only layer, {name}{checkpoint},", ""
    if last.status == Payoff.PAYS:
        return TAKE, f"take {name}{checkpoint}", ": choosing pays"
    if last.status == Payoff.DOES_NOT_PAY:
        at_most = decimals(last.at_most or 0.0, sign=True)
        return TAKE, f"take the last layer, {name},", f": no earlier one is shown to be better (at most {at_most})"
    if is_last:
        return UNDECIDED, f"the last layer, {name}{checkpoint},", ""
    known = ["untrained"] if checkpoint.endswith(UNTRAINED) else []
    share = found.best.parameters_share
    known += [percent(share) + OF_PARAMETERS] if share is not None else []
    what = name if checkpoint.endswith(UNTRAINED) else name + checkpoint
    return UNDECIDED, what + f" ({', '.join(known)})" * bool(known), ""


def brief_tied(networks: Sequence[Recommendation]) -> str:
    """Write the same of several uses in a line; nothing where none ties."""
    told = [f"{each.use} {brief_ties(each)}" for each in networks if each.ties and each.last_depth > 0]
    return f"Ties (at most): {'; '.join(told)}." if told else ""


def brief_untrained(networks: Sequence[Recommendation]) -> str:
    """Write the same of several uses in a line; nothing where it is not known."""
    told = []
    for each in networks:
        if (made := each.untrained) is not None:
            gained = made.gain_over_last.estimate
            number = "" if gained is None else f" {decimals(gained, sign=True)}"
            told.append(f"{each.use} {made.layer.depth + 1}/{each.last_depth + 1}{number}")
    return f"Untrained, over its own last layer: {', '.join(told)}." if told else ""


def brief_doubts(networks: Sequence[Recommendation], *, known: bool) -> str:
    """Name the uses for which no layer is shown to beat chance and raw pixels, or for which that is not known."""
    own = [each for each in networks if each.doubtful is (True if known else None)]
    levels = _levels(own)
    words = "Not shown to beat" if known else "No bound tells if a layer beats"
    return f"{words} {levels}: {joined([each.use for each in own])}." if own else ""


def doubt_first(networks: Sequence[Recommendation]) -> str:
    """Doubt the choices where for no use a layer is shown, at a proven level, to beat chance and raw pixels.

    Nothing where for some use one is, or for none it is known that none is.
    """
    useful = [each for each in networks if each.recommended is not None]
    doubted = [each for each in useful if each.doubtful]
    shown = [each for each in useful if each.doubtful is False and each.shortlist_scope]
    if not doubted or any(is_proven(each.metric, each.shortlist_scope or "images") for each in shown):
        return ""
    return f"no layer is shown to beat {_levels(doubted)} for {joined([each.use for each in doubted])}; "


def brief_fine_tuning(networks: Sequence[Recommendation]) -> str:
    """Write what fine-tuning did to the best layer's score of several uses in a line; nothing where not known."""
    told = [
        f"{each.use}{LOWER * (each.better == 'lower')} "
        + ("ties" if made.status == Status.NOT_DISTINGUISHABLE else f"{sign_of(each.better) * made.change:+.2f}")
        for each in networks
        if (made := each.fine_tuning)
    ]
    return f"Fine-tuning: {', '.join(told)}" if told else ""


def _levels(networks: Sequence[Recommendation]) -> str:
    """Name what layers should beat, as far as it is known of any network."""
    return joined(list(dict.fromkeys(level for each in networks for level in levels_to_beat(each))))


def other_networks(networks: Sequence[Recommendation], chosen: Sequence[Recommendation]) -> list[str]:
    """Further networks, a line each: their layer and score for each use, and whether it ties with the best network."""
    gains, lines = {best.use: best.gain for best in chosen}, []
    for model in dict.fromkeys(each.model for each in networks if each.model not in {best.model for best in chosen}):
        told = [
            f"{each.use} {each.best.depth + 1}, {number(each.best.estimate[0])}" + _beside(each, gains[each.use])
            for each in networks
            if each.model == model and each.recommended is not None
        ]
        lines.append(f"{model}: {'; '.join(told) or 'no layer of use'}")
    return lines


def _beside(network: Recommendation, best: float) -> str:
    """Write that a network ties with the best one, or was not compared with it; nothing if that is shown better."""
    if best - network.gain <= TOLERANCE:
        return " (ties)"
    return " (not compared)" if network.behind is None else "" if network.behind.distinguishable else " (ties)"


def compare_networks(networks: Sequence[Recommendation]) -> str:
    """Write in one sentence which network of a dataset is best for each use, and how the others stand to it.

    Args:
        networks: every network's recommendation for each use; "" if there is only one network.
    """
    told = []
    for use in dict.fromkeys(each.use for each in networks):
        useful = [each for each in networks if each.use == use and each.recommended is not None]
        best = best_network(useful)
        if best is not None and len({each.model for each in networks}) > 1:
            others = [harmless(each.model) + _beside(each, best.gain) for each in useful if each is not best]
            told.append(f"{harmless(best.model)} for {use}" + (f", before {joined(others)}" if others else ""))
    return f"Best network of {harmless(networks[0].dataset)}: {'; '.join(told)}." if told else ""


def design(networks: Sequence[Recommendation], chosen: Sequence[Recommendation]) -> str:
    """On how many folds, classes, images and seeds it rests, and how accurate the chosen networks are."""
    first, several = networks[0], len({each.model for each in chosen}) > 1
    known = sorted((each.best.accuracy, each.model) for each in chosen if each.best.accuracy is not None)
    accuracies = {model: number(accuracy) + f" of {model}" * several for accuracy, model in known}
    accurate = f"; accuracy on seen classes {joined(list(accuracies.values()))}" if accuracies else ""
    parts = f"{plural(first.n_folds, first.parts.removesuffix('s'))} of {first.n_classes} classes"
    return f"{parts}, {first.n_images:,} images, {plural(first.n_seeds, 'seed')}{accurate}."


def without_score(dataset: str) -> str:
    """Write that no score of a dataset is of the use that is asked about."""
    return f"{harmless(dataset)}: no score tells of this use."


def next_command(found: Recommendation, cell: str | None) -> str:
    """Write what embeds new images at a recommended layer.

    Args:
        found: the recommendation.
        cell: fold and seed by which the command names a network; None: of a single dataset it need not.
    """
    origin = [f"--from {harmless(f'{found.dataset}/{found.model}/{cell}')}"] * (cell is not None)
    return " \\\n  ".join([f"Next: whichlayer features photos/ --use {found.use} --out photos.parquet", *origin])
