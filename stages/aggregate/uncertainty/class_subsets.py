"""Other unseen classes: how far scores range, and whether the best layer stays, over subsets of the unseen classes."""

import numpy as np
import pandas as pd

from stages.aggregate.contributions import Contributions, Key
from stages.aggregate.curves import COMPARISONS, CURVE, EMBEDDING, POINT, last_rows
from stages.aggregate.inputs import CELL
from stages.aggregate.metric_info import Distances, metric_info
from stages.aggregate.points import best_index, equally_best
from stages.aggregate.tables.columns import stack
from stages.aggregate.uncertainty.scorers import build_scorer
from stages.shared.metric_table import ANALYSIS_TABLES, split_classes
from stages.shared.split_names import SEEN, UNSEEN

SUBSET_COLUMNS = CELL | ANALYSIS_TABLES["class_subsets"]
"""Of class_subsets.csv."""


def proper_subsets(subsets: pd.DataFrame) -> pd.DataFrame:
    """The rows that leave some unseen class out."""
    return subsets[(subsets["left_out"] != "") & (subsets["split"] == UNSEEN)]


def mean_subsets(subsets: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of proper subsets: `EMBEDDING`, left_out, value."""
    return subsets.groupby([*EMBEDDING, "left_out"], sort=False)["value"].mean().reset_index()


def class_ranges(subsets: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Least and greatest value over proper subsets: the keys, range_classes_low, range_classes_high."""
    bounds = subsets.groupby(keys, sort=False)["value"].agg(["min", "max"])
    return bounds.set_axis(["range_classes_low", "range_classes_high"], axis=1).reset_index()


def subset_agreement(curves: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Say for every curve in which share of the subsets no layer is better than its best layer.

    Args:
        curves: means over seeds on all classes.
        means: `mean_subsets`.

    Returns:
        `POINT`, subset_agreement: a row for each of a curve's unseen points, where there are subsets.
    """
    unseen = curves[(curves["split"] == UNSEEN) & (curves["better"] != "neither")].sort_values("depth")
    table = means.set_index([*EMBEDDING, "left_out"])["value"].unstack()
    places = unseen.assign(pooling=unseen["embedding"])[list(EMBEDDING)]
    by_subset = table.reindex(pd.MultiIndex.from_frame(places)).set_axis(unseen.index)
    found = []
    for _, points in unseen.groupby([*CURVE, "main", "step"], sort=False):
        better = points.iloc[0]["better"]
        best = best_index(points["value"].to_numpy(dtype=float), better)
        values = by_subset.loc[points.index].dropna(axis=1, how="all").to_numpy(dtype=float)  # (layers, subsets)
        if best is not None and values.size:
            found.append(points[list(POINT)].assign(subset_agreement=equally_best(values.T, better)[:, best].mean()))
    return stack(found, POINT | {"subset_agreement": COMPARISONS["subset_agreement"]})


def detection_subsets(layers: pd.DataFrame, contributions: Contributions, subsets: pd.DataFrame) -> pd.DataFrame:
    """Score detection on the subsets that other scores were measured on: an image's distance is the same on each.

    Args:
        layers: metric rows of one dataset and model.
        contributions: of its images.
        subsets: scores on subsets of the unseen classes, of all cells.

    Returns:
        Rows of `SUBSET_COLUMNS`, all classes (`left_out` empty) among them.
    """
    rows = last_rows(layers)
    detection = [metric for metric in rows["metric"].unique() if isinstance(metric_info(metric).resampled, Distances)]
    rows = rows[rows["metric"].isin(detection) & (rows["split"] == UNSEEN)]
    own = subsets[(subsets["dataset"] == layers.iloc[0]["dataset"]) & (subsets["model"] == layers.iloc[0]["model"])]
    which = own[["left_out", "n_classes"]].drop_duplicates().reset_index(drop=True)
    tables = []
    for metric, scored in rows.groupby("metric", sort=False) if len(which) else ():
        places = scored.drop_duplicates(["layer", "pooling"])
        keys: list[Key] = list(zip(places["layer"], places["pooling"], strict=True))
        scorer = build_scorer(contributions, str(metric), int(places.iloc[0]["step"]), UNSEEN, keys)
        if scorer is None:
            continue
        kept = [~np.isin(contributions.labels[UNSEEN], split_classes(left_out)) for left_out in which["left_out"]]
        seen = np.ones((len(kept), len(contributions.labels[SEEN])), np.float32)
        values = scorer.per_seed(np.concatenate([seen, np.asarray(kept, np.float32)], axis=1))  # (subsets, S, L)
        tables += [
            places.assign(seed=seed, **of_subset, value=scores)
            for of_subset, by_seed in zip(which.to_dict("records"), values, strict=True)
            for seed, scores in zip(contributions.seeds, by_seed, strict=True)
        ]
    return stack(tables, SUBSET_COLUMNS)
