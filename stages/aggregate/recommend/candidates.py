"""What can be chosen for one network, and what choosing gains over its last layers.

That is every layer at every checkpoint at which its score was fitted again: on halves, or if on none, without classes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import get_args

import numpy as np
import pandas as pd

from ...core.inference.contrasts import Float64
from ...core.inference.gain import Gain, Payoff, gain_over
from ...core.inference.scopes import PROVEN
from ...shared.embeddings.split_names import UNSEEN
from ...shared.tables.scores import Score, Use
from ..curves import Name, Scores, best_candidate
from ..network_data import NetworkData, Refits
from ..tables.summary import MeasuredNetwork, SummaryRow, measured_network

GEOMETRY: Use = "geometry"
"""The use that no features are taken for: only the main score can lead it."""

FIRST = ("probe_accuracy", "few_shot_accuracy_5", "map_at_r", "r_precision", "nn1_accuracy")
"""Scores that lead their use before others, which follow in the order of the catalogue (docs/scores.md#uses)."""

SHARES = {"parameters": "parameters_share", "operations": "operations_share"}
"""Cost up to a layer -> that cost as a share of the whole network's."""


@dataclass(frozen=True)
class Candidates(MeasuredNetwork):
    """Layers and checkpoints of one network for one use; J folds, T steps, L layers, B halves of the images.

    Gains are the leading scores of unseen classes, means over seeds, turned so that higher is better.

    Attributes:
        row, curve, data: of the use's leading score, as of `MeasuredNetwork`.
        use: what features are for.
        points: (L) the layers by depth: layer, embedding, depth, and `SHARES`, NaN where that is not known.
        gains: (J, T, L).
        halves: (J, B, T, L) on halves of the images, 2 i and 2 i + 1 a pair; None where nothing was fitted to any.
        refits: (T) of each step, ascending, the layers' scores; None where a value is missing. If nothing was fitted
            again, all steps at which the score was measured.
    """

    use: Use
    points: pd.DataFrame
    gains: Float64
    halves: Float64 | None
    refits: dict[int, Refits | None]

    @property
    def steps(self) -> list[int]:
        """The checkpoints, (T)."""
        return list(self.refits)

    @property
    def means(self) -> Float64:
        """Gains, means over folds, (T, L)."""
        return np.asarray(self.gains.mean(axis=0))


def collect_candidates(
    summary: Sequence[SummaryRow], scores: Scores, networks: dict[Name, NetworkData]
) -> list[Candidates]:
    """Collect what can be chosen for every network and use, in the order of the grid and of `Use`.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds, fold by fold and over folds.
        networks: the measured data of each.
    """
    candidates, curve_of = [], attrgetter("dataset", "model", "fold", "pooling")
    mains = {curve_of(row): row for row in summary if row.main}
    for main in mains.values():
        of_curve = {row.metric: row for row in summary if curve_of(row) == curve_of(main)}
        for use, metric in leading_scores(of_curve, main.metric, scores.catalogue).items():
            candidates.append(_candidates(use, measured_network(of_curve[metric], scores, networks), scores))
    return candidates


def leading_scores(measured: Collection[str], main_metric: str, catalogue: Mapping[str, Score]) -> dict[Use, str]:
    """Return the leading score of every use that some score was measured for; the main score leads its own use.

    Args:
        measured: the scores that have a best layer.
        main_metric: the score of the findings.
        catalogue: the facts of every score.
    """
    ranked = [name for name in dict.fromkeys((*FIRST, *catalogue)) if name in measured]
    leading = {use: [name for name in ranked if catalogue[name].use == use] for use in get_args(Use)}
    chosen = {use: names[0] for use, names in leading.items() if names and use != GEOMETRY}
    return chosen | ({catalogue[main_metric].use: main_metric} if main_metric in measured else {})


def _candidates(use: Use, network: MeasuredNetwork, scores: Scores) -> Candidates:
    row, points = network.row, network.layers(network.row.step).reset_index(drop=True)
    for what, share in SHARES.items():
        taken = points[what].fillna(0).astype(float)
        points[share] = taken / taken.iloc[-1]  # NaN where that is 0
        points[what] = taken.where(points[share].notna())
    measured = {int(step): network.at(step) for step in network.curve["step"].unique()}
    again = [
        {step: refits for step, refits in measured.items() if refits and getattr(refits, part).size}
        for part in ("halves", "without")
    ]
    on_halves, refits = again[0], next((steps for steps in again if row.step in steps), measured)
    gains = network.sign * scores.by_fold(row.dataset, row.model, row.metric, UNSEEN, [*refits], points["depth"])
    halves = np.stack([each.halves.mean(axis=1) for each in on_halves.values()], 2) if refits is on_halves else None
    return Candidates(**vars(network), use=use, points=points, gains=gains, halves=halves, refits=dict(refits))


@dataclass(frozen=True)
class Choice:
    """What to take, and what choosing gains.

    Attributes:
        taken: index of the checkpoint and of the layer: of the best mean, or the last ones where choosing does not pay.
        over_last, over_before: gains over the last layer of the last checkpoint and over the layer before it, both in
            one scope; nothing is known of a single layer.
    """

    taken: tuple[int, int]
    over_last: Gain
    over_before: Gain

    @property
    def does_not_pay(self) -> bool:
        """Whether the last layer is taken, since choosing does not pay."""
        return self.over_last.status == Payoff.DOES_NOT_PAY


def choose(network: Candidates, worthwhile: float, *, steps: slice = slice(None)) -> Choice | None:
    """Choose among the layers of some checkpoints; None where none has a score.

    Args:
        network: what can be chosen.
        worthwhile: gain over the last layer up to which choosing does not pay.
        steps: which of its checkpoints.
    """
    gains, refits, means = network.gains[:, steps], [*network.refits.values()][steps], network.means[steps]
    best, (T, L), proven = best_candidate(means), means.shape, PROVEN.get(network.row.metric, ())
    if best is None or L == 1:
        return best and Choice(best, Gain(), Gain())
    last, before = (
        _limited(network, gain_over((-1, at), gains, refits, proven=proven, worthwhile=worthwhile)) for at in (-1, -2)
    )
    if last.status == Payoff.DOES_NOT_PAY:
        if network.row.unbeaten_by(network.sign * means[-1, -1]) is None:
            return Choice((T - 1, L - 1), replace(last, estimate=None, low=None, high=None), Gain())
        last = replace(last, status=Payoff.UNDECIDED)  # a layer of no use is not taken
    return Choice(best, last, before if last.scope in (None, before.scope) else Gain())


def _limited(network: Candidates, gain: Gain) -> Gain:
    """End an interval where the score's limits do: nothing gains more than these are apart."""
    score = network.data.catalogue[network.row.metric]
    most = score.high - score.low
    known = {name: value for name in ("low", "high", "at_most") if (value := getattr(gain, name)) is not None}
    return replace(gain, **{name: min(max(value, -most), most) for name, value in known.items()})
