"""The first words of the verdict and of the page: what to do for each use."""

from collections.abc import Sequence

from stages.aggregate.inference.gain import Payoff
from stages.aggregate.recommend.schema import Recommendation, best_network
from stages.aggregate.words.formatting import decimals, joined, percent
from stages.aggregate.words.recommendation import UNTRAINED, at_checkpoint, doubt_first, reason

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
