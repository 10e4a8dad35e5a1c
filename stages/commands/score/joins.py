"""What joins of layers give for the embeddings of a file."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.representations.choice import MIN_FITTED_CLASSES
from ...library import choose_representation
from ...library.representing import RepresentationChoice
from ...shared.embeddings.split_names import BASELINE
from ...shared.runtime.errors import UserError


def choose_among_joins(layers: Mapping[str, Any], of_images: Mapping[str, Any]) -> RepresentationChoice | None:
    """Choose among layers, joins and recipes on the images of unseen classes, and print the choice.

    Args:
        layers: name -> (N, D), maybe with the images themselves, which are no candidate.
        of_images: labels, `seen` and maybe groups, (N,) each.

    Returns:
        The choice; None if there are too few classes, or one class alone cannot be judged, which is said.
    """
    unseen = np.flatnonzero(~of_images["seen"])
    labels = of_images["labels"][unseen]
    if len(np.unique(labels)) < MIN_FITTED_CLASSES:
        return None
    groups = of_images["groups"][unseen] if "groups" in of_images else None
    try:
        choice = choose_representation({n: X[unseen] for n, X in layers.items() if n != BASELINE}, labels, groups)
    except UserError as error:
        print(f"score: no joins of layers: {error}", file=sys.stderr)
        return None
    print(f"\n{choice}")
    return choice
