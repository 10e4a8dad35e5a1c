"""How often studies show a lead, and a difference, of which an earlier one of the design said that 80 % would."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from stages.aggregate.findings.power import power_of
from stages.core.inference.contrasts import Inference
from stages.core.inference.layer_comparison import best_against
from stages.core.inference.scopes import over_classes
from stages.core.scores.description import Score, sign_of
from tests.bench.simulation.coverage_table import refits_of, truth_of
from tests.bench.simulation.designs import Design

POWERED = (
    *("folds3", "folds4", "folds5", "classes4", "classes10", "equal_species", "uneven", "failed_training"),
    *("hubs_middle", "frozen10", "frozen_3x5"),
)
"""The designs of which it is asked."""


def power_row(arrays: dict[str, Any], design: Design, score: Score) -> dict[str, float]:
    """Compare every study with the next one, whose layers are moved so that the truth is what the first one said.

    Args:
        arrays: `values` (R, J, S, L), and `without`.
        design: what was drawn.
        score: the facts of the score.
    """
    turned = {name: sign_of(score.better) * arrays[name] for name in ("values", "without")}
    gains = truth_of(turned["values"], design.alike)
    L, numbers = len(gains), range(len(turned["values"]))
    tables = [{name: part[number] for name, part in turned.items()} for number in numbers]
    studies = [refits_of(table, score, frozen=design.target == "frozen") for table in tables]
    known = [power_of(study, ("", ""), design.classes) for study in studies]
    inferences = [over_classes(study) for study in studies]
    pairs = [pair for pair in zip([*known[-1:], *known[:-1]], inferences, strict=True) if all(pair)]
    found = [first for first in known if first]
    return {
        "data sets": len(found),
        "lead": float(np.median([each.lead for each in found])),
        "lead shown": np.mean([_is_shown(later, gains, L - 1, first.lead) for first, later in pairs]),
        "difference": float(np.median([each.difference for each in found])),
        "difference shown": np.mean(
            [_is_shown(later, gains, layer, first.difference) for (first, later), layer in product(pairs, range(L))]
        ),
    }


def _is_shown(later: Inference, gains: Any, layer: int, below: float) -> bool:
    """Whether a study shows that some other layer is better, had this one's true gain been so far below the best."""
    mean, others = later.mean.copy(), np.arange(len(gains)) != layer
    mean[layer] += gains[others].max() - below - gains[layer]
    found = best_against(replace(later, mean=mean), control=layer, candidates=others)
    return found is not None and found.low > 0
