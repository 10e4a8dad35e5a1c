"""Sets of embeddings of which joins of layers and recipes are chosen, and what is said of their gain.

The truth of a candidate is its mean score over all sets of a design, which are drawn alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from threadpoolctl import threadpool_limits

from stages.core.inference.gain import Gain, Payoff
from stages.core.representations.choice import Choice, choose_representation
from stages.library.representing import gain_of
from tests.bench.simulation.coverage_table import NORMAL

WIDTHS = (24, 24, 32)
"""Features of each layer."""

SHARED = 8
"""Directions in which the images of all classes vary together, which recipes take out."""


@dataclass(frozen=True)
class JoinedSet:
    """One design.

    Attributes:
        about: what is drawn, in a few words.
        classes: K.
        images: of each class.
        tails: degrees of freedom of the t distribution of how far a class lies out, on a logarithm; None: all alike.
        families: super-classes, which have half of the variance of class means; 0: none.
        moved: how far the images of all classes vary together.
        lifts: of each layer how far its class means lie apart.
        turned: all layers are one embedding in other axes, so that there is nothing to gain.
    """

    about: str
    classes: int = 15
    images: int = 14
    tails: float | None = None
    families: int = 0
    moved: float = 0.8
    lifts: tuple[float, ...] = (0.5, 0.75, 0.6)
    turned: bool = False


DESIGNS = {
    "joins, 10": JoinedSet("10 classes, images vary together", classes=10, images=20),
    "joins, 15": JoinedSet("the same, 15 classes"),
    "joins, 20": JoinedSet("the same, 20 classes", classes=20, images=12),
    "joins, far and near": JoinedSet("15 classes, far and near by a t distribution with 3 degrees of freedom", tails=3),
    "joins, turned": JoinedSet("all layers are one embedding, turned", turned=True),
    "joins, families": JoinedSet("15 classes in 5 super-classes", families=5),
    "joins, last": JoinedSet("images do not vary together, the last layer is the best", moved=0, lifts=(0.3, 0.4, 0.6)),
    "joins, 40": JoinedSet("40 classes of 6 images", classes=40, images=6),
}


def draw(design: JoinedSet, rng: np.random.Generator) -> tuple[dict[str, Any], Any]:
    """Draw layers (N, D) float32, and classes (N,)."""
    K, y = design.classes, np.repeat(np.arange(design.classes), design.images)
    base, N = rng.standard_normal((K, 12)), len(y)
    if design.families:
        families = rng.standard_normal((design.families, 12))[rng.integers(design.families, size=K)]
        base = np.sqrt(0.5) * (base + families)
    if design.tails is not None:
        base *= np.exp(0.5 * rng.standard_t(design.tails, K))[:, None]
    shared, own = rng.standard_normal((N, SHARED)), rng.standard_normal((N, 24))
    layers = {}
    for layer, (lift, D) in enumerate(zip(design.lifts, WIDTHS, strict=True)):
        fixed = np.random.default_rng([7, layer])
        if design.turned:
            signal = np.random.default_rng(7).standard_normal((12, 24)) / np.sqrt(12)
            turn = np.linalg.qr(fixed.standard_normal((24, 24)))[0]
            X = (0.6 * base[y] @ signal + 0.7 * own) @ turn + 0.02 * rng.standard_normal((N, 24))
        else:
            signal = fixed.standard_normal((12, D)) / np.sqrt(12)
            moved = design.moved * shared @ fixed.standard_normal((SHARED, D)) / np.sqrt(SHARED)
            X = lift * base[y] @ signal + moved + 0.7 * rng.standard_normal((N, D)) + 0.5
        layers[f"l{layer}"] = X.astype(np.float32)
    return layers, np.array([f"c{c:02}" for c in y])


def choice_of(name: str, number: int) -> Choice:
    """Draw one set and choose."""
    layers, labels = draw(DESIGNS[name], np.random.default_rng([number, crc32(name.encode())]))
    return choose_representation(layers, labels)


def row_of(name: str, sets: int) -> dict[str, Any]:
    """Draw sets of a design and count what holds, on one thread."""
    with threadpool_limits(1):
        return judged(name, [choice_of(name, number) for number in range(sets)])


def judged(name: str, choices: list[Choice]) -> dict[str, Any]:
    """Count what holds of the gain over the last layer."""
    found = [(gain_of(choice, range(len(choice.candidates))), choice.chosen) for choice in choices]
    return count(name, np.stack([choice.values for choice in choices]), choices[0].control, found)


def count(name: str, values: Any, control: int, gains: Sequence[tuple[Gain, int]]) -> dict[str, Any]:
    """Count what holds of the gain over a candidate.

    Args:
        name: of the design.
        values: (sets, candidates) scores.
        control: number of the candidate.
        gains: of every set, with the number of the candidate that was chosen.
    """
    over_last = values - values[:, [control]]
    truth, deviations = over_last.mean(axis=0), over_last.std(axis=0, ddof=1)
    found = []
    for gain, chosen in gains:
        true = truth[chosen]
        if gain.low is not None and gain.high is not None and gain.estimate is not None:
            pays, ideal = gain.status == Payoff.PAYS, 2 * NORMAL * deviations[chosen]
            holds = gain.low <= true <= gain.high
            found.append((holds, gain.high - gain.low, ideal, pays, pays and true <= 0, gain.estimate - true))
    holds, width, ideal, pays, false, error = np.array(found, float).T
    return {
        "design": name,
        "sets": len(gains),
        "lead": truth.max(),
        "gain": holds.mean(),
        "width / ideal": width.mean() / ideal.mean(),
        "falsely pays": false.sum() / len(gains),
        "pays": pays.sum() / len(gains),
        "error": np.sqrt(np.mean(error**2)),
    }
