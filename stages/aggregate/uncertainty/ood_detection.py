"""How well distances tell images of unseen classes from images of seen ones, on many reweightings at once."""

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.uncertainty.bootstrap import Float64, Weights

TRUE_POSITIVE_RATE = 0.95

FARTHEST = 0.15
"""Share of the seen images among which the threshold of nearly every resample lies."""

WEIGHT_ROUNDING = 1e-6
"""Added to the weight that may lie beyond the threshold: its share of a whole number of images is not exact."""


def placements(seen: NDArray[np.floating], unseen: NDArray[np.floating]) -> tuple[Float64, Float64]:
    """Share of unseen images farther than each seen one, and of seen images nearer than each unseen one, ties half."""
    return 1 - _share_below(seen, unseen), _share_below(unseen, seen)


def _share_below(values: NDArray[np.floating], reference: NDArray[np.floating]) -> Float64:
    order = np.sort(reference)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return np.asarray(below / (2 * len(order)))


def reweighted_auroc(seen: Weights, unseen: Weights, of_seen: Float64, of_unseen: Float64) -> Float64:
    """Area under the ROC curve of B reweightings, to first order, (B,).

    Args:
        seen, unseen: (B, Ns) and (B, Nu) counts.
        of_seen, of_unseen: `placements`.
    """
    parts = ((seen, of_seen), (unseen, of_unseen))
    means = [weights @ placement / _totals(weights) for weights, placement in parts]
    return np.asarray(np.clip(means[0] + means[1] - of_seen.mean(), 0, 1))


def false_positive_rate(
    seen: Weights, unseen: Weights, of_seen: NDArray[np.floating], of_unseen: NDArray[np.floating]
) -> Float64:
    """Share of unseen weight within the smallest seen distance that holds 95 % of seen weight, (B,).

    Args:
        seen, unseen: (B, Ns) and (B, Nu) counts.
        of_seen, of_unseen: (Ns,) and (Nu,) distances.
    """
    levels, level = np.unique(_thresholds(seen, of_seen), return_inverse=True)
    surely = of_unseen <= levels[0]
    accepted = unseen @ surely.astype(np.float32)  # (B,)
    doubtful = np.flatnonzero(~surely & (of_unseen <= levels[-1]))
    within = unseen[:, doubtful] @ (of_unseen[doubtful, None] <= levels).astype(np.float32)  # (B, levels)
    accepted += within[np.arange(len(within)), level]
    return np.asarray(accepted / _totals(unseen))


def _totals(weights: Weights) -> Float64:
    """Number of images of each reweighting, (B,); NaN where there is none."""
    totals = weights.sum(axis=1, dtype=np.float64)
    return np.where(totals > 0, totals, np.nan)


def _thresholds(seen: Weights, of_seen: NDArray[np.floating]) -> NDArray[np.floating]:
    """The smallest distance beyond which at most 5 % of the weight lies, (B,)."""
    allowed = (1 - TRUE_POSITIVE_RATE) * seen.sum(axis=1, dtype=np.float64)[:, None] + WEIGHT_ROUNDING
    order = np.argsort(of_seen, kind="stable")[::-1]
    farthest = int(FARTHEST * len(order)) + 1
    beyond = np.cumsum(seen[:, order[:farthest]], axis=1)
    if (beyond[:, -1:] <= allowed).any():  # the threshold may lie further in
        beyond = np.cumsum(seen[:, order], axis=1)
    return np.asarray(of_seen[order][(beyond > allowed).argmax(axis=1)])
