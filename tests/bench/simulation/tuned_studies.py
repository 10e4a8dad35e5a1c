"""Studies of fine-tuned networks of which representations are chosen, and what is said of their gain.

Every fold has a network that was trained on the other folds' classes: at the last checkpoint its layers stress the
directions in which these differ, and each training adds noise. The truth of a candidate is its mean score over all
studies of a design, which are drawn alike.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from threadpoolctl import threadpool_limits

from stages.core.inference.best import best_candidate
from stages.core.inference.representations import gain_over_folds
from stages.core.representations.choice import Judgement, judge_classes
from tests.bench.simulation.joined_sets import SHARED, WIDTHS, count

STRESSED = 6
"""Directions that training stresses, of twelve."""


@dataclass(frozen=True)
class TunedStudy:
    """One design.

    Attributes:
        about: what is drawn, in a few words.
        folds, classes, images: folds, unseen classes of each, images of a class.
        tails: degrees of freedom of the t distribution of how far a class lies out, on a logarithm; None: all alike.
        moved: how far the images of all classes vary together, 0.6 times that after training.
        lifts: of each layer, before and after training, how far its class means lie apart.
        stress: how much further apart training moves them in the directions in which seen classes differ.
        noise: of each training.
        turned: all layers are one embedding in other axes, so that there is nothing to gain.
    """

    about: str
    folds: int = 4
    classes: int = 5
    images: int = 12
    tails: float | None = None
    moved: float = 0.8
    lifts: tuple[tuple[float, ...], ...] = ((0.5, 0.6, 0.45), (0.5, 0.75, 0.6))
    stress: float = 0.5
    noise: float = 0.15
    turned: bool = False


RISING = ((0.3, 0.35, 0.45), (0.3, 0.4, 0.6))

DESIGNS = {
    "tuned, 3 x 5": TunedStudy("three folds of five classes, images vary together", folds=3, images=14),
    "tuned, 4 x 5": TunedStudy("the same, four folds"),
    "tuned, 5 x 5": TunedStudy("the same, five folds", folds=5, images=10),
    "tuned, 3 x 5 last": TunedStudy("three folds, the last layer is the best", 3, images=14, moved=0, lifts=RISING),
    "tuned, 4 x 5 last": TunedStudy("the same, four folds", moved=0, lifts=RISING),
    "tuned, noisy": TunedStudy("trainings differ much", stress=1, noise=0.5),
    "tuned, turned": TunedStudy("all layers are one embedding, turned", folds=3, images=14, turned=True),
    "tuned, far and near": TunedStudy("classes far and near", tails=3),
}


def judgements(design: TunedStudy, rng: np.random.Generator) -> list[list[Judgement]]:
    """Draw a study and score it: for each checkpoint, every fold."""
    K = design.folds * design.classes
    y, folds = np.repeat(np.arange(K), design.images), np.arange(K) % design.folds
    base = rng.standard_normal((K, 12))
    if design.tails is not None:
        base *= np.exp(0.5 * rng.standard_t(design.tails, K))[:, None]
    shared, own = rng.standard_normal((len(y), SHARED)), rng.standard_normal((len(y), 24))
    errors = [rng.standard_normal((len(y), D)) for D in WIDTHS]

    def layer_of(number: int, trained: int, fold: int) -> Any:
        fixed, D = np.random.default_rng([7, number]), WIDTHS[number]
        if design.turned:
            signal = np.random.default_rng(7).standard_normal((12, 24)) / np.sqrt(12)
            turn = np.linalg.qr(fixed.standard_normal((24, 24)))[0]
            return (0.6 * base[y] @ signal + 0.7 * own) @ turn + 0.02 * errors[number][:, :24]
        signal, moves = fixed.standard_normal((12, D)), fixed.standard_normal((SHARED, D)) / np.sqrt(SHARED)
        seen = base[folds != fold]
        axes = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)[2][:STRESSED]
        stressed = np.eye(12) + trained * design.stress * axes.T @ axes
        signal = signal + trained * design.noise * rng.standard_normal(signal.shape)
        means = design.lifts[trained][number] * base @ stressed @ signal / np.sqrt(12)
        return means[y] + design.moved * 0.6**trained * shared @ moves + 0.7 * errors[number] + 0.5

    labels = np.array([f"c{c:02}" for c in y])
    return [
        [
            judge_classes(
                {f"l{number}": layer_of(number, trained, fold).astype(np.float32) for number in range(len(WIDTHS))},
                labels,
                np.unique(labels)[folds == fold].tolist(),
            )
            for fold in range(design.folds)
        ]
        for trained in range(len(design.lifts))
    ]


def row_of(name: str, studies: int) -> dict[str, Any]:
    """Draw studies of a design and count what holds, on one thread."""
    values, found = [], []
    with threadpool_limits(1):
        for number in range(studies):
            drawn = judgements(DESIGNS[name], np.random.default_rng([number, crc32(name.encode())]))
            means, without = (
                np.array([[getattr(each, part) for each in folds] for folds in drawn])
                for part in ("class_scores", "without")
            )
            plain = [(each.join, each.recipe) == ("single", "plain") for each in drawn[0][0].candidates]
            control, scores = int(np.flatnonzero(plain)[-1]), means.mean(axis=3)  # (T, J, C)
            best = best_candidate(scores.mean(axis=1))
            assert best is not None
            T, _, C = scores.shape
            values.append(scores.mean(axis=1).ravel())
            gain = gain_over_folds(scores[:, :, None], without[:, :, None], control)
            found.append((gain, best[0] * C + best[1]))
    return count(name, np.array(values), (T - 1) * C + control, found)
