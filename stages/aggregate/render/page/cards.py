"""The answer for each network and use: which layer to take, its score, what choosing it gains, what the cut takes."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from stages.aggregate.curves import Scores
from stages.aggregate.inference.gain import Gain
from stages.aggregate.recommend.schema import LayerRecord, Recommendation
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.formatting import MISSING, decimals, number, place
from stages.aggregate.words.scores import metric_name

Card = dict[str, Any]
"""Of one use: use, answer, doubt, numbers (what it is, the number, what stands under it) and layers."""


def make_cards(recommendations: Sequence[Recommendation], scores: Scores) -> dict[tuple[str, str], list[Card]]:
    """Return the cards of each dataset and model, one for each use.

    Args:
        recommendations: for every use of each.
        scores: the curves, for the pictures.
    """
    by_network = groupby(recommendations, lambda each: (each.dataset, each.model))
    return {network: [_card(each, scores) for each in own] for network, own in by_network}


def _card(found: Recommendation, scores: Scores) -> Card:
    chosen, cells = found.recommended, words.use_cells(found)
    if chosen is None:
        answer = f"No recommendation: {words.reason(found)}."
        return {"use": cells["use"], "answer": answer, "doubt": "", "numbers": [], "layers": []}
    score, _, interval = cells["score"].partition(" ")
    return {
        "use": cells["use"],
        "answer": f"Layer {place(chosen.depth, found.last_depth)} ({chosen.layer}){words.at_checkpoint(found)}",
        "doubt": words.doubt(found),
        "numbers": [
            (metric_name(found.metric), score, interval),
            ("gain over the last layer", *_parts(found.gain_over_last)),
            ("over the one before it", *_parts(found.gain_over_before)),
            *_untrained(found),
            ("ties (at most)", cells["ties (at most)"], ""),
            *((advice, decimals(gain, sign=True), "") for advice, gain in words.gains(found).items()),
            ("parameters", cells["parameters"], _of_all(chosen.parameters, chosen.parameters_share)),
            ("multiply-adds", cells["multiply-adds"], _of_all(chosen.operations, chosen.operations_share)),
        ],
        "layers": _bars(found, chosen, scores),
    }


def _parts(gain: Gain) -> tuple[str, str]:
    """A gain, and its interval."""
    value, _, interval = words.gain_words(gain).partition(" ")
    return value or MISSING, interval


def _untrained(found: Recommendation) -> list[tuple[str, str, str]]:
    """The gain of the network before fine-tuning over its own last layer, and of which layer it is."""
    if found.untrained is None:
        return []
    gain, interval = _parts(found.untrained.gain_over_last)
    where = f"layer {place(found.untrained.layer.depth, found.last_depth)}"
    return [("untrained, over its own last", gain, f"{interval} {where}".lstrip())]


def _of_all(part: int | None, share: float | None) -> str:
    return f"of {float(f'{part / share / 1e6:.3g}'):,g} million" if part and share else ""


def _bars(found: Recommendation, chosen: LayerRecord, scores: Scores) -> list[dict[str, Any]]:
    """Each layer's score over the best one, or the reverse; how it looks: `taken`, `cut` (deeper) or not at all."""
    points = scores.main_points(found.dataset, found.model, found.metric)
    points = points[points["step"] == chosen.step]
    values = points["value"].astype(float).clip(lower=0.0)
    lowest = (values.min() / values).mask(values == 0, 1.0)
    shares = (lowest if found.better == "lower" else values / values.max()).round(4).fillna(0.0)
    return [
        {
            "share": share,
            "looks": "taken" if depth == chosen.depth else "cut" if depth > chosen.depth else "",
            "words": f"layer {place(int(depth), found.last_depth)} ({layer}): {number(value)}",
        }
        for depth, layer, value, share in zip(points["depth"], points["layer"], points["value"], shares, strict=True)
    ]
