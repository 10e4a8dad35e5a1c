"""Metric rows of many cells -> the curves that tables and figures show: a score against depth.

A curve is averaged over seeds, for every fold of unseen classes by itself and (fold `mean`) over all folds.

A curve holds one embedding per depth. A layer has one main pooling, whose rows come first, and may have further ones,
and under `auto` the main pooling may differ from layer to layer, so that curves are put together like this:

- The main curve is every layer under its main pooling. Its name joins the poolings it uses in the order of depth:
  `mean`, or `class_token+mean`. `none` (the layer's output already is a vector) is named only if there is nothing else.
- A further pooling gives a curve of its own name. Where a layer has no embedding of that pooling because its main one
  already is the same (the same pooling, or `none`), the main one stands in; other depths are left out.
- A class token is token 0: beside rows of `token0`, those of `class_token` belong to the curve `token0`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.inference.best import as_good_as
from ..core.inference.refitted import Key
from ..core.scores.description import Score
from ..shared.embeddings.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED
from ..shared.runtime.errors import UserError
from ..shared.tables.metric_table import MEASURE_AGAIN
from ..shared.workflow.csv_table import INTEGER, TEXT
from ..shared.workflow.params import RunParams
from .names import MEAN as MEAN
from .names import Name as Name
from .names import Parts as Parts
from .read import is_head, is_pixels

CURVE = ["dataset", "model", "fold", "pooling", "metric"]
KEYS = [*CURVE, "main"]
"""What names a curve, and what sets a main one apart from a further one."""

POINT = {
    **dict.fromkeys(("dataset", "model", "fold"), TEXT),
    "main": "bool",
    **dict.fromkeys(("pooling", "metric", "split"), TEXT),
    **dict.fromkeys(("step", "depth"), INTEGER),
    "layer": TEXT,
}
"""What names a point of a curve, and its type.

Attributes:
    dataset, model, fold, pooling, metric: the curve; `fold` is a number or `mean`; `pooling` is the pooling of all
        layers, or a list of all poolings of the layers' main embeddings.
    split: `test` (seen classes) or `unseen`.
    layer, depth: the layer; `depth` counts from 0 at the input side.
    value, sd: mean and standard deviation (ddof = 1): over seeds, of `mean` over folds if there are several.
"""

BASELINE = ["dataset", "model", "fold", "metric", "split"]
CHECKPOINT = {"dataset": TEXT, "model": TEXT, "fold": TEXT, "step": INTEGER}
"""What names the baseline of a score, and a network's accuracy."""

ACCURACY = ["accuracy", "accuracy_sd", "accuracy_chance"]
"""What is known of a network's own head at the step of a point."""

Catalogue = Mapping[str, Score]
"""The facts of every score, by name."""


