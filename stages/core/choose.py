"""The rule of choosing: which layer and checkpoint is named for a use, what that gains, and how sure it is.

Named is the best mean over all folds among the layers of all checkpoints, or the last layer of the last checkpoint
where choosing does not pay. With few labels, another score than the use's own may name it (`naming_score`). How sure it
is, is said of other classes where three folds or more tell, else of other images of these classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .inference.best import best_candidate
from .inference.contrasts import Float64, Inference
from .inference.gain import Gain, Measured, Payoff, gain_over
from .inference.layer_comparison import (
    Bounds,
    LayerInference,
    Level,
    infer_layers,
    losses_at_most,
    score_intervals,
    unshown_levels,
)
from .inference.refitted import Refits
from .inference.scopes import Scope, infer, lacks_groups, state_widest
from .scores.description import Score, Use

Levels = Mapping[Level, float]
"""What a layer must beat to be of use, raw pixels first, and its score turned so that higher is better."""


FEW_LABELS = 10
"""Classes, or images of the smallest, below which the scores of a use may be too noisy to choose by."""

STEADY: dict[Use, str] = {"discovery": "map_at_r"}
"""The score that names the layer for a use if labels are few. On six datasets what MAP@R named fell 0.020 less short of
the best NMI (standard error 0.007); for other uses it was not shown to help (docs/study/few_labels.csv)."""


def naming_score(use: Use, metric: str, measured: Mapping[str, Score], *, n_classes: int, least_images: int) -> str:
    """Return the score that names the layer for a use.

    Args:
        use: what features are for.
        metric: its leading score.
        measured: the facts of what was measured, by name.
        n_classes: unseen classes of all folds.
        least_images: images of the smallest class.
    """
    steady = STEADY.get(use, metric)
    is_given = steady in measured and measured[steady].scaling == "l2"
    return steady if is_given and min(n_classes, least_images) < FEW_LABELS else metric


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Layers and checkpoints of one network for one use; J folds, T steps, L layers.

    Attributes:
        score: the facts of the use's leading score.
        gains: (J, T, L) of that score on unseen classes, means over seeds, turned so that higher is better; NaN of a
            layer without one.
        refits: (T) of each step, ascending, the scores of its layers by depth; None where a value is missing.
        levels: what is known of raw pixels and chance.
        pixels: the raw pixels' score at the same steps; empty if they were not measured.
        by: the same candidates by the score that names the layer; None: by this one.
    """

    score: Score
    gains: Float64
    refits: Mapping[int, Refits | None]
    levels: Levels
    pixels: Mapping[int, Refits | None]
    by: "Candidates | None" = None

    @property
    def steps(self) -> list[int]:
        """The checkpoints, (T)."""
        return list(self.refits)

    @property
    def means(self) -> Float64:
        """Gains, means over folds, (T, L)."""
        return np.asarray(self.gains.mean(axis=0))

    def measured(self, steps: slice) -> Measured:
        """Gains and refits of some checkpoints."""
        return self.gains[:, steps], [*self.refits.values()][steps]

    @property
    def lacks_halves(self) -> bool:
        """Whether the score was not computed again on halves of the images, though it could be."""
        last = [*self.refits.values()][-1]
        return self.score.refit and self.score.on_halves and not (last and last.halves.size)

    @property
    def lacks_groups(self) -> bool:
        """Whether at some checkpoint nothing is said of other images, since these have too few groups."""
        return any(refits is not None and lacks_groups(refits) for refits in self.refits.values())


@dataclass(frozen=True)
class Choice:
    """What to take, and what choosing gains.

    Attributes:
        taken: index of the checkpoint and of the layer: of the best mean, or the last ones where choosing does not pay.
        over_last, over_before: gains over the last layer of the last checkpoint and over the layer before it, both in
            one scope; nothing is known of a single layer.
        by_another: whether another score named it.
    """

    taken: tuple[int, int]
    over_last: Gain
    over_before: Gain
    by_another: bool = False

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
    (gains, refits), means = network.measured(steps), network.means[steps]
    best, (T, L), proven, by = best_candidate(means), means.shape, network.score.proven, None
    if best is None or L == 1:
        return best and Choice(best, Gain(), Gain())
    if network.by is not None:
        named = best_candidate(network.by.means[steps])
        if named is not None and unbeaten_by(means[named], network.levels) is None:
            best, by = named, network.by.measured(steps)
    last, before = (
        _limited(gain_over((-1, at), gains, refits, proven=proven, worthwhile=worthwhile, by=by), network.score)
        for at in (-1, -2)
    )
    if last.status == Payoff.DOES_NOT_PAY:
        if unbeaten_by(means[-1, -1], network.levels) is None:
            unknown = replace(last, estimate=None, low=None, high=None, crossvalidated=None)
            return Choice((T - 1, L - 1), unknown, Gain())
        last = replace(last, status=Payoff.UNDECIDED)  # a layer of no use is not taken
    before = before if last.scope in (None, before.scope) else Gain()
    return Choice(best, last, before, by_another=by is not None)


