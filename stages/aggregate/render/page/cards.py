"""The answer for each network and use: which layer to take, its score, what choosing it gains, what the cut takes."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from stages.aggregate.curves import Scores
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.words.formatting import number, place
from stages.aggregate.words.page_texts import card_texts

Card = dict[str, Any]
"""Of one use: use, answer, doubt, numbers (what it is, the number, what stands under it) and layers."""


def make_cards(recommendations: Sequence[Recommendation], scores: Scores) -> dict[tuple[str, str], list[Card]]:
    """Return the cards of each dataset and model, one for each use.

    Args:
        recommendations: for every use of each.
        scores: the curves, for the pictures.
    """
    by_network = groupby(recommendations, lambda each: (each.dataset, each.model))
    return {
        network: [card_texts(each) | {"layers": _bars(each, scores)} for each in own] for network, own in by_network
    }


def _bars(found: Recommendation, scores: Scores) -> list[dict[str, Any]]:
    """Each layer's score over the best one, or the reverse; how it looks: `taken`, `cut` (deeper) or not at all."""
    if found.recommended is None:
        return []
    points = scores.main_points(found.dataset, found.model, found.metric)
    points = points[points["step"] == found.best.step]
    values = points["value"].astype(float).clip(lower=0.0)
    lowest = (values.min() / values).mask(values == 0, 1.0)
    shares = (lowest if found.better == "lower" else values / values.max()).round(4).fillna(0.0)
    return [
        {
            "share": share,
            "looks": "taken" if depth == found.best.depth else "cut" if depth > found.best.depth else "",
            "words": f"layer {place(int(depth), found.last_depth)} ({layer}): {number(value)}",
        }
        for depth, layer, value, share in zip(points["depth"], points["layer"], points["value"], shares, strict=True)
    ]
