"""Sets of `joined_sets`, and what is said of the gain of what is chosen for a classifier or for discovery.

The gain is of the choice, made anew in every set. Its truth is its mean over all sets of a design, and 0 of noise.
"""

from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
from threadpoolctl import threadpool_limits

from stages.core.inference.gain import Gain, Payoff
from stages.core.inference.representations import gain_of_judged
from stages.core.representations.choice import choose_representation
from stages.core.representations.uses import USES, UseScores
from tests.bench.simulation import joined_sets
from tests.bench.simulation.coverage_table import NORMAL
from tests.bench.simulation.joined_sets import JoinedSet, draw

NOISE = JoinedSet("15 classes that no layer tells apart", lifts=(0, 0, 0))

DESIGNS = {
    f"{use}, {name}": design
    for name in ("joins, noise", "joins, 10", "joins, 15", "joins, far and near", "joins, turned")
    for design in [joined_sets.DESIGNS.get(name, NOISE)]
    for use in USES
}


@cache
def gains_of(design: JoinedSet, number: int) -> dict[str, tuple[float, Gain]]:
    """Draw one set and choose: by use, the difference of scores and what is said of it."""
    layers, labels = draw(design, np.random.default_rng([number, crc32(design.about.encode())]))
    choice = choose_representation(layers, labels, refits=False)
    y, metrics = np.unique(labels, return_inverse=True)[1], [*USES.values()]
    scores = UseScores(layers, dict.fromkeys(layers, ""), y, np.arange(len(y)), choice, metrics)
    habits = [choice.control] * len(choice.choosing)
    judged = {use: [scores.judge(m, each) for each in (scores.choose(m)[1], habits)] for use, m in USES.items()}
    return {use: (best.value - habit.value, gain_of_judged(best, habit)) for use, (best, habit) in judged.items()}


def row_of(name: str, sets: int) -> dict[str, Any]:
    """Draw sets of a design and count what holds of one use, on one thread; sets with an interval count."""
    design, use = DESIGNS[name], name.partition(",")[0]
    with threadpool_limits(1):
        differences, gains = zip(*(gains_of(design, number)[use] for number in range(sets)), strict=True)
    truth = 0.0 if design is NOISE else float(np.mean(differences))
    ends = np.array([(each.low, each.high) for each in gains if each.low is not None])
    pays = np.array([each.status == Payoff.PAYS for each in gains])
    return {
        "design": name,
        "sets": sets,
        "lead": truth,
        "gain": ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean(),
        "width / ideal": np.ptp(ends, axis=1).mean() / (2 * NORMAL * np.std(differences, ddof=1)),
        "falsely pays": pays.mean() * (truth <= 0),
        "pays": pays.mean(),
        "error": np.sqrt(np.mean((np.array(differences) - truth) ** 2)),
    }
