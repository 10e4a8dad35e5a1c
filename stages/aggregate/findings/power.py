"""Which lead or difference a study of this design would show of other classes.

A study estimates the variances that decide it. Of J' folds a study has J / J' of the variance of one of J folds;
further seeds shrink the share of training alone, further classes that of a fold's classes.
"""

from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from ...core.inference.contrasts import POWER, SURE, Contrasts, contenders
from ...core.inference.refitted import Refits
from ...core.inference.scopes import MIN_CLASSES, MIN_FOLDS, over_classes, training
from ...core.scores.refits import MAX_GROUPS
from ..names import Name
from .outcomes import Power

FOLDS, SEEDS = (MIN_FOLDS, 4, 5, 6, 7, 8, 10, 12, 16), (1, 2, 3, 4, 6, 8)
CLASSES = (4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100)
"""Numbers of folds, seeds and unseen classes for which it is said what a study would show."""


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
    families = []
    for layer in range(last + 1):
        others = np.arange(last + 1) != layer
        family = inference.against(layer, others)
        families.append(family and family.take(contenders(inference, others, level=SURE)[others]))
    over_last = families[last]
    if over_last is None:
        return None
    (J, S), K, several = refits.values.shape[:2], refits.without.shape[2], inference.between is not None
    leads = np.eye(last + 1)[:-1] - np.eye(last + 1)[-1]
    of_training, of_all = (float(np.trace(leads @ part @ leads.T)) for part in (training(refits), inference.shape))
    trained = of_training / of_all  # 0 of a single seed
    groups = {n: 1.0 if several else (min(n, MAX_GROUPS) - 1) / (K - 1) for n in CLASSES}
    counted = [n for n in CLASSES if several or J * min(n, MAX_GROUPS) >= MIN_CLASSES]
    return Power(
        *network,
        lead=_shown(over_last),
        difference=float(np.median([_shown(family) for family in families if family])),
        folds={n: _shown(over_last, J / n, (n - 1) / (J - 1)) for n in FOLDS if several},
        seeds={n: _shown(over_last, 1 - trained + trained * S / n) for n in SEEDS if several and S > 1},
        classes={n: _shown(over_last, trained + (1 - trained) * n_classes / n, groups[n]) for n in counted},
    )


def _shown(family: Contrasts, variance_ratio: float = 1.0, df_ratio: float = 1.0) -> float:
    """Return by how much the best layer must beat the control so that `POWER` of the later studies show it.

    A later study compares all these layers with the control at once, and shows one of them: the best, or one that is
    behind it by less than it is known better. Both studies only estimate standard errors, whose ratios to the true ones
    are taken as normal, of mean 1 - 1 / 4 df and variance 1 / 2 df.

    Args:
        family: the first study's differences from the control.
        variance_ratio, df_ratio: the later study's variance and degrees of freedom to those of the first.
    """
    later, z = replace(family, df=df_ratio * family.df), float(ndtri(POWER))
    quantile, own, first = later.quantile(), 1 - 1 / (4 * later.df), 1 - 1 / (4 * family.df)
    square = first**2 - z**2 / (2 * family.df)  # c * first - quantile * own = z * the standard deviation of both sides
    rest = (quantile * own) ** 2 - z**2 * (1 + quantile**2 / (2 * later.df))
    errors = (quantile * own * first + np.sqrt((quantile * own * first) ** 2 - square * rest)) / square
    behind = np.nanmax(family.value) - family.value
    return float(np.nanmin(behind + errors * np.sqrt(variance_ratio * family.variance)))
