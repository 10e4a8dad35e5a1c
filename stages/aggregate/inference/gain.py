"""What choosing a layer and a checkpoint gains over a fixed layer, such as the last, and whether that is shown to pay.

The layer that is named was chosen on the same data. Its *gain*, which the interval is about, is by how much its
expected score is above that of the fixed layer, the control, in the scope of the interval.

- *Interval.* Its lower end is one of all layers and checkpoints against the control at once (Dunnett 1955; of those
  that are not shown to be worse than the named one), so that it holds whichever was chosen. Its upper end is that of
  the named layer alone: a layer that was chosen looks rather too good than too bad.
- *Estimate.* The plain difference is too large, since it was chosen for being large. So the layer is chosen on some
  units and scored on others: on the other folds, of a single fold on the other classes, of images on the other half.
  That is, without bias, what choosing on fewer units gains: a little less than the layer that is named.
- *Both together.* Over folds and classes the estimate is at most the plain difference, and so below the upper end: each
  choice is at least as good as the other one on the units on which it was made. Where many layers are equally good it
  may be below the lower end; then the interval is extended to it, which shows less and holds no less often.
- *At most.* No layer gains more than this bound, which holds for whichever is truly the best. Only this says that
  choosing does not pay: the named layer may gain little, and another one, less surely known, more.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from stages.aggregate.curves import best_candidate
from stages.aggregate.inference.contrasts import LEVEL, Estimate, Float64, Inference
from stages.aggregate.inference.intervals import state_widest
from stages.aggregate.inference.layer_comparison import SURE, contenders, lies_at_limit
from stages.aggregate.inference.network_data import Refits
from stages.aggregate.inference.scopes import MIN_FOLDS
from stages.aggregate.scope import Scope

TAIL = (1 + LEVEL) / 2
"""Level of each end of an interval, and of the bound on all gains."""

ROUNDING = 1e-9
"""Spread of a fold's gains up to which it is taken for a rounding error."""


class Payoff(StrEnum):
    """Whether choosing is shown to pay: the interval lies above 0; no layer gains what is worthwhile; neither."""

    PAYS = "pays"
    DOES_NOT_PAY = "does_not_pay"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Gain:
    """What choosing gains over a control, above 0 where choosing is better; None: not known.

    Attributes:
        estimate: chosen on some units, scored on others; None as well where the control itself is named.
        low, high: two-sided interval of the gain of the layer and checkpoint that are named; None as well.
        at_most: upper bound of what any layer and checkpoint gains, at least `high`.
        scope: of all these numbers; None where there is none.
        proven: whether the level of the interval is; not where it is Student's t over folds, which share choices.
        status: whether choosing pays; undecided where the level is not proven.
    """

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    at_most: float | None = None
    scope: Scope | None = None
    proven: bool = False
    status: Payoff = Payoff.UNDECIDED


def gain_over(
    control: tuple[int, int],
    gains: Float64,
    refits: Sequence[Refits | None],
    *,
    proven: Collection[Scope],
    worthwhile: float,
) -> Gain:
    """Compare the layer and checkpoint of the best mean over folds with a fixed one.

    Args:
        control: index of the checkpoint and of the layer that is compared with, such as (-1, -1).
        gains: (J, T, L) scores of J folds, T checkpoints and L layers, means over seeds, turned so that higher is
            better.
        refits: (T) the same scores and those fitted again, of each checkpoint, its layers by depth; None where a value
            is missing.
        proven: the scopes in which the level of the score's intervals is.
        worthwhile: gain up to which choosing does not pay, in units of the score.
    """
    J, T, L = gains.shape
    named, fixed = best_candidate(gains.mean(axis=0)), (control[0] % T, control[1] % L)
    if named is None:
        return Gain()
    at = [step * L + layer for step, layer in (named, fixed)]
    stated = state_widest(lambda inference: _bounds(inference, *at), *refits)
    if stated is None:
        return Gain() if J == 1 or named == fixed else _over_folds(_cross_validated(gains, fixed))
    scope, (low, high, at_most) = stated
    is_proven = scope in proven
    if named == fixed:
        status = _status(0.0, at_most, worthwhile) if is_proven else Payoff.UNDECIDED
        return Gain(at_most=at_most, scope=scope, proven=is_proven, status=status)
    estimate = float(_elsewhere(gains, [each for each in refits if each is not None], scope, fixed).mean())
    low, high = min(low, estimate), max(high, estimate)
    at_most = max(at_most, high)
    status = _status(low, at_most, worthwhile) if is_proven else Payoff.UNDECIDED
    return Gain(estimate, low, high, at_most, scope, is_proven, status)


