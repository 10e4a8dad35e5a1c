"""How one may choose a layer, and a checkpoint, for classes that nobody labelled: a function and an entry each.

A criterion sees a fold's `KnownScores`, in which nothing depends on the labels of that fold's unseen classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ...core.inference.best import best_candidate, best_index
from ...core.inference.contrasts import Float64

Kind = Literal["criterion", "baseline", "control"]
"""`control`: a negative control, expected not to help."""

Choice = list[tuple[int, int]]
"""Chosen candidates, each a step's (-1 for the last) and a layer's index. Of several, one is drawn at random."""

TUNNEL_SHARE = 0.95
"""Of the best seen accuracy: the tunnel is said to begin at the first layer that reaches it (Masarczyk 2023)."""


@dataclass(frozen=True)
class KnownScores:
    """What is known of one network before it meets a fold's unseen classes; T steps, L layers.

    Scores are means over seeds, turned so that higher is better; NaN where a layer has none.

    Attributes:
        other_folds: (J - 1, T, L) the score that names the layer, of the other folds' unseen classes.
        seen: (L,) main score of test images of the fold's seen classes, at the last step.
        probe: (L,) accuracy of a linear probe on the same images.
        other_datasets: where in this network, 0 at its first and 1 at its last layer, the best layer of each other
            dataset is.
    """

    other_folds: Float64
    seen: Float64
    probe: Float64
    other_datasets: tuple[float, ...]

    @property
    def last_layer(self) -> int:
        """Index of the last layer."""
        return int(self.other_folds.shape[2]) - 1


class Criterion(NamedTuple):
    """One way of choosing.

    Attributes:
        kind: what it is meant for.
        choose: the choice for one fold; None where what it needs is not known.
    """

    kind: Kind
    choose: Callable[[KnownScores], Choice | None]


def other_folds(known: KnownScores) -> Choice | None:
    """The best layer and checkpoint on average over the other folds."""
    best = best_candidate(known.other_folds.mean(axis=0)) if len(known.other_folds) else None
    return None if best is None else [best]


def last_layer(known: KnownScores) -> Choice:
    """The last layer."""
    return [(-1, known.last_layer)]


def penultimate(known: KnownScores) -> Choice:
    """The second-to-last layer; of a single layer that one."""
    return [(-1, max(known.last_layer - 1, 0))]


def two_thirds(known: KnownScores) -> Choice:
    """The layer nearest to two thirds of the depth."""
    return _nearest(known, 2 / 3)


def random_layer(known: KnownScores) -> Choice:
    """Any layer."""
    return [(-1, layer) for layer in range(known.last_layer + 1)]


def other_datasets(known: KnownScores) -> Choice | None:
    """The layer nearest to the median relative depth of the other datasets' best layers."""
    return _nearest(known, float(np.median(known.other_datasets))) if known.other_datasets else None


def seen_score(known: KnownScores) -> Choice | None:
    """The layer that separates the seen classes best."""
    index = best_index(known.seen, "higher")
    return None if index is None else [(-1, index)]


def tunnel(known: KnownScores) -> Choice | None:
    """The first layer at which a linear probe reaches 95% of the best layer's accuracy on seen classes."""
    if np.isnan(known.probe).all():
        return None
    return [(-1, int((known.probe >= TUNNEL_SHARE * np.nanmax(known.probe)).argmax()))]


def _nearest(known: KnownScores, relative_depth: float) -> Choice:
    distances = abs(np.arange(known.last_layer + 1) - relative_depth * known.last_layer)
    return [(-1, int(distances.round(9).argmin()))]


CRITERIA = {
    "other_folds": Criterion("criterion", other_folds),
    "last_layer": Criterion("baseline", last_layer),
    "penultimate": Criterion("baseline", penultimate),
    "two_thirds": Criterion("baseline", two_thirds),
    "random_layer": Criterion("baseline", random_layer),
    "other_datasets": Criterion("baseline", other_datasets),
    "seen_score": Criterion("control", seen_score),
    "tunnel": Criterion("control", tunnel),
}
"""Every criterion by name, in the order of tables. All but the first choose a layer at the last step."""
