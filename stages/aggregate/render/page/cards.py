"""The answer for each network and use: which layer to take, its score, what other layers lose, what the cut saves."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from stages.aggregate.curves import Scores
from stages.aggregate.recommend.schema import LayerRecord, Recommendation
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.formatting import MISSING, decimals, joined, number, percent, place
from stages.aggregate.words.scores import metric_name

Number = tuple[str, str, str]
"""What it is, the number, and what stands under it."""


@dataclass(frozen=True)
class Bar:
    """One layer in a picture of the network.

    Attributes:
        share: its score over the largest one, from 0 to 1.
        looks: `taken` (the recommended layer), `cut` (deeper than it), else empty.
        words: its place, name and score.
    """

    share: float
    looks: str
    words: str


@dataclass(frozen=True)
class UseCard:
    """The answer for one use; `layers` is empty where nothing is recommended."""

    use: str
    answer: str
    ties: str
    numbers: list[Number]
    layers: list[Bar]


@dataclass(frozen=True)
class Card:
    """The answers for one network."""

    dataset: str
    model: str
    uses: list[UseCard]


def make_cards(recommendations: Sequence[Recommendation], scores: Scores) -> list[Card]:
    """Make a card of each network.

    Args:
        recommendations: for every use of each.
        scores: the curves, for the pictures.
    """
    cards: dict[tuple[str, str], Card] = {}
    for each in recommendations:
        card = cards.setdefault((each.dataset, each.model), Card(each.dataset, each.model, []))
        card.uses.append(_use_card(each, scores))
    return list(cards.values())


def _use_card(found: Recommendation, scores: Scores) -> UseCard:
    chosen = found.recommended
    if chosen is None:
        return UseCard(words.use_words(found), f"No recommendation: {words.reason(found)}.", "", [], [])
    answer = f"Layer {place(chosen.depth, found.last_depth)} ({chosen.layer}){words.at_checkpoint(found)}"
    others = [(words.LAST, "last layer"), (words.PENULTIMATE, "layer before it")]
    return UseCard(
        use=words.use_words(found),
        answer=answer,
        ties=" ".join(part for part in (words.ties(found), words.doubt(found)) if part),
        numbers=[
            (metric_name(found.metric), *words.score_and_interval(found)),
            *((name, words.difference(found, criterion), "") for criterion, name in others),
            *_variants(found),
            *_savings(chosen),
        ],
        layers=_bars(found, chosen, scores),
    )


def _variants(found: Recommendation) -> list[Number]:
    """Gains of the scaling and of the pair of layers that are recommended."""
    numbers = []
    if found.scaling and found.scaling.gain is not None and found.scaling.recommended != "none":
        numbers.append((words.SCALINGS[found.scaling.recommended], decimals(found.scaling.gain, sign=True), ""))
    if found.pair and found.pair.gain is not None and found.pair.recommended:
        layers = joined([str(depth + 1) for depth in found.pair.depths])
        under = f"over the best single one; {' and '.join(found.pair.layers)}"
        numbers.append((f"join layers {layers}", decimals(found.pair.gain, sign=True), under))
    return numbers


def _savings(chosen: LayerRecord) -> list[Number]:
    parts = {
        "parameters saved": (chosen.parameters, chosen.parameters_share),
        "multiply-adds saved": (chosen.operations, chosen.operations_share),
    }
    return [
        (name, percent(1 - share), f"{_millions(part)} of {_millions(part / share)} million kept")
        if part is not None and share
        else (name, MISSING, "")
        for name, (part, share) in parts.items()
    ]


def _millions(count: float) -> str:
    millions = count / 1e6
    return f"{millions:.0f}" if millions >= 100 else f"{millions:.1f}" if millions >= 10 else f"{millions:.2f}"


def _bars(found: Recommendation, chosen: LayerRecord, scores: Scores) -> list[Bar]:
    points = scores.main_points(found.dataset, found.model, found.metric)
    points = points[points["step"] == chosen.step]
    most = max(points["value"].max(), 0.0)
    return [
        Bar(
            share=round(max(value, 0.0) / most, 4) if most > 0 and pd.notna(value) else 0.0,
            looks="taken" if depth == chosen.depth else "cut" if depth > chosen.depth else "",
            words=f"layer {place(int(depth), found.last_depth)} ({layer}): {number(value)}",
        )
        for depth, layer, value in zip(points["depth"], points["layer"], points["value"], strict=True)
    ]
