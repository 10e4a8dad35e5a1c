"""What choosing a layer and a checkpoint gains over a fixed layer, such as the last, and whether that is shown to pay.

The layer that is named was chosen on the same data. Its *gain*, which all numbers are about, is by how much its
expected score is above that of the fixed layer, the control, in the scope of the interval. Its *contenders* are the
layers and checkpoints from which it is not distinguishable, each alone (`contrasts.contenders`).

- *Estimate.* The plain difference is too large, since it was chosen for being large. From each contender's difference
  the median of the largest of their errors is taken off, and the largest is left (Chernozhukov, Lee and Rosen 2013).
- *Lower end.* It holds at 95% for all contenders at once (Dunnett 1955, one-sided), whichever was chosen. Choosing
  pays if it lies above 0. Contenders share a part of their variances (`contrasts.moderated`), unless folds have the
  level: one layer's training may be the noisiest. Where classes have it, it is corrected for their skewness (Hall
  1992): layers that are better on all but a few classes, on which they fail, are thought better than they are by
  Student's t.
- *Upper end.* A chosen layer is rather too good than too bad, so that this is the end of the layer alone, at 98.5%.
- *At most.* No layer gains more than this, the highest of all contenders' upper ends. Only this says that choosing does
  not pay: the named layer may gain little, and another one, less surely known, more.
- *Named by another score.* Its plain difference was not chosen for being large, so that no more is taken off than makes
  it the corrected gain of the best layer.
- *Cross-validated.* The layer is chosen on some units and scored on others: on the other folds, of a single fold on the
  other classes, of images on the other half. It is what choosing on fewer units gains, without bias, but varies much.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.stats import t as student

from .best import best_candidate
from .contrasts import (
    LEVEL,
    MEDIAN,
    Contrasts,
    Estimate,
    Float64,
    Inference,
    Layers,
    contenders,
    detectable,
    lies_at_limit,
    moderated,
    unskewed,
)
from .refitted import Refits
from .scopes import MIN_FOLDS, Scope, infer

UPPER = 0.985
"""Level of the upper end of an interval, whose lower end has the level `contrasts.LEVEL`. A layer that was chosen is
seldom above it: together they hold in 0.93 to 0.98 of simulated sets."""

Measured = tuple[Float64, Sequence[Refits | None]]
"""Gains (J, T, L) and refits (T) of one score."""

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
        estimate: gain of the named layer and checkpoint, corrected for having been chosen, between `low` and `high`;
            `null` also if the fixed layer itself is named.
        low, high: interval of this gain; `null` as above. `low` is a lower bound for all contenders at once.
        at_most: upper bound on the gain of any layer and checkpoint, at least `high`.
        scope: scope of all these numbers: `classes` or `images`, as in summary.csv.
        proven: whether simulations confirm their level of 95% (docs/uncertainty.md#validation).
        status: `pays` if the interval lies above 0, `does_not_pay` if no layer and checkpoint gains more than
            `aggregate.worthwhile_gain`, else `undecided`, as for every gain without a proven level.
        crossvalidated: mean gain on folds that were not used to choose the layer and checkpoint (with one fold on other
            classes, or on the other half of the images), without bias in the mean over many studies; `null` as above.
        detectable: gain that 80% of studies of as many classes, or images, would show to pay.
    """

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    at_most: float | None = None
    scope: Scope | None = None
    proven: bool = False
    status: Payoff = Payoff.UNDECIDED
    crossvalidated: float | None = None
    detectable: float | None = None

    @property
    def last_does_as_well(self) -> bool:
        """Whether the fixed layer does as well, as far as the estimate tells: nothing is shown, and it is at most 0."""
        return self.status == Payoff.UNDECIDED and self.estimate is not None and self.estimate <= 0


