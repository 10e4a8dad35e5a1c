"""Which lead and which difference between two layers a study of this design would show, and what a wanted one takes.

From the variances that one study estimated. A later study of J' folds has a variance smaller by J / J'; further seeds
shrink the share of training alone, and further classes that of a fold's classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct

from stages.aggregate.inference.contrasts import LEVEL, Contrasts
from stages.aggregate.inference.layer_comparison import SURE, Direction, contenders, sign_of
from stages.aggregate.inference.other_classes import MIN_FOLDS, FoldScores, class_inference, training

POWER = 0.8
"""Share of studies that are to show what is there."""

MIN_LEFT_OUT = 4
"""Unseen classes of a fold, of which each can be left out."""

MOST = 100
"""Folds, seeds or classes beyond which none are asked for."""


@dataclass(frozen=True)
class Needed:
    """What would show a wanted lead with `POWER`, each with the rest of the design as it is; None where none would.

    Attributes:
        folds: of unseen classes.
        seeds: in each fold; None of a study of one seed, which does not know what training adds.
        classes: unseen ones in each fold; None of a study of one seed as well.
    """

    folds: int | None
    seeds: int | None
    classes: int | None


@dataclass(frozen=True)
class Power:
    """What this design shows with `POWER`.

    Attributes:
        lead: of the best earlier layer over the last.
        difference: between two layers named beforehand.
        needed: for the wanted lead; None where none was asked for.
    """

    lead: float
    difference: float
    needed: Needed | None


def power_of(scores: FoldScores, *, wanted: float | None = None, better: Direction = "higher") -> Power | None:
    """Compute what a study like this one shows about other classes with `POWER`, one-sided at `LEVEL`.

    Args:
        scores: of one network's layers, the last one last.
        wanted: lead that a study should show.
        better: which scores are better.

    Returns:
        None of fewer than three folds or two layers, or where no lead varied.
    """
    J, S, K, L = scores.without.shape
    if J < MIN_FOLDS or L < 2:
        return None
    inference, each = class_inference(scores), np.eye(L)
    leads = sign_of(better) * (each[:-1] - each[-1])
    family = inference.contrasts(leads)
    if family is None:
        return None
    chosen = family.take(contenders(inference, np.arange(L) < L - 1, better=better, level=SURE)[:-1])
    single = replace(chosen, value=np.zeros(1), variance=np.ones(1), df=inference.df, correlation=np.eye(1))
    power = Power(_detectable(chosen), float(np.sqrt(np.nanmedian(family.variance))) * _detectable(single), None)
    if wanted is None:
        return power

    def shows(ratio: float, df: float) -> bool:
        return _detectable(replace(chosen, variance=ratio * chosen.variance, df=df)) <= wanted

    df = family.df
    folds = _fewest(lambda n: shows(J / n, df * (n - 1) / (J - 1)), MIN_FOLDS)
    if S == 1:
        return replace(power, needed=Needed(folds, None, None))
    trained, explained = (np.trace(leads @ each_of @ leads.T) for each_of in (training(scores), inference.shape))
    share = float(trained / explained)
    seeds = _fewest(lambda n: shows(1 - share + share * S / n, df), 1)
    classes = _fewest(lambda n: shows(share + (1 - share) * K / n, df), MIN_LEFT_OUT)
    return replace(power, needed=Needed(folds, seeds, classes))


def _detectable(family: Contrasts) -> float:
    """Value of one contrast of a family that is shown with `POWER`: its t statistic is then a noncentral one."""
    quantile = family.quantile(LEVEL)
    shift = brentq(lambda shift: nct.sf(quantile, family.df, shift) - POWER, 0.0, 2 * quantile + 10)
    return float(np.sqrt(np.nanmedian(family.variance)) * shift)


def _fewest(shows: Callable[[int], bool], first: int) -> int | None:
    return next((n for n in range(first, MOST + 1) if shows(n)), None)
