"""Sets of few images, of which MAP@R names the layer for discovery, and what is said of its gain in NMI.

Images are as in `frozen_sets`, but six of each class, whose means lie less far apart.
"""

from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.core.scores.catalogue import SCORES
from stages.core.scores.refits import class_groups
from tests.bench.simulation import frozen_sets
from tests.bench.simulation.coverage_table import NORMAL, gain_of, refits_of
from tests.bench.simulation.data_set import scored
from tests.bench.simulation.frozen_sets import FLAT, HAIR, PEAK, FrozenSet, draw, scores_of, truth_of

SCORE, STARTS = SCORES["nmi"], 30

IMAGES, CLOSER = 6, 0.6


def _few(about: str, quality: tuple[float, ...], own: float) -> FrozenSet:
    return FrozenSet(f"{about}, six images", tuple(CLOSER * each for each in quality), images=IMAGES, own=own)


DESIGNS = {
    "few, peak": _few("a lead", PEAK, 0.3),
    "few, equal": _few("equal layers", FLAT, 0.15),
    "few, hair": _few("the last layer is the best by a hair", HAIR, 0.2),
}


def both_of(design: FrozenSet, seed: list[int]) -> tuple[Any, Any]:
    """NMI and MAP@R of one set, (1 + K, L) each: of all classes, then without each."""
    embedded, y, _ = draw(design, np.random.default_rng(seed))
    groups = class_groups([f"{c:03}" for c in range(design.classes)])
    subsets = np.array([np.full(len(y), True), *(~np.isin(y, group) for group in groups)])
    nmi = scored(embedded, y, subsets, [STARTS, *[None] * len(groups)], ("nmi",), np.random.default_rng([*seed, 1]))
    return nmi[:, :, 0].T, np.vstack(scores_of(design, np.random.default_rng(seed)))


def row_of(name: str, sets: int) -> dict[str, Any]:
    """Draw sets of a design and count what holds, on one thread."""
    design = DESIGNS[name]
    with threadpool_limits(1):
        drawn = [both_of(design, [number, crc32(name.encode())]) for number in range(sets)]
        nmi, map_at_r = (np.stack(part) for part in zip(*drawn, strict=True))
        truth, values = truth_of(design, nmi[:, 0]), nmi[:, 0]
        found = pd.DataFrame([
            gain_of([_refits(own, SCORE)], truth[None], by=[_refits(by, frozen_sets.SCORE)])
            for own, by in zip(nmi, map_at_r, strict=True)
        ]).astype(float)  # fmt: skip
    deviations = (values - values[:, -1:]).std(axis=0, ddof=1)[map_at_r[:, 0].argmax(axis=1)]
    known = found[found["gain named"] > 0]
    return {
        "design": name,
        "sets": sets,
        "lead": truth.max() - truth[-1],
        "gain": known["gain"].mean(),
        "width / ideal": known["gain width"].mean() / (2 * NORMAL * deviations[known.index].mean()),
        "falsely pays": found["falsely pays"].mean(),
        "pays": found["pays"].mean(),
        "error": (known["gain error"] ** 2).mean() ** 0.5,
    }


def _refits(table: Any, score: Any) -> Any:
    return refits_of({"values": table[None, None, 0], "without": table[None, None, 1:]}, score, frozen=True)
