"""How sure every score at its last step is: intervals of every layer, which layers tie with the best, and the lead."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.aggregate.columns import stack
from stages.aggregate.curves import COLUMNS_OF, MEAN, POINT, UNCERTAINTY, Scores, curves
from stages.aggregate.inference.accuracy import PLACE, accuracy_intervals
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.inference.layer_comparison import (
    Bounds,
    Direction,
    best_against,
    best_score,
    layer_estimates,
    losses_at_most,
    ties,
)
from stages.aggregate.inference.network_data import Name, NetworkData
from stages.aggregate.inference.power import Power, power_of
from stages.aggregate.inference.refits import Key, Refits, infer, unseen_rows
from stages.aggregate.scope import Scope, is_proven
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.tables.scores import Better


@dataclass(frozen=True)
class LayerInference:
    """How sure the scores of L layers are in one scope; None where that is not known.

    Attributes:
        low, high: (L,) ends of the layers' intervals, each to be read alone, within the score's limits; NaN of a layer
            that never varied.
        best: score of the layer that looks best, whose interval knows that it was chosen, within the limits as well.
        tied: (L,) whether each is not distinguishable from the best.
        lead: of the best earlier layer over the last.
    """

    low: Float64 | None
    high: Float64 | None
    best: Bounds | None = None
    tied: NDArray[np.bool_] | None = None
    lead: Bounds | None = None


def infer_layers(refits: Refits, better: Better) -> dict[Scope, LayerInference]:
    """Infer how sure the scores of layers at one step are, in every scope that is known, the wider one first.

    Args:
        refits: of the layers, by depth.
        better: which values are better; of `neither` no layer is the best.
    """
    score, layers = refits.score, {}
    for scope, inference in infer(refits).items():
        estimates, low, high = layer_estimates(inference), None, None
        if estimates is not None:
            bounds = [(np.nan, np.nan) if each is None else each.interval() for each in estimates]
            low, high = np.clip(bounds, score.low, score.high).T
        if better == "neither" or len(refits.keys) < 2:
            layers[scope] = LayerInference(low, high)
            continue
        best = best_score(inference, better=better)
        layers[scope] = LayerInference(
            low,
            high,
            best=best and Bounds(*np.clip((best.low, best.high, best.value), score.low, score.high).tolist()),
            tied=ties(inference, better=better),
            lead=best_against(inference, better=better),
        )
    return layers


def losses_of_candidates(steps: Sequence[Refits], better: Direction) -> dict[Scope, Float64]:
    """Bound what every layer of every checkpoint may lose to the truly best of all of them, in every scope known.

    Args:
        steps: the same L layers at T checkpoints; step 0 may be one.
        better: which values are better.

    Returns:
        (T, L) bounds, which hold all at once.
    """
    return {
        scope: losses_at_most(inference, better=better).reshape(len(steps), -1)
        for scope, inference in infer(*steps).items()
    }


def add_uncertainty(scores: Scores, networks: dict[Name, NetworkData]) -> Scores:
    """Put beside every score how sure it is (`UNCERTAINTY`); empty where that is not known."""
    with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
        intervals = infer_curves(scores, networks)
    of_accuracy = accuracy_intervals(scores, networks)
    return replace(
        scores,
        curves=scores.curves.merge(intervals, how="left", on=list(POINT), validate="many_to_one"),
        accuracy=scores.accuracy.merge(of_accuracy, how="left", on=list(PLACE), validate="many_to_one"),
    )


def infer_curves(scores: Scores, networks: dict[Name, NetworkData]) -> pd.DataFrame:
    """Infer how sure the unseen points of every curve at its last step are.

    Returns:
        Columns of `POINT` and `UNCERTAINTY`; no row where nothing can be said.
    """
    arranged: dict[tuple[Name, str, int], Refits | None] = {}
    tables = []
    for curve in curves(scores.curves):
        first, step = curve.name, curve.last
        name, metric, fold = (str(first["dataset"]), str(first["model"])), str(first["metric"]), first["fold"]
        if (name, metric, step) not in arranged:
            arranged[name, metric, step] = networks[name].at(metric, step)
        refits = arranged[name, metric, step]
        if refits is not None:
            points = pd.DataFrame(curve.at(UNSEEN, step))
            of_fold = refits if fold == MEAN else refits.of_fold(scores.folds.index(fold))
            columns = dict(_columns(of_fold.take(point_keys(points)), first["better"]))
            tables.append(points[list(POINT)].assign(**columns))
    return stack(tables, POINT | UNCERTAINTY, optional=UNCERTAINTY)


def infer_power(scores: Scores, networks: dict[Name, NetworkData], metric: str) -> list[Power]:
    """Infer what a study of this design shows of other classes by one score, network by network.

    Returns:
        Nothing of a network of which it is not known, nor by a score of no proven level.
    """
    found = []
    main = scores.curves[scores.curves["main"] & (scores.curves["fold"] == MEAN) & (scores.curves["metric"] == metric)]
    for curve in curves(main) if is_proven(metric, "classes") else ():
        name, better = (str(curve.name["dataset"]), str(curve.name["model"])), curve.name["better"]
        refits = networks[name].at(metric, curve.last)
        if refits is not None:
            layers = refits.take(point_keys(pd.DataFrame(curve.at(UNSEEN, curve.last))))
            classes = int(unseen_rows(networks[name].layers, metric, curve.last)["n_classes"].max())
            with threadpool_limits(1):
                power = power_of(layers, name, classes, better=better)
            found += [power] if power else []
    return found


def point_keys(points: pd.DataFrame) -> list[Key]:
    """The embeddings that a curve's points stand for."""
    return [(str(layer), str(pooling)) for layer, pooling in zip(points["layer"], points["embedding"], strict=True)]


def _columns(refits: Refits, better: Better) -> Iterator[tuple[str, Any]]:
    known = infer_layers(refits, better)
    leads = [layers.lead.value for layers in known.values() if layers.lead]
    if leads:
        yield "lead", leads[0]
    for scope, layers in known.items():
        names, lead = COLUMNS_OF[scope], layers.lead
        columns: dict[str, Any] = {names.low: layers.low, names.high: layers.high, names.tied: layers.tied}
        columns |= {names.lead_at_least: lead.low, names.lead_at_most: lead.high} if lead else {}
        yield from ((name, value) for name, value in columns.items() if value is not None)
