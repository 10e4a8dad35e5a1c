"""How sure a recommendation is: which layers tie, whether raw pixels are beaten, and what fine-tuning did.

Each is said of other classes where three folds or more tell, else of other images of these classes.
"""

from collections.abc import Callable, Iterator

import numpy as np

from stages.aggregate.inference.contrasts import Inference
from stages.aggregate.inference.layer_comparison import best_against, best_of_two, ties
from stages.aggregate.inference.refits import Replicates, over_classes, over_images
from stages.aggregate.metric_info import Scope
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.criteria import best_candidate
from stages.aggregate.recommend.schema import FineTuningRecord
from stages.aggregate.report.fine_tuning_rule import fine_tuning_status

INFER: dict[Scope, Callable[..., Inference | None]] = {"classes": over_classes, "images": over_images}
"""The wider scope first."""


def shortlist(network: Candidates, step: int) -> tuple[Scope | None, list[int]]:
    """Find the layers that are not distinguishable from the best at one checkpoint.

    Args:
        network: what can be chosen.
        step: the checkpoint's index.

    Returns:
        The wider scope that is known and the layers' indices; (None, []) where none is.
    """
    replicates = network.replicates[step]
    own = () if replicates is None else (replicates.take(network.keys),)
    for scope, inference in inferences(*own):
        return scope, [int(layer) for layer in np.flatnonzero(ties(inference, better=network.better))]
    return None, []


def lead_over_pixels(network: Candidates, step: int) -> float | None:
    """By how much the best layer of one checkpoint beats raw pixels at least; None where not known."""
    replicates = network.replicates[step]
    if replicates is None or network.pixels is None:
        return None
    for _, inference in inferences(replicates.take([*network.keys, network.pixels])):
        lead = best_against(inference, better=network.better)
        if lead is not None:
            return lead.low
    return None


def fine_tuning(network: Candidates) -> FineTuningRecord | None:
    """Compare the best layer of the best later checkpoint with the best one of step 0; None where not known."""
    best = best_candidate(network.means[1:]) if network.steps[0] == 0 and len(network.steps) > 1 else None
    if best is None:
        return None
    later, first = network.replicates[1 + best[0]], network.replicates[0]
    if later is None or first is None:
        return None
    for scope, inference in inferences(later.take(network.keys), first.take(network.keys)):
        change = best_of_two(inference, len(network.keys), better=network.better)
        status = fine_tuning_status(change)
        if change is not None and status is not None:
            low, high = change.interval()
            step = network.steps[1 + best[0]]
            return FineTuningRecord(step=step, change=change.value, low=low, high=high, scope=scope, status=status)
    return None


def inferences(*networks: Replicates) -> Iterator[tuple[Scope, Inference]]:
    """Infer about networks of the same folds in every scope that is known, the wider one first."""
    for scope, infer in INFER.items() if networks else ():
        inference = infer(*networks)
        if inference is not None:
            yield scope, inference