def _status(low: float, at_most: float, worthwhile: float) -> Payoff:
    if low > 0:
        return Payoff.PAYS
    return Payoff.DOES_NOT_PAY if at_most <= worthwhile else Payoff.UNDECIDED


def _bounds(inference: Inference, named: int, control: int) -> tuple[float, float, float] | None:
    """Both ends of the interval of one candidate's gain over another, and the upper bound of all gains.

    Returns:
        None where folds alone are known, or the named one's difference never varied, or scores at their limit tell
        nothing.
    """
    candidates = np.arange(len(inference.mean)) != control
    contrasts = inference.against(control, candidates) if inference.correlated and candidates.any() else None
    if contrasts is None or lies_at_limit(inference, control, contrasts):
        return None
    at_most = contrasts.at_most(TAIL)
    if named == control:
        return 0.0, 0.0, at_most
    alone = contrasts.estimate(named - (named > control))
    if alone is None:
        return None
    chosen_from = contrasts.take(contenders(inference, candidates, level=SURE)[candidates])
    low = alone.value - chosen_from.quantile(TAIL) * alone.standard_error
    return low, alone.upper(TAIL), at_most


def _elsewhere(gains: Float64, refits: Sequence[Refits], scope: Scope, control: tuple[int, int]) -> Float64:
    """Gains over the control of what was chosen on some units, on others: folds, classes of one fold, or halves.

    A class counts by how much the score falls without it, a half by how its score differs from that of all halves.
    """
    if scope == "images":
        halves = np.stack([each.halves.mean(axis=(0, 1)) for each in refits], axis=1)  # (B, T, L)
        replicates = gains.mean(axis=0) + halves - halves.mean(axis=0)
        return _gained(replicates, replicates[np.arange(len(halves)) ^ 1], control)
    if len(gains) > 1:
        return _cross_validated(gains, control)
    without = np.stack([each.without.mean(axis=(0, 1)) for each in refits], axis=1)  # (K, T, L)
    return _cross_validated(gains + (len(without) - 1) * (without.mean(axis=0) - without), control)


def _cross_validated(units: Float64, control: tuple[int, int]) -> Float64:
    """Gains over the control, on each of U units (U, T, L), of what was chosen on all others, (U,)."""
    others = np.stack([np.delete(units, unit, axis=0).mean(axis=0) for unit in range(len(units))])
    return _gained(others, units, control)


def _gained(known: Float64, scored: Float64, control: tuple[int, int]) -> Float64:
    """Gains over the control of what was chosen on `known`, on `scored`, both (U, T, L)."""
    chosen = [best_candidate(each) or control for each in known]
    return np.array([on[best] - on[control] for on, best in zip(scored, chosen, strict=True)])


def _over_folds(gained: Float64) -> Gain:
    """The mean over folds, and Student's t over three or more."""
    J, mean = len(gained), float(gained.mean())
    if J < MIN_FOLDS or np.ptp(gained) < ROUNDING:
        return Gain(mean, scope="classes")
    low, high = Estimate(mean, float(gained.std(ddof=1)) / J**0.5, J - 1).interval()
    return Gain(mean, low, high, scope="classes")
