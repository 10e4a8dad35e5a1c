"""Which lead, and which difference between two layers, a study of this design shows, and what a smaller one takes.

A study estimates the variances that decide it. Of J' folds a study has J / J' of the variance of one of J folds;
further seeds shrink the share of training alone, further classes that of a fold's classes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import chdtri, ndtri
from scipy.stats import qmc

from stages.aggregate.curves import Name
from stages.aggregate.inference.contrasts import Float64, Inference, root_of
from stages.aggregate.inference.layer_comparison import SURE, Layers, contenders
from stages.aggregate.inference.network_data import Refits
from stages.aggregate.inference.scopes import MIN_CLASSES, MIN_FOLDS, over_classes, training
from stages.shared.tables.metric_table import MAX_GROUPS

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

    several = J >= MIN_FOLDS
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
