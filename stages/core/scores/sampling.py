"""Which images of a split are judged where it has more than can be compared with each other in minutes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...shared.workflow.seeding import child_seed
from .arrays import Rows


def draw_images(
    labels: NDArray[np.str_], ids: Sequence[str], count: int, least: int, groups: NDArray[np.str_] | None = None
) -> Rows:
    """Draw images class by class: one of each, then a second of each, until there are enough.

    An image's place in the draw depends only on its id and group: every layer, network and seed is judged on the same
    images, and a larger `count` keeps those that a smaller one draws. A class's first images are of different groups.

    Args:
        labels: (N,) classes.
        ids: (N,) names.
        count: of images, if there are so many.
        least: images of each class that are drawn in any case, or all of a smaller class.
        groups: (N,) of images that belong together; None: there are none.

    Returns:
        Rows, ascending.
    """
    if len(labels) <= count:
        return np.arange(len(labels))
    order = np.argsort([child_seed(0, "judged images", name) for name in ids], kind="stable")
    if groups is not None:
        own = pd.DataFrame({"label": labels, "group": groups}).iloc[order]
        order = order[np.argsort(own.groupby(["label", "group"]).cumcount().to_numpy(), kind="stable")]
    rounds = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    first = np.argsort(rounds, kind="stable")[: max(count, int((rounds < least).sum()))]
    return np.sort(order[first])


def describe_drawn(split: str, drawn: int, count: int) -> str:
    """Return the sentence that names a sample."""
    return f"scores of the split {split!r} are of {drawn:,} images drawn from {count:,} (max_images)"
