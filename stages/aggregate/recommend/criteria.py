"""How one may choose a layer, and a checkpoint, for classes that nobody labelled: a function and an entry each.

A criterion sees a fold's `Known`, in which nothing depends on the labels of that fold's unseen classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.metric_info import metric_name
from stages.aggregate.points import best_index

Float64 = NDArray[np.float64]

Choice = list[tuple[int, int]]
"""Chosen candidates, each a step's and a layer's index. Of several, one is drawn at random."""

Kind = Literal["criterion", "baseline", "label_free", "control"]
"""`control`: a negative control, expected not to help."""

TUNNEL_SHARE = 0.95
"""Of the best seen accuracy: the tunnel is said to begin at the first layer that reaches it (Masarczyk 2023)."""


@dataclass(frozen=True)
class Known:
    """What is known of one network before it meets a fold's unseen classes; T steps, L layers.

    Scores are means over seeds, turned so that higher is better; NaN where a layer has none.

    Attributes:
        elsewhere: (J - 1, T, L) main score of the other folds' unseen classes.
        seen: (L,) main score of test images of the fold's seen classes, at the last step; None where not measured.
        probe: (L,) accuracy of a linear probe on the same images; None as well.
        label_free: of the fold's unseen images without their labels, score -> (L,), not turned, at the last step.
        depths_elsewhere: where in this network, 0 at its first and 1 at its last layer, the best layer of each other
            dataset is.
    """

    elsewhere: Float64
    seen: Float64 | None
    probe: Float64 | None
    label_free: Mapping[str, Float64]
    depths_elsewhere: tuple[float, ...]

    @property
    def last_step(self) -> int:
        """Index of the last step."""
        return int(self.elsewhere.shape[1]) - 1

    @property
    def last_layer(self) -> int:
        """Index of the last layer."""
        return int(self.elsewhere.shape[2]) - 1

    def at_last_step(self) -> "Known":
        """The same with the last step alone."""
        return replace(self, elsewhere=self.elsewhere[:, -1:])


@dataclass(frozen=True)
class Criterion:
    """One way of choosing.

    Attributes:
        kind: what it is meant for.
        words: its name in tables.
        choose: the choice for one fold; None where what it needs is not known.
    """

    kind: Kind
    words: str
    choose: Callable[[Known], Choice | None]


def best_candidate(gains: Float64) -> tuple[int, int] | None:
    """Index of the best of (T, L) candidates: of equally good ones the shallowest layer, then the earliest step."""
    index = best_index(gains.T.ravel(), "higher")
    return None if index is None else (index % len(gains), index // len(gains))


def other_folds(known: Known) -> Choice | None:
    """The best layer and checkpoint on average over the other folds."""
    best = best_candidate(known.elsewhere.mean(axis=0)) if len(known.elsewhere) else None
    return None if best is None else [best]


def last_layer(known: Known) -> Choice:
    """The last layer."""
    return [(known.last_step, known.last_layer)]


def penultimate(known: Known) -> Choice:
    """The layer before the last; of a single layer that one."""
    return [(known.last_step, max(known.last_layer - 1, 0))]


def two_thirds(known: Known) -> Choice:
    """The layer nearest to two thirds of the depth."""
    return _nearest(known, 2 / 3)


def random_layer(known: Known) -> Choice:
    """Any layer."""
    return [(known.last_step, layer) for layer in range(known.last_layer + 1)]


def other_datasets(known: Known) -> Choice | None:
    """The layer nearest to the median relative depth of the other datasets' best layers."""
    return _nearest(known, float(np.median(known.depths_elsewhere))) if known.depths_elsewhere else None


def seen_score(known: Known) -> Choice | None:
    """The layer that separates the seen classes best."""
    return _highest(known, known.seen)


def tunnel(known: Known) -> Choice | None:
    """The first layer at which a linear probe reaches 95 % of the best layer's accuracy on seen classes."""
    if known.probe is None or np.isnan(known.probe).all():
        return None
    return [(known.last_step, int((known.probe >= TUNNEL_SHARE * np.nanmax(known.probe)).argmax()))]


def highest(score: str) -> Callable[[Known], Choice | None]:
    """Take the layer of the highest value of a label-free score."""
    return lambda known: _highest(known, known.label_free.get(score))


def lowest(score: str) -> Callable[[Known], Choice | None]:
    """Take the layer of the lowest value of a label-free score."""
    return lambda known: _highest(known, None if score not in known.label_free else -known.label_free[score])


def nearest_to_one(score: str) -> Callable[[Known], Choice | None]:
    """Take the layer whose value of a label-free score is nearest to 1."""
    return lambda known: _highest(known, None if score not in known.label_free else -abs(known.label_free[score] - 1))


def _highest(known: Known, values: Float64 | None) -> Choice | None:
    index = None if values is None else best_index(values, "higher")
    return None if index is None else [(known.last_step, index)]


def _nearest(known: Known, relative_depth: float) -> Choice:
    distances = abs(np.arange(known.last_layer + 1) - relative_depth * known.last_layer)
    return [(known.last_step, int(distances.round(9).argmin()))]


LABEL_FREE = (
    "intrinsic_dimension",
    "rankme",
    "participation_ratio",
    "alpha_req",
    "start_agreement",
    "cluster_silhouette",
)
"""Scores of images without labels."""

CRITERIA = {
    "other_folds": Criterion("criterion", "the other folds", other_folds),
    "last_layer": Criterion("baseline", "last layer", last_layer),
    "penultimate": Criterion("baseline", "layer before the last", penultimate),
    "two_thirds": Criterion("baseline", "two thirds of the depth", two_thirds),
    "random_layer": Criterion("baseline", "random layer, on average", random_layer),
    "other_datasets": Criterion("baseline", "median depth of other datasets", other_datasets),
    **{
        f"{end}_{score}": Criterion("label_free", f"{end} {metric_name(score)}", extreme(score))
        for score in LABEL_FREE
        for end, extreme in (("highest", highest), ("lowest", lowest))
    },
    "nearest_to_one_alpha_req": Criterion(
        "label_free", f"{metric_name('alpha_req')} nearest to 1", nearest_to_one("alpha_req")
    ),
    "seen_score": Criterion("control", "best on seen classes", seen_score),
    "tunnel": Criterion("control", "95 % of the seen accuracy", tunnel),
}
"""Every criterion, in the order of tables. All but the first choose a layer at the last step."""
