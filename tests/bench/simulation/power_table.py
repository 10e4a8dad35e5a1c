"""How often studies show a lead, and a difference, of which an earlier one of the design said that 80 % would."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from stages.aggregate.inference.contrasts import Inference
from stages.aggregate.inference.layer_comparison import Direction, best_against, sign_of
from stages.aggregate.inference.power import power_of
from stages.aggregate.inference.refits import Refits, over_classes
from stages.shared.tables.scores import Score
from tests.bench.simulation.coverage_table import truth_of
from tests.bench.simulation.designs import Design

POWERED = (
    *("folds3", "folds4", "folds5", "classes4", "classes10", "equal_species", "uneven", "failed_training"),
    *("hubs_middle", "hubs_high", "frozen10", "frozen15"),
)
"""The designs of which it is asked."""


def power_row(arrays: dict[str, Any], design: Design, score: Score, better: Direction = "higher") -> dict[str, float]:
    """Compare every study with the next one, whose layers are moved so that the truth is what the first one said.

    Args:
        arrays: `values` (R, J, S, L), and `without`.
        design: what was drawn.
        score: the facts of the score.
        better: which values of it are better.
    """
    values, gains = arrays["values"], sign_of(better) * truth_of(arrays["values"], design.alike)
    L = len(gains)
    keys, frozen = tuple((f"layer{layer}", "mean") for layer in range(L)), design.target == "frozen"
    studies = [
        Refits(keys, *table, None, score, frozen=frozen) for table in zip(values, arrays["without"], strict=True)
    ]
    known = [power_of(study, ("", ""), design.classes, better=better) for study in studies]
    inferences = [over_classes(study) for study in studies]
    pairs = [pair for pair in zip([*known[-1:], *known[:-1]], inferences, strict=True) if all(pair)]
    found = [first for first in known if first]
    return {
        "data sets": len(found),
        "lead": float(np.median([each.lead for each in found])),
        "lead shown": np.mean([_is_shown(later, gains, L - 1, first.lead, better) for first, later in pairs]),
        "difference": float(np.median([each.difference for each in found])),
        "difference shown": np.mean(
            [
                _is_shown(later, gains, layer, first.difference, better)
                for (first, later), layer in product(pairs, range(L))
            ]
        ),
    }


def _is_shown(later: Inference, gains: Any, layer: int, below: float, better: Direction) -> bool:
    """Whether a study shows that some other layer is better, had this one's true gain been so far below the best."""
    mean, others = later.mean.copy(), np.arange(len(gains)) != layer
    mean[layer] += sign_of(better) * (gains[others].max() - below - gains[layer])
    found = best_against(replace(later, mean=mean), control=layer, candidates=others, better=better)
    return found is not None and found.low > 0