def _limited(gain: Gain, score: Score) -> Gain:
    """End an interval where the score's limits do: nothing gains more than these are apart."""
    most = score.high - score.low
    names = ("estimate", "low", "high", "at_most", "detectable")
    known = {name: value for name in names if (value := getattr(gain, name)) is not None}
    return replace(gain, **{name: min(max(value, -most), most) for name, value in known.items()})


def unbeaten_by(gain: float, levels: Levels) -> Level | None:
    """Return what a score does not beat, raw pixels first; None where it beats all that is known."""
    return next((level for level, own in levels.items() if gain <= own), None)


@dataclass(frozen=True)
class Decision:
    """The choice, and how sure it is.

    Attributes:
        choice: what is taken, and what choosing gains.
        losses: (T, L) upper bounds on what each candidate may lose to the best one; NaN: not known.
        sure: how sure the scores of the checkpoint that is taken are, the wider scope first; empty where that is not
            known.
        tied: layers of that checkpoint that are not distinguishable from the best, in the wider scope; none where that
            is not known.
        unbeaten: why nothing is recommended; None where something is.
        doubtful: what no layer is shown to beat; None: no bound is known.
    """

    choice: Choice
    losses: Float64
    sure: dict[Scope, LayerInference]
    tied: list[int]
    unbeaten: Level | None
    doubtful: list[Level] | None


def decide(network: Candidates, worthwhile: float) -> Decision | None:
    """Choose a layer and a checkpoint, and infer how sure that is; None where no candidate has a score.

    Args:
        network: what can be chosen.
        worthwhile: gain over the last layer up to which choosing does not pay.
    """
    choice = choose(network, worthwhile)
    if choice is None:
        return None
    step = network.steps[choice.taken[0]]
    known = {step: refits for step, refits in network.refits.items() if refits}
    together = infer(*known.values()) if step in known else {}
    sure = _sureness(network, choice, known[step], together) if together else {}
    widest = next(iter(sure.values()), None)
    told = [*known] if step in known else [step]
    pixels = [network.pixels[told[0]]] if network.pixels else []
    own = widest.tied if widest and widest.tied is not None else ()  # None: of a single layer
    tied = {*map(int, np.flatnonzero(own)), *([choice.taken[1]] if widest else ())}  # also if another score names it
    return Decision(
        choice,
        _losses_at_most(network, [*known], next(iter(together.values()), None)),
        sure,
        sorted(tied),
        unbeaten_by(network.means[choice.taken], network.levels),
        levels_not_beaten([network.refits[each] for each in told], network.levels, pixels),
    )


def _sureness(
    network: Candidates, choice: Choice, refits: Refits, together: Mapping[Scope, Inference]
) -> dict[Scope, LayerInference]:
    """Infer how sure the scores of the checkpoint that is taken are; that of its layer knows how it was chosen.

    Args:
        network: what can be chosen.
        choice: what is taken.
        refits: of its checkpoint.
        together: what is known of all checkpoints, of which it is the best; or else it was not chosen by this score.
    """
    alone, value, layer = infer_layers(refits), network.score.sign * network.means[choice.taken], choice.taken[1]
    sure = {}
    for scope, inference in together.items():
        own, not_chosen = alone[scope], choice.does_not_pay or choice.by_another
        single = Bounds(own.low[layer], own.high[layer], value)
        best = single if not_chosen else score_intervals(inference, refits.score)[1]
        sure[scope] = replace(own, best=best)
    return sure


def _losses_at_most(network: Candidates, known: Sequence[int], together: Inference | None) -> Float64:
    """Bound what each candidate may lose to the best one, (T, L); no score loses more than its limits are apart.

    Args:
        network: what can be chosen.
        known: the steps of which `together` is.
        together: what is known of their layers, in one scope.
    """
    score, bounds = network.score, np.full(network.means.shape, np.nan)
    if together is not None:
        losses = losses_at_most(together).reshape(len(known), -1)
        bounds[[step in known for step in network.steps]] = np.minimum(losses, score.high - score.low)
    return bounds


def levels_not_beaten(
    refits: Sequence[Refits | None], levels: Levels, pixels: Sequence[Refits | None] = ()
) -> list[Level] | None:
    """Return which of raw pixels and chance no layer is shown to be better than; None: no bound is known.

    There is none where neither was measured.

    Args:
        refits: of the checkpoints, of which the best layer was chosen.
        levels: what is known of raw pixels and chance.
        pixels: the raw pixels' score at the first of them; empty where they were not measured.
    """
    if not levels:
        return []
    place = sum(len(each.keys) for each in refits if each) if pixels else None
    chance = levels.get("chance")
    shown = state_widest(lambda inference: unshown_levels(inference, chance=chance, pixels=place), *refits, *pixels)
    return shown and shown[1]
