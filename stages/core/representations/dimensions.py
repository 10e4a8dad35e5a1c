"""MAP@R of one representation in fewer dimensions, with all that is fitted fitted to other classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores.arrays import Classes
from .candidates import Candidate
from .fitting import Embedding, Step, axes_about_zero
from .judging import Gallery
from .representation import Representation


def score_dimensions(
    layers: Mapping[str, Embedding],
    y: Classes,
    own_groups: NDArray[Any],
    folds: Classes,
    candidate: Candidate,
    dimensions: Sequence[int],
) -> dict[int, float]:
    """Judge each fold with principal axes of the other folds' images.

    Args:
        layers: name -> (N, D).
        y: (N,) classes, 0 ... K - 1.
        own_groups: (N,) group of every image, none of whose images is its neighbour.
        folds: (K,) fold of every class.
        candidate: the representation.
        dimensions: numbers of axes; those that are not fewer than its features and the reference images, without any
            fold, are left out, so that every mean is over all classes.

    Returns:
        Dimensions -> mean over classes; at the end those of all its features, the most that it has without a fold.
    """
    found: dict[int, list[NDArray[np.float64]]] = {}
    widest = 0
    for fold in range(int(folds.max()) + 1):
        is_own = folds[y] == fold
        reference, own = ({name: layers[name][rows] for name in candidate.arrays} for rows in (~is_own, is_own))
        made = Representation(candidate.arrays, candidate.recipe).fit(reference, y[~is_own])
        known, asked = made.transform(reference), made.transform(own)
        gallery = Gallery(np.flatnonzero(is_own), y, own_groups)
        fewer = [count for count in dimensions if count < min(known.shape)]
        axes = axes_about_zero(known, max(fewer, default=0))
        turned: dict[int, Embedding] = {count: Step(None, axes[:, :count]).rows(asked) for count in fewer}
        for count, rows in {**turned, 0: asked}.items():  # 0: all, which folds have in different numbers
            found.setdefault(count, []).append(gallery.score(rows @ rows.T))
        widest = max(widest, known.shape[1])
    whole = found.pop(0)
    judged = {count: scores for count, scores in found.items() if len(scores) == len(whole)}
    return {count: float(np.concatenate(scores).mean()) for count, scores in {**judged, widest: whole}.items()}
