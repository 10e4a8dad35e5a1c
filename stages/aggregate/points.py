"""Single points of curves: the best layer, the last one, the raw pixels, and whether a score can choose a layer."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.aggregate.curves import CURVE, Scores
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.runtime.errors import UserError, nearest

Row = pd.Series
"""One point of a curve."""

Better = Literal["higher", "lower", "neither"]
"""Which values of a score are the better ones."""

TOLERANCE = 1e-6
"""Scores as close as this are equally good (times the best one's size where that is above 1). Sums in single precision,
and the same clusters in another order, differ by rounding."""


def equally_best(values: NDArray[np.float64], better: Better) -> NDArray[np.bool_]:
    """Say which layers have the best score, or one within `TOLERANCE` of it.

    Args:
        values: (..., L) scores; NaN for a layer without one, which is never among them.
        better: `higher`, `lower` or `neither`, for which no layer is.

    Returns:
        (..., L).
    """
    if better == "neither":
        return np.zeros(values.shape, dtype=bool)
    signed = np.where(np.isnan(values), -np.inf, values if better == "higher" else -values)
    best = signed.max(axis=-1, keepdims=True)
    size = np.where(np.isfinite(best), np.maximum(1, abs(best)), 0)
    return np.asarray((signed >= best - TOLERANCE * size) & ~np.isnan(values))


def best_index(values: NDArray[np.float64], better: Better) -> int | None:
    """Index of the best of (L,) scores, the first of equally good ones; None where there is none."""
    among = equally_best(values, better)
    return int(among.argmax()) if among.any() else None


def curves(points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the points of one curve after the other: all its splits and steps."""
    for _, curve in points.groupby([*CURVE, "main"], sort=False):
        yield curve


def last_measured(curve: pd.DataFrame) -> int:
    """The last step at which a curve has unseen points."""
    return int(curve.loc[curve["split"] == UNSEEN, "step"].max())


def best(curve: pd.DataFrame, split: str, step: int) -> Row | None:
    """The best point on one split at one step: highest or lowest as the score says, the shallower of equally good ones.

    Returns:
        None where nothing was measured, no value is finite, or neither higher nor lower is better.
    """
    return best_of(curve[(curve["split"] == split) & (curve["step"] == step)])


def best_of(points: pd.DataFrame) -> Row | None:
    """The best of a curve's points on one split at one step, as `best` chooses it."""
    if points.empty:
        return None
    points = points.sort_values("depth")
    index = best_index(points["value"].to_numpy(dtype=float), points.iloc[0]["better"])
    return None if index is None else points.iloc[index]


def at_layer(points: pd.DataFrame, layer: str) -> Row | None:
    """One layer's point among a curve's points on one split at one step, or None."""
    found = points[points["layer"] == layer]
    return None if found.empty else found.iloc[0]


def baseline_at(scores: Scores, curve: pd.DataFrame, split: str, step: int) -> float | None:
    """The raw-pixel baseline of a curve's score; images do not change with training, so any step's value serves."""
    name, rows = curve.iloc[0], scores.baseline
    rows = _of(rows, name, ["dataset", "model", "fold", "metric"])
    rows = rows[rows["split"] == split]
    exact = rows[rows["step"] == step]
    chosen = exact if len(exact) else rows
    return None if chosen.empty else float(chosen.iloc[0]["value"])


def accuracy_at(scores: Scores, point: Row, step: int) -> Row | None:
    """The accuracy at one step of the network, on the fold, that a point is of; None where it was not measured."""
    rows = _of(scores.accuracy, point, ["dataset", "model", "fold"])
    rows = rows[rows["step"] == step]
    return None if rows.empty else rows.iloc[0]


def _of(rows: pd.DataFrame, point: Row, keys: Sequence[str]) -> pd.DataFrame:
    return rows[np.logical_and.reduce([rows[key] == point[key] for key in keys])]


def ranks(curve: pd.DataFrame) -> "pd.Series[float]":
    """Rank a curve's layers by their unseen score at its last step: the best has the highest rank; by layer's name."""
    points = curve[(curve["split"] == UNSEEN) & (curve["step"] == last_measured(curve))].set_index("layer")
    return points["value"].astype(float).rank(ascending=points.iloc[0]["better"] != "lower")


def spearman(x: pd.Series, y: pd.Series) -> float:
    """Spearman's rank correlation of what both hold under the same labels; NaN where one of them is constant."""
    both = pd.concat([x, y], axis=1, join="inner").dropna().rank()
    varied = len(both) > 1 and (both.nunique() > 1).all()
    return float(np.corrcoef(both.to_numpy().T)[0, 1]) if varied else float("nan")


def check_main_score(scores: Scores, main_metric: str) -> None:
    """Refuse a main score that chooses no layer, before any long work.

    Args:
        scores: curves averaged over seeds.
        main_metric: the score that the verdict speaks of.

    Raises:
        UserError: it was not measured, has no finite value on unseen classes, or neither high nor low is better.
    """
    known = sorted(scores.curves["metric"].unique())
    if main_metric not in known:
        raise UserError(
            f"aggregate.main_metric: {main_metric!r} was not measured on any layer: {nearest(main_metric, known)}; "
            "choose one of these, or add it to measure.metrics"
        )
    main = scores.curves[scores.curves["main"] & (scores.curves["metric"] == main_metric)]
    for curve in curves(main):
        point, step = curve.iloc[0], last_measured(curve)
        where = f"aggregate.main_metric: {point['dataset']}, {point['model']}: {main_metric}"
        if point["better"] == "neither":
            raise UserError(f"{where} is neither better high nor better low, so it chooses no layer")
        if best(curve, UNSEEN, step) is None:
            raise UserError(
                f"{where} at step {step} has no finite value at any layer on the split {UNSEEN!r}, so no layer "
                "can be chosen; choose another score, or look at the embeddings"
            )
