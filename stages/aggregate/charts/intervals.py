"""The interval and the ties that a chart shows of a curve: of other classes where they are known, else of these."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stages.aggregate.scope import BOTH, Scope

LIMITS: Mapping[Scope, tuple[str, str]] = {scope: (f"ci_{scope}_low", f"ci_{scope}_high") for scope in BOTH}
"""Columns of the interval of each scope, the wider scope first."""
NO_BAND, DEVIATION = "", "sd"
"""What a band is: nothing, one standard deviation, or the interval of a scope."""


def interval_scope(points: pd.DataFrame) -> Scope | None:
    """Return the wider scope in which some point has an interval."""
    return next((scope for scope, (low, _) in LIMITS.items() if points[low].notna().any()), None)


def with_bands(points: pd.DataFrame, *, spread: bool = True) -> pd.DataFrame:
    """Add what is drawn around the points of curves that have one kind of band.

    Args:
        points: with the columns of `LIMITS`, `sd`, and `tied_<scope>`.
        spread: whether one standard deviation stands in where no interval is known.

    Returns:
        The points with `band` (a scope, `DEVIATION` or `NO_BAND`), `low`, `high`, and `tied` (boolean, NA where it is
        not known).
    """
    scope, value = interval_scope(points), points["value"].astype(float)
    if scope:
        band, (low, high) = str(scope), (points[name].astype(float) for name in LIMITS[scope])
    else:
        sd = points["sd"].astype(float)
        band = DEVIATION if spread and sd.notna().any() else NO_BAND
        low, high = (value - sd, value + sd) if band else (value * np.nan, value * np.nan)
    tied = next((own for scope in LIMITS if (own := points[f"tied_{scope}"]).notna().any()), points["tied_classes"])
    return points.assign(band=band, low=low, high=high, tied=tied.astype("boolean"))


def has_ties(points: pd.DataFrame) -> bool:
    """Return whether it is known of some point if it ties with the best."""
    return any(bool(points[f"tied_{scope}"].notna().any()) for scope in LIMITS)
