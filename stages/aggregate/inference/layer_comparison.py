"""Statements about layers: their intervals, the best against the last, which tie, and two networks' best.

Each takes what is known of the layers' mean scores (`contrasts.Inference`), whose scope it then has: other classes of
the domain, or other images of these classes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.aggregate.inference.contrasts import LEVEL, Estimate, Float64, Inference

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Lead:
    """By how much the truly best of several layers beats one other, the control; negative where it does not.

    Attributes:
        low: at least, one-sided.
        high: at most, one-sided.
    """

    low: float
    high: float


def sign_of(better: Direction) -> float:
    """+1 where higher scores are better, -1 where lower ones are."""
    return 1.0 if better == "higher" else -1.0


def layer_estimates(inference: Inference) -> list[Estimate] | None:
    """Every layer's mean score, each to be read alone; None if no score varied."""
    contrasts = inference.contrasts(np.eye(len(inference.mean)))
    return None if contrasts is None else [contrasts.estimate(layer) for layer in range(len(inference.mean))]


def best_against(
    inference: Inference,
    *,
    control: int = -1,
    candidates: NDArray[np.bool_] | None = None,
    better: Direction = "higher",
    level: float = LEVEL,
) -> Lead | None:
    """Compare the best of several layers with a control, by default the last layer (Dunnett 1955, one-sided).

    The lower bound holds whichever layer is best, hence the quantile of the maximum; the upper bound need only hold for
    the truly best layer, and takes the quantile of one.

    Args:
        inference: of L layers.
        control: index of the layer that is compared with.
        candidates: (L,) the layers that may be best; by default all before the control, of the last layer all others.
        better: which scores are better; positive leads always favour the candidates.
        level: of each bound.

    Returns:
        None where no difference varied, or there is no candidate.
    """
    each = np.eye(len(inference.mean))
    chosen = each[:control] if candidates is None else each[candidates]
    contrasts = inference.contrasts(sign_of(better) * (chosen - each[control])) if len(chosen) else None
    if contrasts is None:
        return None
    kept = contrasts.varying
    errors = np.sqrt(contrasts.variance[kept])
    single = Estimate(0.0, 1.0, contrasts.df).upper(level)
    low = (contrasts.value[kept] - contrasts.quantile(level) * errors).max()
    high = max((contrasts.value[kept] + single * errors).max(), contrasts.value.max())
    return Lead(float(low), float(high))


def ties(inference: Inference, *, better: Direction = "higher", level: float = LEVEL) -> NDArray[np.bool_]:
    """Say which layers cannot be distinguished from the best one, (L,); the truly best is among them at this level.

    Each layer is the control in turn, compared with all others: it stays unless one of them is shown to be better
    (multiple comparisons with the best, Hsu 1981).
    """
    L = len(inference.mean)
    stays = np.ones(L, dtype=bool)
    for layer in range(L):
        lead = best_against(inference, control=layer, candidates=np.arange(L) != layer, better=better, level=level)
        others = np.delete(sign_of(better) * (inference.mean - inference.mean[layer]), layer)
        stays[layer] = not (others > 0).any() or lead is None or lead.low <= 0
    return stays


def best_of_two(inference: Inference, first_layers: int, *, better: Direction = "higher") -> Estimate | None:
    """Difference of two networks' g, the score of the best layer of each; positive where the first is better.

    The error is that of the difference between the two chosen layers; both maxima are optimistic, and about alike.

    Args:
        inference: of the layers of both networks, one after the other.
        first_layers: number of layers of the first network.
        better: which scores are better.

    Returns:
        None where no difference varied.
    """
    gains = sign_of(better) * inference.mean
    first, second = int(gains[:first_layers].argmax()), int(gains[first_layers:].argmax())
    L, others = len(gains), len(gains) - first_layers
    each = np.eye(L)
    matrix = sign_of(better) * (each[:first_layers, None] - each[first_layers:]).reshape(-1, L)
    contrasts = inference.contrasts(matrix)
    index = first * others + second
    if contrasts is None or not contrasts.varying[index]:
        return None
    return Estimate(float(contrasts.value[index]), float(np.sqrt(contrasts.variance[index])), contrasts.df)


def cross_fitted_lead(fold_means: Float64, *, better: Direction = "higher") -> tuple[float, list[int]]:
    """Lead over the last layer of a layer that was chosen without looking: on the other folds.

    The last layer is no candidate. No interval is made of it: folds share the choice.

    Args:
        fold_means: (J, L) scores of at least two folds.
        better: which scores are better.

    Returns:
        The mean over folds, and the layer chosen without each fold.
    """
    gains = sign_of(better) * fold_means
    J = len(gains)
    chosen = [int(np.delete(gains, fold, axis=0).mean(axis=0)[:-1].argmax()) for fold in range(J)]
    return float(np.mean(gains[np.arange(J), chosen] - gains[:, -1])), chosen


def cross_fitted_lead_on_halves(halves: Float64, *, better: Direction = "higher") -> tuple[float, list[int]]:
    """The same within one fold: chosen on one half of the images, compared with the last layer on the other half.

    Args:
        halves: (B, L) scores; halves 2 i and 2 i + 1 are a pair.
        better: which scores are better.

    Returns:
        The mean over halves, and the layer chosen on each.
    """
    gains = sign_of(better) * halves
    chosen = gains[:, :-1].argmax(axis=1)
    other = np.arange(len(gains)) ^ 1
    return float(np.mean(gains[other, chosen] - gains[other, -1])), chosen.tolist()
