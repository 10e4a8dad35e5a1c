"""Groups of images (of one writer, patient or video): where there are any, they are what was drawn independently."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_DF = 5
"""Degrees of freedom below which nothing is said about other images: six groups, where each has images of every class.
With fewer, halves of the images are few different ones."""


@dataclass(frozen=True)
class Groups:
    """The groups of some images.

    Attributes:
        names: of the groups.
        classes: of the images, if each group has images of one class alone (nested); else 1.
    """

    names: frozenset[str]
    classes: int


def find_groups(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> Groups | None:
    """Find the groups of N images, from the class and the group of each; None where images are not grouped."""
    if not (groups != "").any():
        return None
    names = np.unique(groups)
    nested = len(set(zip(groups, labels, strict=True))) == len(names)
    return Groups(frozenset(names.tolist()), len(np.unique(labels)) if nested else 1)


def degrees_of_freedom(folds: Iterable[Groups]) -> tuple[int, bool]:
    """Count what the groups of several folds leave free, and whether folds share groups.

    Returns:
        Groups less classes of every fold where groups are nested in classes, groups less one where they are not; groups
        that folds share count once.
    """
    folds = list(folds)
    names = frozenset().union(*(each.names for each in folds))
    shared = len(names) < sum(len(each.names) for each in folds)
    return (len(names) - 1 if shared else sum(len(each.names) - each.classes for each in folds)), shared
