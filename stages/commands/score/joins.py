"""What joins of layers give for the embeddings of a file."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.representations.choice import MIN_FITTED_CLASSES
from ...library import choose_representation
from ...library.representing import RepresentationChoice
from ...shared.runtime.errors import UserError


def choose_among_joins(layers: Mapping[str, Any], of_images: Mapping[str, Any]) -> RepresentationChoice | None:
    """Choose among layers, joins and recipes on the images of unseen classes, and print the choice.

    Args:
        layers: name -> (N, D).
        of_images: labels, `seen` and maybe groups, (N,) each.

    Returns:
        The choice. None if there are too few classes, or if an image has no possible neighbour of its class, which is
        printed on stderr.
    """
    unseen = np.flatnonzero(~of_images["seen"]) if of_images["seen"].any() else slice(None)  # which copies nothing
    labels = of_images["labels"][unseen]
    if len(np.unique(labels)) < MIN_FITTED_CLASSES:
        return None
    groups = of_images["groups"][unseen] if "groups" in of_images else None
    try:
        choice = choose_representation({name: X[unseen] for name, X in layers.items()}, labels, groups)
    except UserError as error:
        print(f"score: no joins of layers: {error}", file=sys.stderr)
        return None
    print(f"\n{choice}")
    return choice
