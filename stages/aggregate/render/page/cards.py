"""The answer for each network: which layer to take, what it scores, what ties with it, and what the cut saves."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.recommend.schema import LayerRecord, Recommendation
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.formatting import MISSING, decimals, interval, number, percent, place
from stages.aggregate.words.scopes import SHORT
from stages.aggregate.words.scores import metric_name
from stages.shared.embeddings.split_names import UNSEEN

Number = tuple[str, str, str]
"""What it is, the number, and what stands under it."""


@dataclass(frozen=True)
class Bar:
    """One layer in a card's picture of the network.

    Attributes:
        share: its score over the largest one, from 0 to 1.
        looks: `taken` (the recommended layer), `cut` (deeper than it), else empty.
        words: its place, name and score.
    """

    share: float
    looks: str
    words: str


@dataclass(frozen=True)
class Card:
    """The answer for one network; `layers` is empty where nothing is recommended."""

    dataset: str
    model: str
    answer: str
    ties: str
    caveat: str
    numbers: list[Number]
    layers: list[Bar]
    strip: str


def make_cards(found: Sequence[Recommendation], summary: Sequence[SummaryRow], scores: Scores) -> list[Card]:
    """Make a card of each recommendation.

    Args:
        found: one per network.
        summary: its main rows give the chance level of the accuracy.
        scores: the curves, for the pictures.
    """
    chances = {(row.dataset, row.model): row.accuracy_chance for row in summary if row.main}
    return [_card(each, chances[each.dataset, each.model], scores) for each in found]


def _card(found: Recommendation, accuracy_chance: float | None, scores: Scores) -> Card:
    chosen = found.recommended
    if chosen is None:
        return Card(found.dataset, found.model, words.answer(found), "", "", [], [], "")
    return Card(
        dataset=found.dataset,
        model=found.model,
        answer=words.answer(found),
        ties=words.ties_and_savings(found),
        caveat="".join(words.doubt(found)),
        numbers=[*_scores(found, accuracy_chance), *_savings(chosen)],
        layers=_bars(found, chosen, scores),
        strip=f"{metric_name(found.metric)} of each layer; hatched: cut off",
    )


def _scores(found: Recommendation, accuracy_chance: float | None) -> list[Number]:
    """Scores at the recommended checkpoint."""
    best, ends, at_least, chance = found.best, "", "", ""
    for scope, bounds in list(best.scopes.items())[:1]:
        ends = f"{interval(bounds.low, bounds.high)} {SHORT[scope]}" if bounds.low is not None else ""
        lead = bounds.lead_at_least
        at_least = "" if lead is None else f"lead at least {decimals(lead, sign=True)}"
    if best.accuracy is not None and accuracy_chance is not None:
        chance = f"chance {decimals(accuracy_chance)}"
    return [
        (f"{metric_name(found.metric)}, unseen classes", decimals(best.value), ends),
        ("last layer", number(best.last_value), at_least),
        ("accuracy, seen classes", number(best.accuracy), chance),
    ]


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
    points = _main_points(found, chosen.step, scores.curves)
    most = max(points["value"].max(), 0.0)
    return [
        Bar(
            share=round(max(value, 0.0) / most, 4) if most > 0 and pd.notna(value) else 0.0,
            looks="taken" if depth == chosen.depth else "cut" if depth > chosen.depth else "",
            words=f"layer {place(depth, found.last_depth)} ({layer}): {number(value)} {interval(low, high)}".rstrip(),
        )
        for depth, layer, value, low, high in points.itertuples(index=False)
    ]


def _main_points(found: Recommendation, step: int, curves: pd.DataFrame) -> pd.DataFrame:
    """Depth, layer, value and the ends of its interval, of the main score of one network at one step, by depth."""
    wanted: dict[str, object] = {"dataset": found.dataset, "model": found.model, "metric": found.metric, "fold": MEAN}
    wanted |= {"split": UNSEEN, "step": step, "main": True}
    for name, value in wanted.items():
        curves = curves[curves[name] == value]
    ends = pd.DataFrame({"depth": curves["depth"].astype(int), "layer": curves["layer"], "value": curves["value"]})
    return ends.assign(low=None, high=None).sort_values("depth")
