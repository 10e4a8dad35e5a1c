"""The interval and the ties that a chart shows of a curve: of other classes where they are known, else of these."""

import numpy as np
import pandas as pd

from ..tables.summary_row import INTERVAL_ENDS, TIED

NO_BAND, DEVIATION = "", "sd"
"""What a band is: nothing, one standard deviation, or the interval of a scope."""


def with_bands(points: pd.DataFrame, *, spread: bool = True) -> pd.DataFrame:
    """Add what is drawn around the points of curves that have one kind of band.

    Args:
        points: with `value`, `sd` and those of `INTERVAL_ENDS` and `TIED`.
        spread: whether one standard deviation stands in where no interval is known.

    Returns:
        The points with `band` (a scope, `DEVIATION` or `NO_BAND`), `low`, `high`, and `tied` (boolean, NA where it is
        not known).
    """
    scope = next((scope for scope, (low, _) in INTERVAL_ENDS.items() if points[low].notna().any()), None)
    value = points["value"].astype(float)
    if scope:
        band, (low, high) = str(scope), (points[end].astype(float) for end in INTERVAL_ENDS[scope])
    else:
        sd = points["sd"].astype(float)
        band = DEVIATION if spread and sd.notna().any() else NO_BAND
        low, high = (value - sd, value + sd) if band else (value * np.nan, value * np.nan)
    ties = [points[column] for column in TIED.values()]
    tied = next((own for own in ties if own.notna().any()), ties[0])
    return points.assign(band=band, low=low, high=high, tied=tied.astype("boolean"))
