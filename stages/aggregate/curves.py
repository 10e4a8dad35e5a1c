"""Metric rows of many cells -> the curves that tables and figures show: a score against depth, averaged over folds
and seeds.

A curve holds one embedding per depth. A layer has one main pooling, whose rows come first, and may have further ones,
and under `auto` the main pooling may differ from layer to layer, so that curves are put together like this:

- The main curve is every layer under its main pooling. Its name joins the poolings it uses in the order of depth:
  `mean`, or `class_token+mean`. `none` (the layer's output already is a vector) is named only if there is nothing else.
- A further pooling gives a curve of its own name. Where a layer has no embedding of that pooling because its main one
  already is the same (the same pooling, or `none`), the main one stands in; other depths are left out.
- A class token is token 0: beside rows of `token0`, those of `class_token` belong to the curve `token0`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stages.aggregate.metric_info import metric_rank
from stages.shared.console import UserError
from stages.shared.csv_table import FLOAT, INTEGER, TEXT
from stages.shared.metric_table import HEAD, MEASURE_AGAIN
from stages.shared.params import RunParams
from stages.shared.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED

CURVE = ["dataset", "model", "pooling", "metric"]
POINT = {
    "dataset": TEXT,
    "model": TEXT,
    "main": "bool",
    "pooling": TEXT,
    "metric": TEXT,
    "split": TEXT,
    "step": INTEGER,
    "depth": INTEGER,
    "layer": TEXT,
}
"""What names a point of a curve, and its type."""

EMBEDDING = {
    "dataset": TEXT,
    "model": TEXT,
    "metric": TEXT,
    "step": INTEGER,
    "split": TEXT,
    "layer": TEXT,
    "pooling": TEXT,
}
"""What names a score of one embedding, whichever curves it stands on, and its type."""

INTERVALS = {
    "ci_images_low": FLOAT,
    "ci_images_high": FLOAT,
    "range_classes_low": FLOAT,
    "range_classes_high": FLOAT,
}
COMPARISONS = {
    "selection_frequency": FLOAT,
    "in_best_set": "boolean",
    "lead": FLOAT,
    "lead_low": FLOAT,
    "lead_high": FLOAT,
    "subset_agreement": FLOAT,
}
UNCERTAINTY = INTERVALS | COMPARISONS
"""How sure a point at its last step is (docs/results.md). From `lead` on it is the whole curve's, repeated at each of
its unseen points."""


@dataclass(frozen=True)
class Scores:
    """Means over folds and seeds; `UNCERTAINTY` stands beside them once `uncertainty.annotate.add_uncertainty` adds it.

    Attributes:
        curves: one row per curve (dataset, model, pooling, metric; `main` marks the main pooling), split, step and
            depth: layer, value, sd (over folds and seeds, ddof = 1; NaN for one), chance, ceiling, start_sd,
            parameters, better, embedding (the layer's own pooling). In the grid's order.
        baseline: the same for the raw-pixel baseline: dataset, model, metric, split, step, value.
        accuracy: the network's own head on test images of seen classes: dataset, model, step, value, sd.
        n_seeds: how many runs, folds times seeds, every mean is over.
    """

    curves: pd.DataFrame
    baseline: pd.DataFrame
    accuracy: pd.DataFrame
    n_seeds: int


def average(layers: pd.DataFrame, run: RunParams) -> Scores:
    """Average every score over the folds and seeds of the grid.

    Args:
        layers: metric rows of all cells but those of fold `all` (stages.shared.metric_table). Where they do not say
            `better`, it is the higher.
        run: the grid.

    Raises:
        UserError: a fold or seed lacks a row that another one has, or a score was not measured on unseen classes.
    """
    layers = layers if "better" in layers else layers.assign(better="higher")
    asked_for = layers.loc[layers["split"].isin([SEEN, UNSEEN]), "metric"].unique()  # matched splits have their own
    layers = layers[layers["split"].isin([SEEN, UNSEEN, SEEN_MATCHED, UNSEEN_MATCHED])]
    layers = layers[layers["metric"].isin(asked_for)]
    embedded = layers[(layers["depth"] >= 0).fillna(False)]  # a tap may be named like HEAD: only its depth tells
    _check_unseen(embedded)
    groups = [_curves(rows) for _, rows in embedded.groupby(["dataset", "model"], sort=False)]
    head = layers[
        (layers["layer"] == HEAD)
        & layers["depth"].isna()
        & (layers["metric"] == "accuracy")
        & (layers["split"] == SEEN)
    ]
    pixels = layers[(layers["depth"] == -1).fillna(False)]
    return Scores(
        curves=_means(pd.concat(groups, ignore_index=True), list(POINT), run),
        baseline=_means(pixels, ["dataset", "model", "metric", "split", "step"], run),
        accuracy=_means(head, ["dataset", "model", "step"], run),
        n_seeds=len(run.numbered) * len(run.seeds),
    )


def last_rows(layers: pd.DataFrame) -> pd.DataFrame:
    """Rows of the seen and the unseen split at the last step at which their score was measured there.

    Analyses of the last checkpoint may have scored other splits later than that.

    Args:
        layers: metric rows of one dataset and model.
    """
    rows = layers[layers["split"].isin([SEEN, UNSEEN])]
    return rows[rows["step"] == rows.groupby("metric")["step"].transform("max")]


def _check_unseen(embedded: pd.DataFrame) -> None:
    if embedded.empty:
        raise UserError("no layer was scored; measure.metrics must list a score of embeddings, for example nmi")
    for (dataset, model, metric), rows in embedded.groupby(["dataset", "model", "metric"], sort=False):
        if not (rows["split"] == UNSEEN).any():
            raise UserError(
                f"{dataset}, {model}: {metric} was not measured on unseen classes, found it on "
                f"{', '.join(rows['split'].unique())}; embed.splits must list {UNSEEN!r}"
            )


def _curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Arrange one network's rows by curve: `pooling` becomes the curve's name, `main` marks the main one."""
    rows = rows.assign(embedding=rows["pooling"])
    first = rows.groupby("depth")["pooling"].transform("first")
    further = rows["layer"].str.contains("@", regex=False) | (rows["pooling"] != first)
    main, others = rows[~further], rows[further]
    curves = [main.assign(pooling=_main_name(main), main=True)]
    names = list(others["pooling"].unique())
    for name in (n for n in names if n != "class_token" or "token0" not in names):
        poolings = ["token0", "class_token"] if name == "token0" else [name]
        own = others[others["pooling"].isin(poolings)]
        same = main["pooling"].isin([*poolings, "none"]) & ~main["depth"].isin(own["depth"])
        curves.append(pd.concat([own, main[same]]).assign(pooling=name, main=False))
    return pd.concat(curves, ignore_index=True)


def _main_name(main: pd.DataFrame) -> str:
    poolings = list(dict.fromkeys(main.sort_values("depth")["pooling"]))
    return "+".join([p for p in poolings if p != "none"] or poolings)


def _means(rows: pd.DataFrame, keys: Sequence[str], run: RunParams) -> pd.DataFrame:
    rows = rows.assign(run=rows["fold"] + "/" + rows["seed"].astype(str))
    groups, runs = rows.groupby(list(keys), sort=False), len(run.numbered) * len(run.seeds)
    means = groups.agg(
        value=("value", lambda values: values.mean(skipna=False)),
        sd=("value", lambda values: values.std(skipna=False)),
        n=("run", "nunique"),
        chance=("chance", "mean"),
        ceiling=("ceiling", "mean"),
        start_sd=("start_sd", "mean"),
        parameters=("parameters", "max"),
        better=("better", "first"),
        embedding=("embedding" if "embedding" in rows else "pooling", "first"),
    ).reset_index()
    short = means[means["n"] != runs]
    if len(short):
        where = ", ".join(f"{key} {short.iloc[0][key]}" for key in keys if key != "main")
        raise UserError(
            f"every fold and seed must have been measured alike, but {where} is there for {short.iloc[0]['n']} "
            f"of {runs}; {MEASURE_AGAIN}"
        )
    return means.sort_values(list(keys), key=lambda column: _order(column, run), ignore_index=True)


def _order(column: Any, run: RunParams) -> Any:
    order = {"dataset": run.datasets, "model": run.models, "metric": sorted(column.unique(), key=metric_rank)}
    if column.name in order:
        return column.map({name: i for i, name in enumerate(order[column.name])})
    return ~column if column.name == "main" else column