def gain_over(
    control: tuple[int, int],
    gains: Float64,
    refits: Sequence[Refits | None],
    *,
    proven: Collection[Scope],
    worthwhile: float,
    by: Measured | None = None,
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
        by: `gains` and `refits` of the score that names the layer; None: the same.
    """
    J, T, L = gains.shape
    by_gains, by_refits = by or (gains, refits)
    named, fixed = best_candidate(by_gains.mean(axis=0)), (control[0] % T, control[1] % L)
    if named is None:
        return Gain()
    at, control_at = (step * L + layer for step, layer in (named, fixed))
    fitted = [each for each in refits if each is not None]
    bounds = (
        (scope, _bounds(known, at, control_at, class_parts(known, scope, fitted)))
        for scope, known in infer(*refits).items()
    )
    stated = next(((scope, found) for scope, found in bounds if found is not None), None)
    if stated is None:
        return Gain() if J == 1 or named == fixed else _over_folds(_gained(_complements(by_gains), gains, fixed))
    scope, found = stated
    if named != fixed:
        own, other = (_units(each, known, scope) for each, known in ((gains, refits), (by_gains, by_refits)))
        if own is not None and other is not None and own.shape == other.shape:
            found = replace(found, crossvalidated=float(_gained(_complements(other, scope), own, fixed).mean()))
    status = Payoff.UNDECIDED
    if scope in proven and found.at_most is not None:
        pays = found.low is not None and found.low > 0
        status = Payoff.PAYS if pays else Payoff.DOES_NOT_PAY if found.at_most <= worthwhile else status
    return replace(found, scope=scope, proven=scope in proven, status=status)


def _bounds(inference: Inference, named: int, control: int, classes: Float64 | None) -> Gain | None:
    """Bound what one candidate gains over another, and what any of them does.

    Args:
        inference: of all candidates.
        named, control: their indices.
        classes: (U, candidates) from `class_parts`.

    Returns:
        None where folds alone are known, or the named one's difference never varied, or scores at their limit tell
        nothing.
    """
    others = np.arange(len(inference.mean)) != control
    contrasts = inference.against(control, others) if inference.correlated and others.any() else None
    if contrasts is None or lies_at_limit(inference, control, contrasts):
        return None
    possible = contenders(inference, others)[others]
    at = int(contrasts.value.argmax()) if named == control else named - (named > control)
    possible[at] = True  # also if another score names it
    errors = np.sqrt(contrasts.variance)
    upper = contrasts.value + np.nan_to_num(float(student.ppf(UPPER, contrasts.df)) * errors)
    together = _sharing(inference, contrasts, possible)
    gain, quantile = float(contrasts.value[at]), together.take(possible).quantile()
    own = together.estimate(at)
    shown = None if own is None else detectable(own.standard_error, own.df, quantile)
    known = Gain(at_most=float(upper[possible].max()), detectable=shown)
    if named == control:
        return known
    if own is None:
        return None
    low = gain - _unskewed(quantile, classes, control, possible) * own.standard_error
    estimate = min(gain, max(low, contrasts.take(possible).at_least(MEDIAN)))
    return replace(known, estimate=estimate, low=low, high=float(upper[at]))


def _sharing(inference: Inference, contrasts: Contrasts, possible: Layers) -> Contrasts:
    """Let contenders share a part of their variances, unless folds set the level."""
    return moderated(contrasts, possible) if inference.between is None and inference.correlated else contrasts


def _unskewed(quantile: float, classes: Float64 | None, control: int, possible: Layers) -> float:
    """Correct a quantile for the skewness of classes, where these set the level."""
    if classes is None:
        return quantile
    return unskewed(quantile, np.delete(classes, control, axis=1)[:, possible] - classes[:, [control]])


def ties(inference: Inference, classes: Float64 | None = None) -> Layers:
    """Return which layers the one that looks best is not shown to be better than, (L,).

    Each is the control of a gain in turn, as the truly best one must be (Hsu 1981): it stays unless the lower end of
    that gain lies above 0, so that no layer ties over which choosing pays.

    Args:
        inference: of L layers.
        classes: (U, L) from `class_parts`.
    """
    L, best = len(inference.mean), int(inference.mean.argmax())
    return np.array([layer == best or not _is_better(inference, best, layer, classes) for layer in range(L)])


def _is_better(inference: Inference, named: int, control: int, classes: Float64 | None) -> bool:
    """Return whether the lower end of the gain of one layer over another, of `_bounds`, lies above 0."""
    others = np.arange(len(inference.mean)) != control
    contrasts, at = inference.against(control, others), named - (named > control)
    if contrasts is None or not contrasts.varying[at] or lies_at_limit(inference, control, contrasts):
        return False
    possible = contenders(inference, others)[others]
    sharing = _sharing(inference, contrasts, possible)
    among, errors = sharing.take(possible), sharing.value[at] / np.sqrt(sharing.variance[at])
    one, most = student.ppf([LEVEL, 1 - (1 - LEVEL) / among.varying.sum()], among.df)  # what the quantile lies between
    if errors > _unskewed(most, classes, control, possible):
        return True
    return bool(errors > _unskewed(one, classes, control, possible)) and bool(
        errors > _unskewed(among.quantile(), classes, control, possible)
    )


def class_parts(inference: Inference, scope: Scope, refits: Sequence[Refits]) -> Float64 | None:
    """What each class of every fold contributes to the candidates' scores, (U, T L); None where folds set the level.

    A class counts by how much the score falls without it.
    """
    if scope == "images" or inference.between is not None or not inference.correlated:
        return None
    without: Float64 = np.concatenate([each.without.mean(axis=1) for each in refits], axis=2)  # (J, K, T L)
    return np.asarray(without.mean(axis=1, keepdims=True) - without).reshape(-1, without.shape[2])


def _units(gains: Float64, refits: Sequence[Refits | None], scope: Scope) -> Float64 | None:
    """Scores of the units, (U, T, L): of folds, classes of one fold, or halves; None where there are none.

    A class counts by how much the score falls without it, a half by how its score differs from that of all halves.
    """
    if scope == "classes" and len(gains) > 1:
        return gains
    fitted = [each.halves if scope == "images" else each.without for each in refits if each is not None]
    if len(fitted) < len(refits) or len({each.shape for each in fitted}) > 1 or fitted[0].shape[2] == 0:
        return None
    parts = np.stack([each.mean(axis=(0, 1)) for each in fitted], axis=1)  # (U, T, L)
    weight = 1 if scope == "images" else 1 - len(parts)
    return np.asarray(gains.mean(axis=0) + weight * (parts - parts.mean(axis=0)))


def _complements(units: Float64, scope: Scope = "classes") -> Float64:
    """Scores of what each of (U, T, L) units leaves: the mean of all others, or the other half."""
    if scope == "images":
        return np.asarray(units[np.arange(len(units)) ^ 1])
    return np.stack([np.delete(units, unit, axis=0).mean(axis=0) for unit in range(len(units))])


def _gained(known: Float64, scored: Float64, control: tuple[int, int]) -> Float64:
    """Gains over the control of what was chosen on `known`, on `scored`, both (U, T, L)."""
    chosen = [best_candidate(each) or control for each in known]
    return np.array([on[best] - on[control] for on, best in zip(scored, chosen, strict=True)])


def _over_folds(gained: Float64) -> Gain:
    """The mean over folds, and Student's t over three or more."""
    J, mean = len(gained), float(gained.mean())
    known = Gain(mean, scope="classes", crossvalidated=mean)
    if J < MIN_FOLDS or np.ptp(gained) < ROUNDING:
        return known
    low, high = Estimate(mean, float(gained.std(ddof=1)) / J**0.5, J - 1).interval()
    return replace(known, low=low, high=high)