@dataclass(frozen=True)
class Scores:
    """Means over seeds, and over seeds and folds; `uncertainty` adds `UNCERTAINTY`.

    Attributes:
        curves: one row per curve (dataset, model, fold, pooling, metric; `main` marks the main pooling), split, step
            and depth: layer, value, sd, chance, ceiling, parameters, operations, better, embedding (the layer's own
            pooling); pixels (the value of the raw-pixel baseline); and `ACCURACY` (the network's own head on test
            images of seen classes). In the grid's order; each fold, then `MEAN`. `sd` has ddof = 1: over seeds, of
            `MEAN` over folds if there are several; NaN of a single value, as of what was not measured.
        folds: the folds of unseen classes.
        n_seeds: how many seeds every mean is over.
        parts: what the folds are.
        catalogue: the facts of every score, by name, in the order of tables and figures.
    """

    curves: pd.DataFrame
    folds: tuple[str, ...]
    n_seeds: int
    catalogue: Catalogue
    parts: Parts = "folds"

    @cached_property
    def points(self) -> pd.DataFrame:
        """The curves, with `last` and `best` (`mark_points`)."""
        return mark_points(self.curves)

    def at_last(self, *splits: str) -> pd.DataFrame:
        """Points of every curve on these splits, at the last step at which it has unseen points."""
        return self.points[self.points["last"] & self.points["split"].isin(splits)]

    def main_points(
        self, dataset: str, model: str, metric: str, split: str = UNSEEN, folds: Collection[str] = (MEAN,)
    ) -> pd.DataFrame:
        """Points of a main curve, by default means over folds, at every step by depth."""
        points = self.curves[self.curves["main"]]
        for name, value in {"dataset": dataset, "model": model, "metric": metric, "split": split}.items():
            points = points[points[name] == value]
        return points[points["fold"].isin(folds)].sort_values(["step", "depth"])

    def by_fold(
        self, dataset: str, model: str, metric: str, split: str, steps: Sequence[int], depths: Iterable[Any]
    ) -> NDArray[np.float64]:
        """A main curve of every fold at these steps and layers, (J, T, L); NaN where it was not measured."""
        points = self.main_points(dataset, model, metric, split, folds=self.folds)
        table = points.pivot(index="fold", columns=["step", "depth"], values="value")
        wanted = pd.MultiIndex.from_product([steps, depths])
        values = table.reindex(index=self.folds, columns=wanted).to_numpy(dtype=np.float64)
        return values.reshape(len(self.folds), len(steps), -1)

    def on_main_curve(self, rows: pd.DataFrame, end: str = "") -> "pd.Series[bool]":
        """Whether each row's layer (`layer`, `pooling`, `depth`, all with this ending) is on its network's main curve.

        The raw-pixel baseline is; a head is not.
        """
        main = self.curves.loc[self.curves["main"], ["dataset", "model", "layer", "embedding"]]
        own = rows[["dataset", "model", f"layer{end}", f"pooling{end}"]]
        on_curve = pd.MultiIndex.from_frame(own).isin(pd.MultiIndex.from_frame(main))
        return rows[f"depth{end}"].eq(-1).fillna(value=False) | on_curve

    def n_folds(self, fold: str) -> int:
        """Over how many folds the curves of `fold` are means: of `MEAN` all, else one."""
        return len(self.folds) if fold == MEAN else 1


def average(layers: pd.DataFrame, run: RunParams, catalogue: Catalogue) -> Scores:
    """Average every score over the seeds of the grid, and over its folds.

    Args:
        layers: metric rows of all cells (stages.shared.tables.metric_table), of folds that leave classes out.
        run: the grid.
        catalogue: the facts of every score.

    Raises:
        UserError: a cell lacks a row that another one has.
    """
    asked_for = layers.loc[layers["split"].isin([SEEN, UNSEEN]), "metric"].unique()  # matched splits have their own
    splits = [SEEN, UNSEEN, SEEN_MATCHED, UNSEEN_MATCHED]
    layers = layers[layers["split"].isin(splits) & layers["metric"].isin(asked_for)]
    embedded = layers[(layers["depth"] >= 0).fillna(False)]
    groups = [_curves(rows) for _, rows in embedded.groupby(["dataset", "model", "fold"], sort=False)]
    points = _means(pd.concat(groups, ignore_index=True), list(POINT), run, catalogue)
    head = layers[is_head(layers) & (layers["metric"] == "accuracy") & (layers["split"] == SEEN)]
    accuracy = _means(head, list(CHECKPOINT), run, catalogue)[[*CHECKPOINT, "value", "sd", "chance"]]
    points = points.merge(accuracy.set_axis([*CHECKPOINT, *ACCURACY], axis=1), how="left")
    pixels = _means(layers[is_pixels(layers)], [*BASELINE, "step"], run, catalogue)[[*BASELINE, "step", "value"]]
    pixels = pixels.rename(columns={"value": "pixels"})
    first = points[BASELINE].merge(pixels.drop_duplicates(BASELINE), how="left")["pixels"]
    points = points.merge(pixels, how="left")
    points["pixels"] = points["pixels"].fillna(first)  # images do not change with training, so any step's value serves
    return Scores(curves=points, folds=tuple(run.numbered), n_seeds=len(run.seeds), catalogue=catalogue)


