"""What joins of layers give for the embeddings of a file."""

import sys

from ...core.representations.choice import MIN_FITTED_CLASSES
from ...library import Result
from ...library.compared import REPRESENTED
from ...library.representing import RepresentationChoice
from ...shared.embeddings.split_names import UNSEEN
from ...shared.runtime.errors import UserError


def choose_among_joins(result: Result, use: str | None) -> RepresentationChoice | None:
    """Choose among layers, joins and recipes on the images of unseen classes, and print the choice.

    Args:
        result: of `score`.
        use: the only one to look at; None: all that were measured.

    Returns:
        The choice. None if no such use was measured, if there are too few classes, or if an image has no possible
        neighbour of its class, which is printed on stderr.
    """
    samples = result.inputs[1]
    if not {*(result.uses if use is None else [use])} & {*result.uses} & {*REPRESENTED}:
        return None
    if samples.loc[samples["split"] == UNSEEN, "label"].nunique() < MIN_FITTED_CLASSES:
        return None
    try:
        choice = result.representation.narrowed(use)
    except UserError as error:
        print(f"score: no joins of layers: {error}", file=sys.stderr)
        return None
    print(f"\n{choice}")
    return choice
