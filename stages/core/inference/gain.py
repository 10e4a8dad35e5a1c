"""What choosing a layer and a checkpoint gains over a fixed layer, such as the last, and whether that is shown to pay.

The layer that is named was chosen on the same data. Its *gain*, which the interval is about, is by how much its
expected score is above that of the fixed layer, the control, in the scope of the interval.

- *Interval.* It is that of the named layer among intervals for all its contenders (`layer_comparison`), layers and
  checkpoints against the control at once (Dunnett 1955, two-sided), so that it holds whichever was chosen.
- *Estimate.* The plain difference is too large, since it was chosen for being large. So the layer is chosen on some
  units and scored on others: on the other folds, of a single fold on the other classes, of images on the other half.
  That is, without bias, what choosing on fewer units gains: a little less than the layer that is named.
- *Both together.* Over folds and classes the estimate is at most the plain difference, and so below the upper end: each
  choice is at least as good as the other one on the units on which it was made. Where many layers are equally good it
  may be below the lower end; then the interval is extended to it, which shows less and holds no less often.
- *At most.* No layer gains more than this, the highest of the intervals' upper ends. Only this says that choosing does
  not pay: the named layer may gain little, and another one, less surely known, more.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from .best import best_candidate
from .contrasts import LEVEL, SURE, Estimate, Float64, Inference, contenders, lies_at_limit
from .refitted import Refits
from .scopes import MIN_FOLDS, Scope, infer

TAIL = (1 + LEVEL) / 2
"""Level of each end of an interval."""

COUNTED = 0.5
"""Share of the degrees of freedom that counts where the jackknife over classes has the level: as of classes whose
differences have a kurtosis of 5, where a layer fails on a few of them. By all of them such a layer, as good as the
others on average, was said to pay in up to 0.07 of simulated studies; near a limit intervals held in 0.89."""

ROUNDING = 1e-9
"""Spread of a fold's gains up to which it is taken for a rounding error."""


class Payoff(StrEnum):
    """Whether choosing is shown to pay: the interval lies above 0; no layer gains what is worthwhile; neither."""

    PAYS = "pays"
    DOES_NOT_PAY = "does_not_pay"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Gain:
    """What choosing gains over a fixed layer, the control, above 0 where choosing is better; `null`: not known.

    Attributes:
        estimate: mean gain on folds that were not used to choose the layer and checkpoint (with one fold on other
            classes, or on the other half of the images); `null` also if the fixed layer itself is named.
        low, high: two-sided interval of the gain of the named layer and checkpoint; `null` as above.
        at_most: upper bound on the gain of any layer and checkpoint, at least `high`.
        scope: scope of all these numbers: `classes` or `images`, as in summary.csv.
        proven: whether simulations confirm their level of 95 % (docs/uncertainty.md#validation).
        status: `pays` if the interval lies above 0, `does_not_pay` if no layer and checkpoint gains more than
            `aggregate.worthwhile_gain`, else `undecided`, as for every gain without a proven level.
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
    bounds = {scope: _bounds(known, *at, of_classes=scope == "classes") for scope, known in infer(*refits).items()}
    stated = next(((scope, found) for scope, found in bounds.items() if found is not None), None)
    if stated is None:
        return Gain() if J == 1 or named == fixed else _over_folds(_cross_validated(gains, fixed))
    scope, (low, high, at_most) = stated
    known = Gain()
    if named != fixed:
        estimate = float(_elsewhere(gains, [each for each in refits if each is not None], scope, fixed).mean())
        low, high = min(low, estimate), max(high, estimate)
        at_most = max(at_most, high)
        known = Gain(estimate, low, high)
    status = Payoff.UNDECIDED
    if scope in proven:
        status = Payoff.PAYS if low > 0 else Payoff.DOES_NOT_PAY if at_most <= worthwhile else status
    return replace(known, at_most=at_most, scope=scope, proven=scope in proven, status=status)


def _bounds(inference: Inference, named: int, control: int, *, of_classes: bool) -> tuple[float, float, float] | None:
    """Both ends of the interval of one candidate's gain over another, and the upper bound of all gains.

    Returns:
        None where folds alone are known, or the named one's difference never varied, or scores at their limit tell
        nothing.
    """
    others = np.arange(len(inference.mean)) != control
    contrasts = inference.against(control, others) if inference.correlated and others.any() else None
    if contrasts is None or lies_at_limit(inference, control, contrasts):
        return None
    if of_classes and inference.between is None:
        contrasts = replace(contrasts, df=COUNTED * contrasts.df)
    possible = contenders(inference, others, level=SURE)
    family = contrasts.take(possible[others])
    margins = np.nan_to_num(family.quantile(TAIL) * np.sqrt(family.variance))
    at_most = float((family.value + margins).max())
    if named == control:
        return 0.0, 0.0, at_most
    at = np.flatnonzero(possible).tolist().index(named)
    gain, margin = float(family.value[at]), float(margins[at])
    return (gain - margin, gain + margin, at_most) if margin else None


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