def _curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Arrange one network's rows by curve: `pooling` becomes the curve's name, `main` marks the main one."""
    rows = rows.assign(embedding=rows["pooling"])
    first = rows.groupby("depth")["pooling"].transform("first")
    further = rows["layer"].str.contains("@", regex=False) | (rows["pooling"] != first)
    main, others = rows[~further], rows[further]
    poolings = list(dict.fromkeys(main.sort_values("depth")["pooling"]))
    main_name = "+".join([name for name in poolings if name != "none"] or poolings)
    curves = [main.assign(pooling=main_name, main=True)]
    names = list(others["pooling"].unique())
    for name in (n for n in names if n != "class_token" or "token0" not in names):
        poolings = ["token0", "class_token"] if name == "token0" else [name]
        own = others[others["pooling"].isin(poolings)]
        same = main["pooling"].isin([*poolings, "none"]) & ~main["depth"].isin(own["depth"])
        curves.append(pd.concat([own, main[same]]).assign(pooling=name, main=False))
    return pd.concat(curves, ignore_index=True)


def _means(rows: pd.DataFrame, keys: Sequence[str], run: RunParams, catalogue: Catalogue) -> pd.DataFrame:
    """Average over seeds, then over folds; the folds' means come first."""
    of_folds = _mean(rows, keys, "seed", len(run.seeds))
    over_folds = _mean(of_folds.assign(one=of_folds["fold"], fold=MEAN), keys, "one", len(run.numbered))
    if len(run.numbered) == 1:
        over_folds["sd"] = of_folds["sd"].to_numpy()
    means = pd.concat([of_folds, over_folds], ignore_index=True).drop(columns="one", errors="ignore")
    order: dict[Any, Sequence[Any]] = {
        "dataset": run.datasets,
        "model": run.models,
        "fold": [*run.numbered, MEAN],
        "metric": list(catalogue),
        "main": [True, False],
    }
    means = means.sort_values(
        list(keys), key=lambda column: pd.Categorical(column, order.get(column.name)), ignore_index=True
    )
    return means.astype(dict.fromkeys(means.select_dtypes("str").columns, object))  # which slices much faster


def _mean(rows: pd.DataFrame, keys: Sequence[str], over: str, count: int) -> pd.DataFrame:
    """Average over one further key, of which every group must have `count` values."""
    groups = rows.groupby(list(keys), sort=False)
    means = groups.agg(
        value=("value", lambda values: values.mean(skipna=False)),
        sd=("value", lambda values: values.std(skipna=False)),
        n=(over, "nunique"),
        chance=("chance", "mean"),
        ceiling=("ceiling", "mean"),
        parameters=("parameters", "max"),
        operations=("operations", "max"),
        better=("better", "first"),
        embedding=("embedding" if "embedding" in rows else "pooling", "first"),
    ).reset_index()
    short = means[means["n"] != count]
    if len(short):
        what = "seed" if over == "seed" else "fold"
        where = ", ".join(f"{key} {short.iloc[0][key]}" for key in keys if key not in ("main", over))
        raise UserError(
            f"every {what} must have been measured alike, but {where} is there for {short.iloc[0]['n']} of {count} "
            f"{what}s; {MEASURE_AGAIN}"
        )
    return means


def point_keys(points: pd.DataFrame) -> list[Key]:
    """The embeddings that a curve's points stand for."""
    return list(zip(points["layer"], points["embedding"], strict=True))


def each_curve(points: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Take points apart by curve, in their order, each with its values of `CURVE`."""
    for (*key, _), own in points.groupby(KEYS, sort=False):
        yield tuple(map(str, key)), own


def mark_points(points: pd.DataFrame) -> pd.DataFrame:
    """Add to points of curves, by depth, which of them tables and figures show.

    Returns:
        The points with `last` (at the last step at which their curve has unseen points) and `best` (the best of their
        curve at their split and step: highest or lowest as the score says, of equally good ones the first; none where
        no value is finite, or neither higher nor lower is better).
    """
    curve, row = ([points[name] for name in names] for names in (KEYS, [*KEYS, "split", "step"]))
    last = points["step"].where(points["split"] == UNSEEN).groupby(curve).transform("max")
    gains = points["value"] * points["better"].map({"higher": 1.0, "lower": -1.0}).astype(float)
    among = gains >= as_good_as(gains.groupby(row).transform("max"))
    best = among & (among.groupby(row).cumsum() == 1)
    return points.assign(last=points["step"] == last, best=best)
