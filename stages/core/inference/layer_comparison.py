"""Statements about layers: their intervals, the best one, the best against the last, which tie, and two networks' best.

Each takes what is known of the layers' mean scores (`contrasts.Inference`), turned so that higher is better, and has
its scope: other classes of the domain, or other images of these classes. A layer that is named was chosen on the same
data: its score and its lead are estimated and bounded as those of the best of its contenders.
"""

from dataclasses import dataclass, replace
from math import hypot, sqrt
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from ..scores.description import Score, sign_of
from .contrasts import (
    LEVEL,
    MEDIAN,
    SURE,
    Contrasts,
    Estimate,
    Float64,
    Inference,
    Layers,
    contenders,
    lies_at_limit,
)
from .gain import class_parts, ties
from .refitted import Refits
from .scopes import Scope, infer

Level = Literal["raw_pixels", "chance"]
"""What a layer must beat to be of use."""


@dataclass(frozen=True)
class Bounds:
    """What is known of the truly best of several layers, such as by how much it beats one other, its lead.

    Attributes:
        low: at least, one-sided.
        high: at most, one-sided.
        value: the estimate, between the two.
    """

    low: float
    high: float
    value: float


UNKNOWN = Bounds(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class LayerInference:
    """How sure the scores of L layers are in one scope.

    Attributes:
        low, high: (L,) ends of the layers' intervals, each to be read alone, within the score's limits; NaN of a layer
            that never varied.
        best: score of the layer that looks best, whose interval knows that it was chosen, within the limits as well;
            NaN where not known, as of a single layer, or of a score of which neither end is better.
        tied: (L,) whether each is not distinguishable from the best; None as well.
        lead: of the best earlier layer over the last; NaN as well.
    """

    low: Float64
    high: Float64
    best: Bounds
    tied: Layers | None
    lead: Bounds


def score_contrasts(inference: Inference, spread: Float64) -> Contrasts | None:
    """The layers' scores, whose contenders share their errors: each has the root mean square of all at least.

    Of few classes some errors come out too small, above all that of a score which came out low: near chance every
    layer's, and near a limit that of the layer that looks best.

    Args:
        inference: of L layers.
        spread: (L,) in which unit each layer's error counts, as against the others; NaN: it shares none.

    Returns:
        None where no score varied.
    """
    contrasts = inference.contrasts(np.eye(len(spread)))
    if contrasts is None:
        return None
    in_units = contrasts.variance / spread**2
    sharing = contenders(inference, np.ones(len(spread), dtype=bool)) & ~np.isnan(in_units)
    if not sharing.any():
        return contrasts
    shared = np.maximum(contrasts.variance, in_units[sharing].mean() * spread**2)
    return replace(contrasts, variance=np.where(sharing, shared, contrasts.variance))


def best_score(inference: Inference, sharing: Contrasts) -> Bounds | None:
    """Score of the layer that looks best, whose interval knows that it was chosen.

    A chosen layer's score is rather too good than too bad: the end on that side is that of the layer alone, the other
    end that of all contenders at once, with the error that they share.

    Args:
        inference: of L layers.
        sharing: their scores, from `score_contrasts`.

    Returns:
        The estimate and its two-sided interval; None where that layer's score did not vary.
    """
    L, best, tail = len(inference.mean), int(inference.mean.argmax()), (1 + LEVEL) / 2
    contrasts, shared = inference.contrasts(np.eye(L)), sharing.estimate(best)
    alone = None if contrasts is None else contrasts.estimate(best)
    if contrasts is None or alone is None or shared is None:
        return None
    chosen_from = contrasts.take(contenders(inference, np.ones(L, dtype=bool)))
    low = alone.value - chosen_from.quantile(tail) * shared.standard_error
    return Bounds(low, alone.upper(tail), alone.value - chosen_from.quantile(MEDIAN) * alone.standard_error)


def score_intervals(inference: Inference, score: Score) -> tuple[Float64, Bounds]:
    """Compute the intervals of the layers' scores, each alone, (2, L), and of that of the layer that looks best.

    Between limits they are intervals of the log-odds, turned back: they end within the limits, and reach farther
    towards the middle, as the errors of a score near a limit do. From a few folds alone they are only cut off there.
    NaN of a layer that never varied.
    """
    limited, sign, gains = np.isfinite(score.high - score.low), sign_of(score.better), inference.mean
    move = move_log_odds if inference.correlated and limited else _cut_off
    contrasts = score_contrasts(inference, _spread(sign * gains, score) if limited else np.ones(len(gains)))
    best = (None if contrasts is None else best_score(inference, contrasts)) or UNKNOWN
    ends = np.full((2, len(gains)), np.nan) if contrasts is None else sign * contrasts.intervals().T
    intervals = np.sort(move(sign * gains, ends, score), axis=0)
    at, statements = np.array(sign * gains.max()), sign * np.array([best.low, best.high, best.value])
    *bounds, value = move(at, statements, score).tolist()
    low, high = sorted(bounds)
    return intervals, Bounds(low, high, value)


def move_log_odds(at: Float64, ends: Float64, score: Score) -> Float64:
    """Move from scores as far on the scale of log-odds as it is to `ends`, by the delta method."""
    spread, width = _spread(at, score), score.high - score.low
    within = ~np.isnan(spread)
    share = np.where(within, (at - score.low) / width, 0.5)
    moved = score.low + width * expit(logit(share) + (ends - at) / np.where(within, spread, 1.0))
    return np.where(within, moved, _cut_off(at, ends, score))


def _spread(at: Float64, score: Score) -> Float64:
    """By how much scores move for each unit of log-odds; NaN at a limit."""
    share = (at - score.low) / (score.high - score.low)
    return np.where((share > 0) & (share < 1), (score.high - score.low) * share * (1 - share), np.nan)


def _cut_off(at: Float64, ends: Float64, score: Score) -> Float64:
    return np.clip(ends, score.low, score.high)


def best_against(inference: Inference, *, control: int = -1, candidates: Layers | None = None) -> Bounds | None:
    """Compare the best of several layers with a control, by default the last layer (Dunnett 1955, one-sided).

    The lower bound holds whichever contender is best, hence the quantile of the maximum; the upper bound need only hold
    for the truly best layer, and takes the quantile of one.

    Args:
        inference: of L layers.
        control: index of the layer that is compared with.
        candidates: (L,) the layers that may be best; by default all before the control, of the last layer all others.

    Returns:
        None where no difference varied, or there is no candidate, or the largest difference is one of scores that never
        varied, as at their limit: nothing tells how far they may be apart. Of scores that varied alike, as those of a
        layer and its copy do, the difference is known; but none is shown to be better, since few folds may differ alike
        by chance.
    """
    if candidates is None:
        L = len(inference.mean)
        candidates = np.arange(L) < control % L
    contrasts = inference.against(control, candidates) if candidates.any() else None
    if contrasts is None or lies_at_limit(inference, control, contrasts):
        return None
    alike = contrasts.value[~contrasts.varying] if inference.varying[control] else ()
    likely, possible = (
        contrasts.take(contenders(inference, candidates, level=each_alone)[candidates]) for each_alone in (LEVEL, SURE)
    )
    low = max(possible.at_least(), min(max(alike, default=-np.inf), 0.0))
    return Bounds(low, contrasts.at_most(), max(low, likely.at_least(MEDIAN)))


def losses_at_most(inference: Inference) -> Float64:
    """Bound by how much the truly best layer beats each one, (L,), all bounds at once (Hsu 1981); at least 0.

    Whichever layer is the best, all others are compared with it at once. `inference` may hold several checkpoints'
    layers, one after the other. NaN of a layer that no better one was ever seen apart from, unless their scores varied
    alike: of scores at their limit nothing tells how far they may be apart.
    """
    L, gains = len(inference.mean), inference.mean
    bounds, at_limit = np.zeros(L), ~inference.varying
    for best in range(L):
        others = np.arange(L) != best
        contrasts = inference.against(best, others)
        behind = gains[best] - gains[others]
        unknown = np.where(at_limit[others] & (behind >= 0), np.nan, 0.0)
        margin = unknown if contrasts is None else contrasts.quantile() * np.sqrt(contrasts.variance)
        bounds[others] = np.maximum(bounds[others], behind + np.where(np.isnan(margin), unknown, margin))
    return bounds


def best_of_two(inference: Inference, first_layers: int) -> Estimate | None:
    """Difference of two networks' g, the score of the best layer of each; positive where the first is better.

    Both maxima are too good, that of the flatter or deeper network more so: by how much is taken off each. To the
    variance of the difference between the two chosen layers comes half of the square of what was taken off.

    Args:
        inference: of the layers of both networks, one after the other.
        first_layers: number of layers of the first network.

    Returns:
        None where the difference of the chosen layers did not vary.
    """
    L, gains = len(inference.mean), inference.mean
    of_first = np.arange(L) < first_layers
    first, second = int(gains[:first_layers].argmax()), first_layers + int(gains[first_layers:].argmax())
    each = np.eye(L)
    pairs = inference.contrasts((each[of_first][:, None] - each[~of_first]).reshape(-1, L), together=False)
    index = first * (L - first_layers) + second - first_layers
    estimate = None if pairs is None else pairs.estimate(index)
    if estimate is None:
        return None
    optimism = []
    for control, candidates, plain in ((second, of_first, estimate.value), (first, ~of_first, -estimate.value)):
        lead = best_against(inference, control=control, candidates=candidates)
        optimism.append(0.0 if lead is None else plain - lead.value)
    error = hypot(estimate.standard_error, optimism[0] / sqrt(2), optimism[1] / sqrt(2))
    return Estimate(estimate.value - optimism[0] + optimism[1], error, estimate.df)


def difference(inference: Inference, first: int, second: int) -> Estimate | None:
    """Difference of two layers that were named beforehand; None where it did not vary."""
    contrasts = inference.against(second, np.arange(len(inference.mean)) == first)
    return None if contrasts is None else contrasts.estimate(0)


def unshown_levels(inference: Inference, *, chance: float | None, pixels: int | None) -> list[Level] | None:
    """Return which of chance and the raw pixels no layer is shown to be better than.

    Args:
        inference: of the layers, and of the raw pixels where they were measured.
        chance: gain of an embedding that is unrelated to the classes; None: not asked for.
        pixels: index of the raw pixels; None: not asked for.

    Returns:
        None where neither is known, as where the best score never varied, being perfect.
    """
    layers = np.arange(len(inference.mean)) != pixels
    shown: dict[Level, bool] = {}
    if chance is not None:
        contrasts = replace(inference, mean=inference.mean - chance).contrasts(np.eye(len(layers))[layers])
        if contrasts is not None:
            possible = contenders(inference, layers, level=SURE)[layers]
            above, best = contrasts.take(possible).is_positive(), contrasts.value.max()
            if above or (contrasts.value[contrasts.varying] >= best).any():
                shown["chance"] = above
    if pixels is not None:
        lead = best_against(inference, control=pixels, candidates=layers)
        shown |= {} if lead is None else {"raw_pixels": lead.low > 0}
    return [level for level, above in shown.items() if not above] if shown else None


def infer_layers(refits: Refits) -> dict[Scope, LayerInference]:
    """Infer how sure the scores of layers at one step are, in every scope that is known, the wider one first.

    Args:
        refits: of the layers, by depth.
    """
    layers, directed = {}, refits.score.better != "neither"
    for scope, inference in infer(refits).items():
        (low, high), best = score_intervals(inference, refits.score)
        lead, tied = None, None
        if directed and len(low) > 1:
            lead, tied = best_against(inference), ties(inference, class_parts(inference, scope, [refits]))
        layers[scope] = LayerInference(low, high, best if directed else UNKNOWN, tied, lead or UNKNOWN)
    return layers
