"""Whether `wl.score` gives, of simulated embeddings, what the simulation judges: gain, interval and word."""

from typing import Any
from zlib import crc32

import numpy as np
from threadpoolctl import threadpool_limits

import stages.library as wl
from stages.core.inference.gain import gain_over
from stages.core.scores.description import BOTH
from stages.core.scores.halves import halves_seed
from tests.bench.simulation.coverage_table import WORTHWHILE, refits_of
from tests.bench.simulation.frozen_sets import DESIGNS, HALVES, SCORE, FrozenSet, draw, scores_of

DATASET = "simulated"


def row_of(name: str, sets: int) -> dict[str, Any]:
    """Score sets of a design by both, on one thread: the largest difference, and the share of equal words."""
    with threadpool_limits(1):
        compared = [compare(DESIGNS[name], [number, crc32(name.encode())]) for number in range(sets)]
    differences, same = zip(*compared, strict=True)
    return {"design": name, "sets": sets, "difference": max(differences), "same word": np.mean(same)}


def compare(design: FrozenSet, seed: list[int]) -> tuple[float, bool]:
    """Return the largest difference of the gain and its ends, infinite if one has none, and whether words agree."""
    embedded, y, _ = draw(design, np.random.default_rng(seed))
    ids = [f"{number:05}" for number in range(len(y))]
    of_halves = halves_seed(DATASET, "0", ids)
    values, parts = scores_of(design, np.random.default_rng(seed), of_halves)
    part = "halves" if design.fixed else "without"
    refits = refits_of({"values": values[None, None], part: parts[None, None]}, SCORE, frozen=not design.fixed)
    core = gain_over((-1, -1), values[None, None], [refits], proven=BOTH, worthwhile=WORTHWHILE)
    layers, labels = {f"l{layer:02}": X for layer, X in enumerate(embedded)}, [f"{c:03}" for c in y]
    scored = wl.score(layers, labels, metrics=["map_at_r"], refits_halves=HALVES, ids=ids, dataset=DATASET)
    found = scored.recommend("retrieval")
    first, second = (
        np.array(numbers, float)
        for numbers in ((core.estimate, core.low, core.high), (found.gain, found.gain_low, found.gain_high))
    )
    if (np.isnan(first) != np.isnan(second)).any():
        return np.inf, core.status == found.status
    return float(np.nan_to_num(np.abs(first - second)).max()), core.status == found.status
