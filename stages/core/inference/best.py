"""The best of several scores, of which those within rounding are equally good."""

from typing import Any

import numpy as np

from ..scores.description import Better, sign_of
from .contrasts import Float64, Layers

TOLERANCE = 1e-6
"""Scores as close as this are equally good (times the best one's size where that is above 1). Sums in single precision,
and the same clusters in another order, differ by rounding."""


def equally_best(values: Float64, better: Better) -> Layers:
    """Return which layers have the best score, or one within `TOLERANCE` of it.

    Args:
        values: (..., L) scores; NaN for a layer without one, which is never among them.
        better: `higher`, `lower` or `neither`, for which no layer is.

    Returns:
        (..., L).
    """
    gains = values * (np.nan if better == "neither" else sign_of(better))
    return np.asarray(gains >= as_good_as(np.fmax.reduce(gains, axis=-1, keepdims=True)))


def as_good_as(best: Any) -> Any:
    """Return the least gains that count as equal to the best ones."""
    return best - TOLERANCE * np.where(np.isfinite(best), np.maximum(1, abs(best)), 0)


def best_index(values: Float64, better: Better) -> int | None:
    """Index of the best of (L,) scores, the first of equally good ones; None where there is none."""
    among = equally_best(values, better)
    return int(among.argmax()) if among.any() else None


def best_candidate(gains: Float64) -> tuple[int, int] | None:
    """Index of the best of (T, L) candidates: of equally good ones the shallowest layer, then the earliest step."""
    index = best_index(gains.T.ravel(), "higher")
    return None if index is None else (index % len(gains), index // len(gains))
