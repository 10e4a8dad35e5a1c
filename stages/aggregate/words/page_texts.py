"""The texts of the page's own parts: its first sentence, names of uses, columns of its tables, and cards."""

from collections.abc import Sequence
from typing import Any

from ...core.inference.gain import Gain, Payoff
from ...core.scores.description import USES
from ..facts import Recommendation, RepresentationRecord, told_of
from . import recommendation as words
from .formatting import MISSING, capitalized, layers, percent, place
from .labels import why_chosen_by
from .recommendation import at_checkpoint, caveat, doubt, gain_words, reason, use_cells
from .representations import NO_JOINS as NO_JOINS
from .representations import brief, is_better, name_of
from .scores import metric_name

SHOWN_CARDS = 6
"""Networks whose answers are open at the top; the others are one click away."""

NETWORK_COLUMNS = [
    ("model", "network", ""), ("dataset", "dataset", ""), ("best", "best layer", "counted from 1 at the input"),
    ("layer", "name", ""), ("value", "unseen", "best layer's score on unseen classes, as chosen: too high"),
    ("range", "interval", "over classes if known, else over images"),
    ("last", "last layer", "last layer's score on unseen classes"),
    ("seen", "seen", "best layer's score on the seen classes' test images"),
    ("accuracy", "accuracy", "network's accuracy on seen classes"),
    ("parameters", "parameters", "parameters up to the best layer, as a share"),
    ("operations", "multiply-adds", "multiply-adds up to the best layer, as a share"),
]  # fmt: skip
LAYER_COLUMNS = [
    ("layer", "name", ""), ("number", "layer", "counted from 1 at the input"),
    ("unseen", "unseen", "score on unseen classes"),
    ("range", "interval", "over classes if known, else over images"),
    ("tied", "ties", "whether it is not distinguishable from the best layer"),
    ("seen", "seen", "score on the seen classes' test images"),
    ("parameters", "parameters", "parameters up to this layer, as a share"),
    ("operations", "multiply-adds", "multiply-adds up to this layer, as a share"),
]  # fmt: skip


Joins = Sequence[RepresentationRecord]


def answer(networks: Sequence[Recommendation], joins: Joins = ()) -> str:
    """Say in one sentence what to take for a use, and what that gains, of the best of a dataset's networks."""
    found = told_of(networks)
    own = _of_network(found, joins)
    if own is not None and is_better(own) and own.gain_over_last.estimate is not None:
        gained = f"{own.gain_over_last.estimate:+.2f} {metric_name(own.metric)} over the last layer"
        return f"For {found.use_name} take {name_of(own)}: {gained}."
    doubtful = f"; but {caveat(found)}" if found.doubtful else ""
    whose = f" of {found.model}" if len(networks) > 1 else ""
    return f"For {found.use_name}{_advice(found, whose)}{doubtful}."


def _of_network(found: Recommendation, joins: Joins) -> RepresentationRecord | None:
    """Find what joins give for the use of a recommendation, if they were compared for it."""
    sought = (found.use, found.dataset, found.model)
    return next((each for each in joins if sought == (each.use, each.dataset, each.model)), None)


def use_title(use: str) -> str:
    """Name a use with a capital."""
    return capitalized(USES[use].words or use)


def headline(networks: Sequence[Recommendation]) -> str:
    """Say for one use how often choosing a layer pays, of networks on several datasets."""
    pays = sum(each.gain_over_last.status == Payoff.PAYS for each in networks)
    return f"For {networks[0].use_name}, choosing a layer pays in {pays} of {len(networks)} network-dataset pairs."


