"""Other unseen classes: how far scores range, and whether the best layer stays, over subsets of the unseen classes."""

from dataclasses import replace

import numpy as np
import pandas as pd

from stages.aggregate.scores import CURVE, UNSEEN, Scores, best_index

RANGE = ["range_classes_low", "range_classes_high"]
WHERE = ["dataset", "model", "metric", "step", "layer"]
"""What names an embedding's score in the table of subsets, beside the seed and the embedding's pooling."""


def add_ranges(layers: pd.DataFrame, scores: Scores, subsets: pd.DataFrame) -> tuple[pd.DataFrame, Scores]:
    """Fill `RANGE` of the metric rows and of the curves, and the curves' `subset_agreement`.

    Args:
        layers: metric rows of all cells.
        scores: their means over seeds.
        subsets: scores on subsets of the unseen classes, all classes (`left_out` empty) among them.

    Returns:
        Both, filled where there are subsets. A curve ranges over the means over seeds.
    """
    proper = subsets[(subsets["left_out"] != "") & (subsets["split"] == UNSEEN)]
    if proper.empty:
        return layers, scores
    keys = [*WHERE, "seed", "pooling"]
    layers = _ranged(layers, proper, keys)
    means = proper.groupby([*WHERE, "pooling", "left_out"])["value"].mean().reset_index()
    means = means.rename(columns={"pooling": "embedding"})
    keys = [*WHERE, "embedding"]
    curves = _ranged(scores.curves, means, keys)
    return layers, replace(scores, curves=_agreed(curves, means))


def _ranged(rows: pd.DataFrame, subsets: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Put the least and the greatest value of the rows' keys beside the rows of the unseen split."""
    bounds = subsets.groupby(keys)["value"].agg(["min", "max"])
    found = rows[keys].join(bounds, on=keys)
    unseen = rows["split"] == UNSEEN
    low, high = RANGE
    return rows.assign(**{low: found["min"].where(unseen), high: found["max"].where(unseen)})


def _agreed(curves: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Say for every curve in which share of the subsets its best layer is the best one."""
    keys = [*WHERE, "embedding"]
    unseen = curves[(curves["split"] == UNSEEN) & (curves["better"] != "neither")].sort_values("depth")
    table = means.set_index([*keys, "left_out"])["value"].unstack()
    by_subset = table.reindex(pd.MultiIndex.from_frame(unseen[keys])).set_axis(unseen.index)
    shares = curves["subset_agreement"].copy()
    for _, points in unseen.groupby([*CURVE, "main", "step"], sort=False):
        better = points.iloc[0]["better"]
        best = best_index(points["value"].to_numpy(dtype=float), better)
        values = by_subset.loc[points.index].dropna(axis=1, how="all").to_numpy(dtype=float)
        if best is not None and values.size:
            chosen = [best_index(column, better) for column in values.T]
            shares[points.index] = np.mean([layer == best for layer in chosen])
    return curves.assign(subset_agreement=shares)
