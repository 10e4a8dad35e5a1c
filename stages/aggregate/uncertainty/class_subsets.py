"""Fewer of the unseen classes: how far scores range, and whether the best layer stays."""

import pandas as pd

from stages.aggregate.curves import COMPARISONS, CURVE, MEAN, POINT
from stages.aggregate.inputs import CELL
from stages.aggregate.points import best_index, equally_best
from stages.aggregate.tables.columns import stack
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.files.csv_table import FLOAT
from stages.shared.tables.metric_table import ANALYSIS_TABLES

SUBSET_COLUMNS = CELL | ANALYSIS_TABLES["class_subsets"] | {"minus_last": FLOAT}
"""Columns of class_subsets.csv.

Attributes:
    minus_last: the value less that of the last layer on the same subset.
"""

EMBEDDING = ["dataset", "model", "fold", "metric", "step", "split", "layer", "pooling"]
RANGE = dict.fromkeys(("range_classes_low", "range_classes_high"), FLOAT)


def with_lead(subsets: pd.DataFrame) -> pd.DataFrame:
    """Put beside every subset's score by how much it exceeds that of the last layer, of the layer's main pooling.

    Returns:
        `SUBSET_COLUMNS`.
    """
    if subsets.empty:
        return stack([], SUBSET_COLUMNS)
    keys = [*CELL, "step", "split", "metric", "left_out"]
    last = subsets[subsets["depth"] == subsets.groupby(keys)["depth"].transform("max")].drop_duplicates(keys)
    beside = subsets.merge(last[[*keys, "value"]].rename(columns={"value": "last"}), on=keys, how="left")
    return stack([beside.assign(minus_last=beside["value"] - beside["last"])], SUBSET_COLUMNS)


def add_ranges(curves: pd.DataFrame, subsets: pd.DataFrame) -> pd.DataFrame:
    """Say of every curve's unseen points how far the score ranges over subsets, and how often its best layer is best.

    Args:
        curves: means over seeds on all classes; of `MEAN` the subsets of all folds count.
        subsets: of all cells.

    Returns:
        Columns of `POINT`, `RANGE` and subset_agreement; a row for each point that has subsets.
    """
    proper = subsets[(subsets["left_out"] != "") & (subsets["split"] == UNSEEN)]
    means = proper.groupby([*EMBEDDING, "left_out"], sort=False)["value"].mean().reset_index()
    unseen = curves[curves["split"] == UNSEEN].sort_values("depth")
    found = []
    for _, points in unseen.groupby([*CURVE, "main", "step"], sort=False):
        values = _of_points(points, means)
        if values.size:
            found.append(_ranges(points, values))
    return stack(found, POINT | RANGE | {"subset_agreement": COMPARISONS["subset_agreement"]})


def _of_points(points: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Values of one curve's points, a row for each, in every subset, a column for each."""
    first = points.iloc[0]
    own = means[(means["dataset"] == first["dataset"]) & (means["model"] == first["model"])]
    own = own[(own["metric"] == first["metric"]) & (own["step"] == first["step"])]
    own = own if first["fold"] == MEAN else own[own["fold"] == first["fold"]]
    table = own.pivot(index=["layer", "pooling"], columns=["fold", "left_out"], values="value")
    places = pd.MultiIndex.from_arrays([points["layer"], points["embedding"]])
    found: pd.DataFrame = table.reindex(places).dropna(axis=1, how="all")
    return found


def _ranges(points: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    low, high = values.min(axis=1).to_numpy(), values.max(axis=1).to_numpy()
    better = points.iloc[0]["better"]
    best = best_index(points["value"].to_numpy(dtype=float), better)
    agreement = float("nan") if best is None else equally_best(values.to_numpy(dtype=float).T, better)[:, best].mean()
    return points[list(POINT)].assign(range_classes_low=low, range_classes_high=high, subset_agreement=agreement)
