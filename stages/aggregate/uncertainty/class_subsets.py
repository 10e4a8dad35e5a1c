"""Other unseen classes: how far scores range, and whether the best layer stays, over subsets of the unseen classes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from stages.aggregate.contributions import Images, Key
from stages.aggregate.curves import CURVE, TIE, Scores, best_index, last_rows
from stages.aggregate.uncertainty.scorers import OOD_SCORES, build_scorer
from stages.shared.metric_table import split_classes
from stages.shared.split_names import SEEN, UNSEEN

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


def detection_subsets(
    layers: pd.DataFrame, images: Images, seeds: Sequence[int], subsets: pd.DataFrame
) -> pd.DataFrame:
    """Score detection on the subsets that other scores were measured on: an image's distance is the same on each.

    Args:
        layers: metric rows of one dataset and model.
        images: what its networks made of its images, by seed.
        seeds: of the blocks of `images`.
        subsets: scores on subsets of the unseen classes, of all cells.

    Returns:
        Further rows of `subsets`, all classes (`left_out` empty) among them.
    """
    rows = last_rows(layers)
    rows = rows[rows["metric"].isin(OOD_SCORES) & (rows["split"] == UNSEEN)]
    own = subsets[(subsets["dataset"] == layers.iloc[0]["dataset"]) & (subsets["model"] == layers.iloc[0]["model"])]
    which = own[["left_out", "n_classes"]].drop_duplicates().reset_index(drop=True)
    tables = [subsets.head(0)]
    for metric, scored in rows.groupby("metric", sort=False) if len(which) else ():
        places = scored.drop_duplicates(["layer", "pooling"])
        keys: list[Key] = list(zip(places["layer"], places["pooling"], strict=True))
        scorer = build_scorer(images, str(metric), int(places.iloc[0]["step"]), UNSEEN, keys)
        if scorer is None:
            continue
        kept = [~np.isin(images.labels[UNSEEN], split_classes(left_out)) for left_out in which["left_out"]]
        seen = np.ones((len(kept), len(images.labels[SEEN])), np.float32)
        values = scorer.per_seed(np.concatenate([seen, np.asarray(kept, np.float32)], axis=1))  # (subsets, S, L)
        tables += [
            places.assign(seed=seed, **of_subset, value=scores)[list(subsets.columns)]
            for of_subset, by_seed in zip(which.to_dict("records"), values, strict=True)
            for seed, scores in zip(seeds, by_seed, strict=True)
        ]
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _ranged(rows: pd.DataFrame, subsets: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Put the least and the greatest value of the rows' keys beside the rows of the unseen split."""
    bounds = subsets.groupby(keys)["value"].agg(["min", "max"])
    found = rows[keys].join(bounds, on=keys)
    unseen = rows["split"] == UNSEEN
    low, high = RANGE
    return rows.assign(**{low: found["min"].where(unseen), high: found["max"].where(unseen)})


def _agreed(curves: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Say for every curve in which share of the subsets no layer is better than its best layer."""
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
            signed = values if better == "higher" else -values  # (layers, subsets)
            shares[points.index] = np.mean(signed[best] >= np.nanmax(signed, axis=0) - TIE)
    return curves.assign(subset_agreement=shares)
