"""The intervals and ties that figures show: of other classes where they are known, else of these classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from stages.aggregate.figures.style import BAND_ALPHA
from stages.aggregate.metric_info import Scope, intervals_of, metric_name
from stages.aggregate.words.formatting import joined
from stages.aggregate.words.scopes import SCOPES

LIMITS: Mapping[Scope, tuple[str, str]] = {scope: (f"ci_{scope}_low", f"ci_{scope}_high") for scope in SCOPES}
"""Columns of the interval of each scope, the wider scope first."""


def interval_scope(points: pd.DataFrame) -> Scope | None:
    """The wider scope in which some point has an interval."""
    return next((scope for scope, (low, _) in LIMITS.items() if points[low].notna().any()), None)


def limits(points: pd.DataFrame) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Low and high ends of one curve's intervals in the wider scope; NaN where unknown."""
    low, high = LIMITS[interval_scope(points) or "classes"]
    return points[low].astype(float), points[high].astype(float)


def tied(points: pd.DataFrame) -> "pd.Series[bool]":
    """Which points of one curve tie with its best one in the wider scope; none where that is not known."""
    known = [points[f"tied_{scope}"] for scope in SCOPES if points[f"tied_{scope}"].notna().any()]
    return known[0].fillna(value=False).astype(bool) if known else pd.Series(False, points.index)


def has_ties(points: pd.DataFrame) -> bool:
    """Whether it is known of some point if it ties with the best."""
    return any(bool(points[f"tied_{scope}"].notna().any()) for scope in SCOPES)


def draw_band(ax: Axes, x: Any, low: Any, high: Any, color: str) -> None:
    """Shade between two curves where both are known."""
    known = ~(pd.isna(low) | pd.isna(high))
    if known.any():
        ax.fill_between(x, low, high, where=known, color=color, alpha=BAND_ALPHA, linewidth=0.0, zorder=1)


def explain_intervals(points: pd.DataFrame, what: str) -> str:
    """Say for a caption what the shown intervals are, and their level where simulation bears it out.

    Args:
        points: of one or several scores.
        what: what shows them, for example `bands`.

    Returns:
        Nothing where no interval is known.
    """
    scopes: dict[Scope, list[str]] = {}
    for metric, rows in points.groupby("metric", sort=False):
        scope = interval_scope(rows)
        if scope is not None:
            scopes.setdefault(scope, []).append(str(metric))
    told = [
        f"{joined([metric_name(metric) for metric in metrics]) + ': ' if i else ''}{_of_scope(metrics, scope)}"
        for i, (scope, metrics) in enumerate(scopes.items())
    ]
    return f"{what}: {'; '.join(told)}" if told else ""


def _of_scope(metrics: Sequence[str], scope: Scope) -> str:
    """Say what the intervals of these scores are, and those of another level."""
    levels = sorted({intervals_of(metric, scope) for metric in metrics})  # `95 % intervals` come first
    others = [metric_name(metric) for metric in metrics if intervals_of(metric, scope) != levels[0]]
    exception = f" ({joined(others)}: {levels[1]})" if others else ""
    return f"{levels[0]} {SCOPES[scope]}{exception}"
