"""How sure every score at its last step is, and which lead or difference a study of this design would show.

A study estimates the variances that decide it. Of J' folds a study has J / J' of the variance of one of J folds;
further seeds shrink the share of training alone, further classes that of a fold's classes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from stages.aggregate.columns import frame
from stages.aggregate.curves import MEAN, POINT, Key, Name, Scores, each_curve, point_keys, sign_of
from stages.aggregate.inference.contrasts import Float64, Inference, root_of
from stages.aggregate.inference.layer_comparison import (
    SURE,
    UNKNOWN,
    Bounds,
    Layers,
    best_against,
    contenders,
    is_above,
    score_intervals,
    ties,
)
from stages.aggregate.inference.network_data import NetworkData, Refits, unseen_rows
from stages.aggregate.inference.scopes import (
    MIN_CLASSES,
    MIN_FOLDS,
    accuracy_intervals,
    over_classes,
    over_images,
    training,
)
from stages.aggregate.scope import INTERVAL_ENDS, LEADS, TIED, UNCERTAINTY, Scope, is_proven
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.tables.metric_table import MAX_GROUPS

Statement = TypeVar("Statement")


@dataclass(frozen=True)
class LayerInference:
    """How sure the scores of L layers are in one scope.

    Attributes:
        low, high: (L,) ends of the layers' intervals, each to be read alone, within the score's limits; NaN of a layer
            that never varied.
        best: score of the layer that looks best, whose interval knows that it was chosen, within the limits as well;
            NaN where not known, as of a single layer, or of a score of which neither end is better.
        tied: (L,) whether each is not distinguishable from the best; None as well.
        lead: of the best earlier layer over the last; NaN as well.
    """

    low: Float64
    high: Float64
    best: Bounds
    tied: NDArray[np.bool_] | None
    lead: Bounds


def infer(*networks: Refits | None) -> dict[Scope, Inference]:
    """Infer about networks of the same folds in every scope that is known, the wider one first."""
    refits = [network for network in networks if network is not None]
    if not refits or len(refits) < len(networks):
        return {}
    known: dict[Scope, Inference | None] = {"classes": over_classes(*refits), "images": over_images(*refits)}
    return {scope: inference for scope, inference in known.items() if inference is not None}


def state_widest(
    statement: Callable[[Inference], Statement | None], *networks: Refits | None
) -> tuple[Scope, Statement] | None:
    """Make a statement about networks of the same folds in the wider scope in which it can be made."""
    stated = ((scope, statement(inference)) for scope, inference in infer(*networks).items())
    return next(((scope, made) for scope, made in stated if made is not None), None)


def beats_baselines(
    network: NetworkData,
    metric: str,
    steps: Sequence[int],
    keys: Sequence[Key],
    *,
    chance: float | None,
    pixels: float | None,
) -> bool | None:
    """Return whether some layer is shown to be better than chance, and than raw pixels; None where no bound is known.

    It is where neither was asked for.

    Args:
        network: its measured data.
        metric: the score.
        steps: the checkpoints, of which the best layer was chosen.
        keys: the layers.
        chance: score of an embedding that is unrelated to the classes; None: not asked for.
        pixels: score of the raw pixels; None: not asked for.
    """
    if chance is None and pixels is None:
        return True
    further = [network.pixels] if pixels is not None and network.pixels else []
    refits = [network.at(metric, step, keys) for step in steps]
    refits += [network.at(metric, steps[0], [key]) for key in further]
    gain = None if chance is None else sign_of(network.catalogue[metric].better) * chance
    index = len(keys) * len(steps) if further else None
    shown = state_widest(lambda inference: is_above(inference, chance=gain, pixels=index), *refits)
    return shown and shown[1]


def infer_layers(refits: Refits) -> dict[Scope, LayerInference]:
    """Infer how sure the scores of layers at one step are, in every scope that is known, the wider one first.

    Args:
        refits: of the layers, by depth.
    """
    layers, directed = {}, refits.score.better != "neither"
    for scope, inference in infer(refits).items():
        (low, high), best = score_intervals(inference, refits.score)
        lead, tied = (best_against(inference), ties(inference)) if directed and len(low) > 1 else (None, None)
        layers[scope] = LayerInference(low, high, best if directed else UNKNOWN, tied, lead or UNKNOWN)
    return layers


def add_uncertainty(scores: Scores, networks: dict[Name, NetworkData]) -> Scores:
    """Put beside every score how sure it is (`UNCERTAINTY`); empty where that is not known."""
    with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
        intervals = infer_curves(scores, networks)
    points = scores.curves.merge(intervals, how="left", validate="many_to_one")
    of_accuracy = accuracy_intervals(scores, networks)
    return replace(scores, curves=points.merge(of_accuracy, how="left", validate="many_to_one"))


def infer_curves(scores: Scores, networks: dict[Name, NetworkData]) -> pd.DataFrame:
    """Infer how sure the unseen points of every curve at its last step are.

    Returns:
        Columns of `POINT` and `UNCERTAINTY`; no row where nothing can be said.
    """
    tables = []
    for (dataset, model, fold, _, metric), points in each_curve(scores.at_last(UNSEEN)):
        refits = networks[dataset, model].at(metric, int(points["step"].iloc[0]), point_keys(points))
        if refits is not None:
            known = infer_layers(refits if fold == MEAN else refits.of_fold(scores.folds.index(fold)))
            tables.append(points[list(POINT)].assign(**_columns(known)))
    return frame(tables, POINT | UNCERTAINTY, optional=UNCERTAINTY)


def _columns(known: Mapping[Scope, LayerInference]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for scope, layers in known.items():
        lead = layers.lead
        numbers = layers.low, layers.high, lead.value, lead.low, lead.high
        columns |= zip((*INTERVAL_ENDS[scope], *LEADS[scope]), numbers, strict=True)
        columns[TIED[scope]] = layers.tied
    return columns


POWER = 0.8
"""Share of studies that are to show what is there."""

STUDIES = 1024
"""Pairs of a study and a later one over which that share is taken; a power of two."""

FOLDS, SEEDS = (MIN_FOLDS, 4, 5, 6, 7, 8, 10, 12, 16), (1, 2, 3, 4, 6, 8)
CLASSES = (4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100)
"""Numbers of folds, seeds and unseen classes for which it is said what a study would show."""


@dataclass(frozen=True)
class Power:
    """What a study of this design shows of other classes in `POWER` of the cases.

    Attributes:
        dataset, model: the network.
        lead: of the best earlier layer over the last.
        difference: between the best layer and another one, in the median of the layers.
        folds, seeds, classes: number of folds, of seeds, or of unseen classes in a fold -> the lead, the rest of the
            design as it is; empty where that is not known: what training adds, of a study of one seed, and what folds
            add, of a network that is measured as it is. Of one seed all that varies is laid to the classes, so that
            the number of classes is a least one.
    """

    dataset: str
    model: str
    lead: float
    difference: float
    folds: dict[int, float]
    seeds: dict[int, float]
    classes: dict[int, float]


def power_of(refits: Refits, network: Name, n_classes: int) -> Power | None:
    """Compute what a study like this one shows of other classes.

    Args:
        refits: of one network's layers, by depth.
        network: dataset and model.
        n_classes: unseen classes of a fold.

    Returns:
        None of a single layer, and where nothing is inferred about other classes from scores without each class.
    """
    inference, last = over_classes(refits), len(refits.keys) - 1
    if refits.without.size == 0 or inference is None or last < 1:
        return None
    shown = [_shown(inference, layer) for layer in range(last + 1)]
    lead = shown[last]
    if lead is None:
        return None
    (J, S), K = refits.values.shape[:2], refits.without.shape[2]
    trained = _share_of_training(refits, inference)

    def leads(numbers: Iterable[int], ratios: Callable[[int], tuple[float, float]]) -> dict[int, float]:
        return {n: lead(*ratios(n)) for n in numbers}

    several = inference.between is not None
    return Power(
        *network,
        lead=lead(1.0, 1.0),
        difference=float(np.median([of_layer(1.0, 1.0) for of_layer in shown if of_layer])),
        folds=leads(FOLDS if several else (), lambda n: (J / n, (n - 1) / (J - 1))),
        seeds=leads(SEEDS if several and S > 1 else (), lambda n: (1 - trained + trained * S / n, 1.0)),
        classes=leads(
            (n for n in CLASSES if several or J * min(n, MAX_GROUPS) >= MIN_CLASSES),
            lambda n: (trained + (1 - trained) * n_classes / n, 1.0 if several else (min(n, MAX_GROUPS) - 1) / (K - 1)),
        ),
    )


def _shown(inference: Inference, control: int) -> Callable[[float, float], float] | None:
    """Return what computes by how much the best layer must beat a control so that `POWER` of the studies show it.

    A later study compares all layers with the control at once. Its errors, and how far its and the first study's
    estimates of their size are off, are drawn; how far layers are behind the best is what the first study found, less
    what chance adds to such differences.

    Returns:
        A function of the ratios of the later study's variance and degrees of freedom to those of the first; None where
        no difference varied.
    """
    others = np.arange(len(inference.mean)) != control
    family = inference.against(control, others)
    if family is None:
        return None
    likely = family.take(contenders(inference, others, level=SURE)[others])
    value, variance = likely.value[likely.varying], likely.variance[likely.varying]
    behind = (value.max() - value) * _share_beyond_chance(inference, others)
    correlation = np.asarray(likely.correlation)[np.ix_(likely.varying, likely.varying)]
    errors = np.sqrt(variance) * (ndtri(_uniform(len(value) + 2)[:, 2:]) @ root_of(correlation))

    def shown(variance_ratio: float, df_ratio: float) -> float:
        later = replace(likely, df=df_ratio * likely.df)
        bounds = later.quantile() * np.sqrt(variance) * _ratios_of_errors(len(value) + 2, 0, later.df)
        needed = (bounds - errors) * np.sqrt(variance_ratio) / _ratios_of_errors(len(value) + 2, 1, likely.df)
        return float(np.quantile((behind + needed).min(axis=1), POWER))

    return shown


def _share_beyond_chance(inference: Inference, layers: Layers) -> float:
    """Share of the variance of layers' scores that is more than their errors'."""
    each = np.eye(len(layers))[layers]
    deviations = inference.contrasts(each - each.mean(axis=0))
    if deviations is None:
        return 1.0
    observed = max(float((deviations.value**2).sum()), np.finfo(np.float64).tiny)
    return max(0.0, 1 - float(np.nansum(deviations.variance)) / observed)


def _share_of_training(refits: Refits, inference: Inference) -> float:
    """Share of training in the variance of leads over the last layer; 0 of a single seed."""
    leads = np.eye(len(refits.keys))[:-1] - np.eye(len(refits.keys))[-1]
    trained = training(refits)
    of_training, all_of_it = (float(np.trace(leads @ part @ leads.T)) for part in (trained, inference.shape))
    return of_training / all_of_it


@lru_cache(maxsize=8)
def _ratios_of_errors(columns: int, column: int, df: float) -> Float64:
    """Estimated standard errors over the true one, of studies of these degrees of freedom, (STUDIES, 1)."""
    return np.asarray(np.sqrt(chdtri(df, _uniform(columns)[:, [column]]) / df))


@lru_cache(maxsize=8)
def _uniform(columns: int) -> Float64:
    return np.asarray(qmc.Sobol(columns, seed=0).random(STUDIES))


def infer_power(scores: Scores, networks: dict[Name, NetworkData], metric: str) -> list[Power]:
    """Infer what a study of this design shows of other classes by one score, network by network.

    Returns:
        Nothing of a network of which it is not known, nor by a score of no proven level.
    """
    found = []
    for name, network in networks.items() if is_proven(metric, "classes") else ():
        points = scores.main_points(*name, metric)
        step = int(points["step"].iloc[-1])
        refits = network.at(metric, step, point_keys(points[points["step"] == step]))
        if refits is not None:
            classes = int(unseen_rows(network.layers, metric, step)["n_classes"].max())
            with threadpool_limits(1):
                power = power_of(refits, name, classes)
            found += [power] if power else []
    return found
