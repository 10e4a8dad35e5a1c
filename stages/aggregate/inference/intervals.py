"""What inference says of every curve: intervals of its points, which layers tie with the best, and the lead."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.columns import stack
from stages.aggregate.curves import COMPARISONS, INTERVALS, MEAN, POINT, Scores
from stages.aggregate.inference.contrasts import Inference
from stages.aggregate.inference.layer_comparison import (
    Direction,
    best_against,
    cross_fitted_lead,
    cross_fitted_lead_on_halves,
    layer_estimates,
    ties,
)
from stages.aggregate.inference.refits import Key, Replicates, arrange, over_classes, over_images, unseen_rows
from stages.aggregate.metric_info import metric_info
from stages.aggregate.points import curves, last_measured
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.settings.params import RunParams

STATED = {name: dtype for name, dtype in (INTERVALS | COMPARISONS).items() if name.startswith(("ci_", "tied_", "lead"))}
"""Columns that are stated here."""


@dataclass(frozen=True)
class NetworkReplicates:
    """Scores of one network on one dataset, with those fitted again.

    Attributes:
        layers: its metric rows, of all folds and seeds.
        refits: its rows fitted again.
        run: the grid.
    """

    layers: pd.DataFrame
    refits: pd.DataFrame
    run: RunParams

    def at(self, metric: str, step: int) -> Replicates | None:
        """Arrange one score at one step, of every embedding with the raw pixels; None where a value is missing."""
        rows, refits = (unseen_rows(table, metric, step) for table in (self.layers, self.refits))
        over_folds = metric_info(metric).over_folds
        return arrange(rows, refits, self.run.numbered, self.run.seeds, over_folds=over_folds)


def split_networks(
    layers: pd.DataFrame, refits: pd.DataFrame, run: RunParams
) -> dict[tuple[str, str], NetworkReplicates]:
    """Take the tables of all cells apart by dataset and model."""
    keys = ["dataset", "model"]
    of = dict(list(refits.groupby(keys, sort=False)))
    return {
        name: NetworkReplicates(own, of.get(name, refits.head(0)), run)  # type: ignore[misc]
        for name, own in layers.groupby(keys, sort=False)
    }


def state(scores: Scores, networks: dict[tuple[str, str], NetworkReplicates]) -> pd.DataFrame:
    """Say how sure the unseen points of every curve at its last step are.

    Returns:
        Columns of `POINT` and `STATED`; no row where nothing can be said.
    """
    arranged: dict[tuple[str, str, str, int], Replicates | None] = {}
    tables = []
    for curve in curves(scores.curves):
        first, step = curve.iloc[0], last_measured(curve)
        key = (str(first["dataset"]), str(first["model"]), str(first["metric"]), step)
        if key not in arranged:
            arranged[key] = networks[key[:2]].at(*key[2:])
        replicates = arranged[key]
        if replicates is not None:
            points = curve[(curve["split"] == UNSEEN) & (curve["step"] == step)].sort_values("depth")
            tables.append(_stated(points, _of_curve(points, replicates, scores.folds)))
    return stack(tables, POINT | STATED)


def point_keys(points: pd.DataFrame) -> list[Key]:
    """The embeddings that a curve's points stand for."""
    return [(str(layer), str(own)) for layer, own in zip(points["layer"], points["embedding"], strict=True)]


def _of_curve(points: pd.DataFrame, replicates: Replicates, folds: tuple[str, ...]) -> Replicates:
    fold = points.iloc[0]["fold"]
    own = replicates if fold == MEAN else replicates.of_fold(folds.index(fold))
    return own.take(point_keys(points))


def _stated(points: pd.DataFrame, replicates: Replicates) -> pd.DataFrame:
    """Make both scopes' statements about one curve."""
    first = points.iloc[0]
    columns: dict[str, Any] = {}
    for scope, inference in (("classes", over_classes(replicates)), ("images", over_images(replicates))):
        if inference is not None:
            columns |= dict(_of_scope(inference, scope, str(first["metric"]), first["better"]))
    if first["better"] != "neither" and len(points) > 1:
        columns |= {"lead": _lead(replicates, first["better"])}
    return points[list(POINT)].assign(**columns)


def _of_scope(inference: Inference, scope: str, metric: str, better: str) -> Iterator[tuple[str, Any]]:
    info, estimates = metric_info(metric), layer_estimates(inference)
    if estimates is not None:
        bounds = np.array([estimate.interval() for estimate in estimates])
        low, high = np.clip(bounds, info.low, info.high).T
        yield f"ci_{scope}_low", low
        yield f"ci_{scope}_high", high
    if better == "neither" or len(inference.mean) < 2:
        return
    direction: Direction = "lower" if better == "lower" else "higher"
    yield f"tied_{scope}", ties(inference, better=direction)
    lead = best_against(inference, better=direction)
    if lead is not None:
        yield f"lead_{scope}_at_least", lead.low
        yield f"lead_{scope}_at_most", lead.high


def _lead(replicates: Replicates, better: Direction) -> float:
    """Cross-fitted lead over the last layer: over folds, of a single fold over halves; NaN without either."""
    if replicates.folds > 1:
        return cross_fitted_lead(replicates.values.mean(axis=1), better=better)[0]
    if replicates.halves is None:
        return float("nan")
    return cross_fitted_lead_on_halves(replicates.halves[0].mean(axis=0), better=better)[0]
