"""Curves of averaged scores, and single points of them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stages.aggregate.curves import CURVE, Scores, best_index
from stages.shared.split_names import UNSEEN

Row = pd.Series
"""One point of a curve."""


def curves(points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the points of one curve after the other: all splits and steps of a dataset, model, pooling and metric."""
    for _, curve in points.groupby([*CURVE, "main"], sort=False):
        yield curve


def last_measured(curve: pd.DataFrame) -> int:
    """The last step at which a curve has unseen points."""
    return int(curve.loc[curve["split"] == UNSEEN, "step"].max())


def best(curve: pd.DataFrame, split: str, step: int) -> Row | None:
    """The best point on one split at one step: highest or lowest as the score says, the shallower of equal ones.

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
    rows = rows[(rows["dataset"] == name["dataset"]) & (rows["model"] == name["model"])]
    rows = rows[(rows["metric"] == name["metric"]) & (rows["split"] == split)]
    exact = rows[rows["step"] == step]
    chosen = exact if len(exact) else rows
    return None if chosen.empty else float(chosen.iloc[0]["value"])


def accuracy_at(scores: Scores, dataset: str, model: str, step: int) -> Row | None:
    """The network's own accuracy at one step, or None where it was not measured."""
    rows = scores.accuracy
    rows = rows[(rows["dataset"] == dataset) & (rows["model"] == model) & (rows["step"] == step)]
    return None if rows.empty else rows.iloc[0]


def ranks(curve: pd.DataFrame) -> "pd.Series[float]":
    """Rank a curve's layers by their unseen score at its last step: the best has the highest rank; by layer's name."""
    points = curve[(curve["split"] == UNSEEN) & (curve["step"] == last_measured(curve))].set_index("layer")
    return points["value"].astype(float).rank(ascending=points.iloc[0]["better"] != "lower")


def spearman(x: pd.Series, y: pd.Series) -> float:
    """Spearman's rank correlation of what both hold under the same labels; NaN where one of them is constant."""
    both = pd.concat([x, y], axis=1, join="inner").dropna().rank()
    varied = len(both) > 1 and (both.nunique() > 1).all()
    return float(np.corrcoef(both.to_numpy().T)[0, 1]) if varied else float("nan")
