"""Which layer is best, and how sure: simultaneous comparison over all layers, and the lead without selection bias."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.metric_info import LEVEL
from stages.aggregate.points import Better, equally_best
from stages.aggregate.uncertainty.bootstrap import START_FACTOR, TAILS, Float64, Weights, stratified_weights, stretch
from stages.aggregate.uncertainty.resampled_scores import CurveScorer

LEAD_RESAMPLES = 200
LEAD_SPLITS = 10
"""Splits per resample of the lead's interval."""

NO_DIFFERENCE = 1e-12
"""Of scores, and of their standard errors: what is smaller is rounding."""


@dataclass(frozen=True)
class Lead:
    """By how much a layer chosen on one half of the images beats the last layer on the other half.

    Attributes:
        value: mean over splits into halves; may be negative.
        low, high: its 95 % interval from resampled images.
    """

    value: float
    low: float
    high: float


def best_set(values: Float64, replicates: Float64, better: Better) -> NDArray[np.bool_]:
    """Say which layers are not distinguishable from the best one, all layers compared at once.

    Each layer in turn is compared with all others by the largest of their studentized leads over it; it stays if this
    is within the 95 % quantile of the same maximum over the resamples, centred. (Multiple comparisons with the best,
    Hsu 1981; the critical value is that of the bootstrap's max-t, Westfall and Young 1993.) The truly best layer stays
    with a probability of 95 %, as far as the replicates have the spread of new images.

    Args:
        values: (L,) scores; NaN for a layer without, which never stays.
        replicates: (B, L), as `CurveScorer.replicates` makes them, mean over seeds.
        better: whether higher or lower scores are better.

    Returns:
        (L,).
    """
    known = np.flatnonzero(~np.isnan(values))
    sign = 1.0 if better == "higher" else -1.0
    v, r = sign * values[known], sign * replicates[:, known]
    kept = np.zeros(len(values), dtype=bool)
    kept[known] = [_may_be_best(v - v[i], r - r[:, [i]]) for i in range(len(known))]
    return kept


def _may_be_best(leads: Float64, replicates: Float64) -> bool:
    """Whether no lead of another layer over one layer is larger than chance: (L,) and (B, L)."""
    errors = replicates.std(axis=0, ddof=1)
    same = errors <= NO_DIFFERENCE  # itself, and layers that never differ by more or less than now
    if (leads[same] > NO_DIFFERENCE).any():
        return False
    if same.all():
        return True
    noise = (replicates - replicates.mean(axis=0))[:, ~same] / errors[~same]
    return bool((leads[~same] / errors[~same]).max() <= np.quantile(noise.max(axis=1), LEVEL))


def selection_frequency(replicates: Float64, better: Better) -> Float64:
    """Share of resamples in which each layer is the best; the shallowest of equal ones.

    Args:
        replicates: (B, L) resampled scores; NaN for a layer without.
        better: whether higher or lower scores are better.

    Returns:
        (L,), of sum 1 (0 if there is no score at all).
    """
    known = ~np.isnan(replicates).all(axis=1)
    chosen = best_layers(replicates[known], better)
    return np.asarray(np.bincount(chosen, minlength=replicates.shape[1]) / max(len(chosen), 1), dtype=np.float64)


def best_layers(scores: Float64, better: Better) -> NDArray[np.int64]:
    """Index of the best of every row's finite scores, the first of equally good ones: (B, L) -> (B,)."""
    return np.asarray(equally_best(scores, better).argmax(axis=1), dtype=np.int64)


def split_half_lead(scorer: CurveScorer, better: Better, rng: np.random.Generator, splits: int = 50) -> Lead:
    """Choose the best layer on one half of every class, score it against the last layer on the other half.

    Both halves take both parts. What the score's width and its k-means starts say that images do not show sets the two
    halves apart, too: the halves' deviations from all images are stretched, and the spread of starts is added to one
    and taken off the other (as data are split by adding noise: Rasines and Young 2023). For the interval images are
    resampled, all copies of one in the same half; it is centred at the value, and has the score's width.

    Args:
        scorer: scores of all layers; the last one is the network's last.
        better: whether higher or lower scores are better; leads are positive where the chosen layer is better.
        rng: source of randomness.
        splits: number of splits.

    Returns:
        NaN where the last layer has no score.
    """
    halves = stratified_halves(scorer.y, splits, rng)
    apart = _noise(scorer, splits, rng)
    value = _mean(leads(scorer, np.ones(halves.shape, np.float32), halves, apart, better))
    weights = stratified_weights(scorer.y, LEAD_RESAMPLES, rng)
    starts = START_FACTOR * _noise(scorer, LEAD_RESAMPLES, rng)
    some = list(zip(halves[:LEAD_SPLITS, None], apart[:LEAD_SPLITS], strict=True))
    resampled = _mean(np.stack([leads(scorer, weights, *split, better, starts) for split in some]))
    low, high = np.quantile(stretch(value, resampled, scorer.width), TAILS)
    most = scorer.width.high - scorer.width.low
    return Lead(*(float(np.clip(end, -most, most)) for end in (value, low, high)))


def _mean(values: Float64) -> Float64:
    """Mean over the first axis, of what is defined: a half of few images may lack a whole class."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.asarray(np.where(known, values, 0).sum(axis=0) / np.where(count > 0, count, np.nan))


def _noise(scorer: CurveScorer, count: int, rng: np.random.Generator) -> Float64:
    """What other k-means starts would add to the mean over seeds, (count, L)."""
    return np.asarray(scorer.noise(count, rng).mean(axis=1))


def leads(
    scorer: CurveScorer,
    weights: Weights,
    halves: NDArray[np.bool_],
    apart: Float64,
    better: Better,
    starts: Float64 | float = 0.0,
) -> Float64:
    """Mean lead of both directions on each of B weighted sets of images, (B,).

    Args:
        scorer: scores of all layers.
        weights: (B, N) counts.
        halves: (B or 1, N).
        apart: (B or 1, L) or (L,), what is added to one half's scores and taken off the other's.
        better: whether higher or lower scores are better.
        starts: (B, L) added to both halves' scores.
    """
    sign = 1.0 if better == "higher" else -1.0
    whole = scorer(weights)
    parts = [whole + starts + scorer.width.factor * (scorer(weights * half) - whole) for half in (halves, ~halves)]
    first, second = sign * (parts[0] + apart), sign * (parts[1] - apart)
    return (_lead(first, second) + _lead(second, first)) / 2


def _lead(chosen_on: Float64, scored_on: Float64) -> Float64:
    best = best_layers(chosen_on, "higher")
    return np.asarray(scored_on[np.arange(len(best)), best] - scored_on[:, -1])


def stratified_halves(y: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw halves of every class, (count, N); of a class of odd size the further image goes to either half."""
    halves = np.zeros((count, len(y)), dtype=bool)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        ranks = rng.random((count, len(rows))).argsort(axis=1).argsort(axis=1)
        extra = rng.integers(2, size=(count, 1)) if len(rows) % 2 else 0
        halves[:, rows] = ranks < len(rows) // 2 + extra
    return halves