def _advice(found: Recommendation, whose: str) -> str:
    """What to do, after the use, and why."""
    last, whose = found.gain_over_last, whose + at_checkpoint(found)
    where = f"layer {place(found.best.depth, found.last_depth)}{whose}"
    if why := reason(found):
        return f" take none: {why}"
    if found.last_depth == 0:
        return f" take the only layer that was measured{whose}"
    if last.status == Payoff.PAYS:
        return f" take {where}: {_gained(found)}"
    if last.status == Payoff.DOES_NOT_PAY:
        return f" take the last layer{whose}: no earlier one gains more than {last.at_most or 0:.2f}"
    if found.best.depth == found.last_depth:
        return f" the last layer{whose} is best so far; {_tied(found)}"
    if last.last_does_as_well:
        return f" the last layer does as well as {where}"
    return f" {where} is best so far, not surely better than the last: {_gained(found)}"


def _gained(found: Recommendation) -> str:
    """The gain over the last layer, and the share of the parameters that the layer takes, as far as they are known."""
    gain, share = found.gain_over_last.estimate, found.best.parameters_share
    known = "" if gain is None else f"{gain:+.2f} {metric_name(found.metric)} over the last layer"
    return ", ".join(filter(None, [known, "" if share is None else f"{percent(share)} of the parameters"])) or "best"


def _tied(found: Recommendation) -> str:
    """Which layers tie with the one to take, the last among them, as far as that is known."""
    depths = [layer.depth for layer in found.shortlist]
    tie = f"{layers(depths)} tie" if len(depths) > 1 else "it is not surely better"
    return tie.replace("-", "\N{NON-BREAKING HYPHEN}")


def findings(found: Recommendation) -> list[str]:
    """Tell whether choosing pays, what ties, and what fine-tuning does."""
    told = (words.payoff, why_chosen_by, words.ties, words.fine_tuning, words.untrained)
    return [*filter(None, (each(found) for each in told))]


def card_texts(found: Recommendation, joins: Joins = ()) -> dict[str, Any]:
    """Return the texts of the card of one use: the answer, doubt, joins, and numbers with what stands under each."""
    chosen, cells, own = found.recommended, use_cells(found), _of_network(found, joins)
    told = {"use": cells["use"], "joined": "" if own is None else capitalized(brief(own))}
    if chosen is None:
        return told | {"answer": f"No recommendation: {reason(found)}.", "doubt": "", "numbers": []}
    score, _, interval = cells["score"].partition(" ")
    layer = f"layer {place(chosen.depth, found.last_depth)} ({chosen.layer}){at_checkpoint(found)}"
    is_joined = own is not None and is_better(own)
    if is_joined:
        told["joined"] += f" The best single layer is {layer}:"
    return told | {
        "answer": capitalized(layer) if own is None or not is_joined else name_of(own),
        "doubt": doubt(found),
        "numbers": [
            (metric_name(found.metric), score, interval),
            ("last layer", cells["last layer"], ""),
            ("gain over the last layer", *_parts(found.gain_over_last)),
            ("over the second-to-last", *_parts(found.gain_over_before)),
            *_untrained(found),
            ("ties (at most)", cells["ties (at most)"], ""),
            ("parameters", cells["parameters"], _of_all(chosen.parameters, chosen.parameters_share)),
            ("multiply-adds", cells["multiply-adds"], _of_all(chosen.operations, chosen.operations_share)),
        ],
    }


def _parts(gain: Gain) -> tuple[str, str]:
    """A gain, and its interval."""
    value, _, interval = gain_words(gain).partition(" ")
    return value or MISSING, interval


def _untrained(found: Recommendation) -> list[tuple[str, str, str]]:
    """The gain of the pre-trained network over its own last layer, and of which layer it is."""
    if found.untrained is None:
        return []
    gain, interval = _parts(found.untrained.gain_over_last)
    where = f"layer {place(found.untrained.layer.depth, found.last_depth)}"
    return [("pre-trained, over its own last", gain, f"{interval} {where}".lstrip())]


def _of_all(part: int | None, share: float | None) -> str:
    return f"of {float(f'{part / share / 1e6:.3g}'):,g} million" if part and share else ""
