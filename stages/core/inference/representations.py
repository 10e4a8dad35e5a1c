"""What a representation gains over the habit, inferred from scores without single classes as of layers.

A class moves the mean by its own score, and moves those of others as a neighbour and as a reference. Scores without it
count what two classes do to each other twice (Efron and Stein 1981, The jackknife estimate of variance), which is much
in galleries of five. Class scores as they are lack it. We take the mean of both (`make coverage` prints its widths).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..representations.choice import Choice
from ..representations.uses import Judged
from ..scores.catalogue import LAYER_SCORES
from ..scores.refits import class_groups
from .contrasts import Float64
from .gain import Gain, Payoff, gain_over
from .refitted import Refits
from .scopes import Scope, over_classes

MAP_AT_R = "map_at_r"
"""The score that candidates are compared by."""

PROVEN: tuple[Scope, ...] = ("classes",)
"""Scopes in which simulation confirms the level of a gain's interval (docs/uncertainty.md#validation)."""


def gain_of(choice: Choice, among: Sequence[int]) -> Gain:
    """Infer what the best of some candidates gains over the habit (docs/uncertainty.md#validation).

    Args:
        choice: the scores of all candidates.
        among: numbers of those that are chosen among.
    """
    if choice.choose_among(among)[0] == choice.control:
        return Gain()
    family = sorted({*among, choice.control})
    values, without = choice.values[family], _without(choice)[:, family]
    keys, empty = [(str(number), "") for number in family], np.empty((1, 1, 0, len(family)))
    found = Refits.of(keys, LAYER_SCORES[MAP_AT_R], values[None, None], without[None, None], empty)
    control = (0, family.index(choice.control))
    return gain_over(control, values[None, None], [replace(found, frozen=True)], proven=PROVEN, worthwhile=0.0)


def gain_of_judged(chosen: Judged, habit: Judged) -> Gain:
    """Infer what a choice for another use gains over the habit, on classes that took no part in it.

    Nothing was chosen for being good on these classes, so that there is nothing to correct: the interval is Student's t
    of the paired jackknife over classes.
    """
    difference = chosen.value - habit.value
    values, without = np.array([0, difference]), np.stack([0 * habit.without, chosen.without - habit.without], axis=1)
    keys, empty = [("habit", ""), ("chosen", "")], np.empty((1, 1, 0, 2))
    refits = Refits.of(keys, LAYER_SCORES[MAP_AT_R], values[None, None], without[None, None], empty)
    inference = over_classes(replace(refits, frozen=True))
    contrasts = None if inference is None else inference.against(0, np.array([False, True]))
    estimate = None if contrasts is None else contrasts.estimate(0)
    if estimate is None:
        return Gain()
    low, high = estimate.interval()
    status = Payoff.PAYS if low > 0 else Payoff.UNDECIDED
    return Gain(difference, low, high, scope="classes", proven=True, status=status, crossvalidated=difference)


def gain_over_folds(values: Float64, without: Float64, control: int) -> Gain:
    """Infer what the best candidate of a fine-tuned network gains over one of the last checkpoint, as of layers.

    Other classes are other folds, in which the network and the recipes are fitted to other classes as well.

    Args:
        values: (T, J, S, C) of T checkpoints, J folds, S seeds and C candidates.
        without: (T, J, S, K, C) without each group of a fold's classes; NaN if a fold has fewer, K is 0 if none has.
        control: number of the candidate.
    """
    T, J, S, C = values.shape
    keys, empty = [(str(number), "") for number in range(C)], np.empty((J, S, 0, C))
    score = LAYER_SCORES[MAP_AT_R]
    refits = [Refits.of(keys, score, own, left, empty) for own, left in zip(values, without, strict=True)]
    gains = values.mean(axis=2).swapaxes(0, 1)
    return gain_over((T - 1, control), gains, refits, proven=PROVEN, worthwhile=0.0)


def _without(choice: Choice) -> Float64:
    """Means over classes, of all but one group of them, (G, C); half of each from galleries and fits that had it."""
    groups = class_groups(choice.classes) if len(choice.without) else []
    kept = [np.delete(choice.class_scores, group, axis=1).mean(axis=1) for group in groups]
    return np.asarray((choice.without + np.reshape(kept, choice.without.shape)) / 2)
