"""Studies of class scores with known gains: how often what is said of the gain over the last layer holds.

Nothing is embedded. Each class has a score at each layer of each checkpoint, and a layer's score is the mean over
classes. Where nothing else is said there are nine layers, and classes differ with a standard deviation of 0.17 in all
layers alike and of 0.06 in each, neighbouring layers alike. Each training adds a standard deviation of 0.02 to each
layer of a fold; frozen networks have none. Of images, six classes are fixed and each has 30 images.

    python -m tests.bench.simulation.class_studies --studies 400 --kind flat near --out gains.csv
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from stages.core.inference.layer_comparison import infer_layers
from stages.core.inference.refitted import Refits
from stages.core.scores.catalogue import SCORES
from tests.bench.simulation.coverage_table import gain_of, refits_of
from tests.bench.simulation.structured import along_depth
from tests.bench.skewed_classes import BEHIND, CLASSES, IMAGES, centre, mean_score

SCORE = SCORES["map_at_r"]
TIES = "best among ties"
"""Name of a share of studies."""
LAYERS, ALIKE, OWN, TRAINING = 9, 0.17, 0.06, 0.02
SHARE, FALL = 0.08, 0.3
"""Of classes on which a layer fails, and by how much it then falls short."""
KINSHIP = 0.6
"""Share of what is a layer's own that a class has at all checkpoints."""


class Shape(NamedTuple):
    """Folds, unseen classes of each, and whether the network is frozen; `halves`: of images of fixed classes."""

    folds: int
    classes: int
    frozen: bool = False
    halves: int = 0

    def __str__(self) -> str:
        return f"{self.folds} x {self.classes}" + (", frozen" if self.frozen else ", images" if self.halves else "")


FROZEN = [Shape(*each, frozen=True) for each in ((1, 12), (1, 20), (1, 50), (3, 5))]
TRAINED = [Shape(3, 5), Shape(5, 5)]
OF_IMAGES = [Shape(1, 6, halves=40)]

Population = Callable[[np.random.Generator, int, int], tuple[Any, Any]]
"""Draws scores of K classes in J folds, (J, T, K, L), with their expectations (T, L)."""


MADE_UP = FALL * SHARE / (1 - SHARE)
"""What such a layer gains in the other classes to be equal."""


def classes_of(rng: np.random.Generator, J: int, K: int, shape: tuple[int, int], alike: float, own: float) -> Any:
    """What classes add to the scores of (T, L) layers, (J, T, K, L)."""
    T, L = shape
    common = np.moveaxis(along_depth(rng, L, J, 1, K), 0, -1)
    if T > 1:
        common = np.sqrt(KINSHIP) * common + np.sqrt(1 - KINSHIP) * np.moveaxis(along_depth(rng, L, J, T, K), 0, -1)
    return alike * rng.normal(size=(J, 1, K, 1)) + own * common


def around(*means: Sequence[float], alike: float = ALIKE, own: float = OWN, tails: int | None = None) -> Population:
    """Normal classes about the mean of each layer, a row for each checkpoint; with `tails`, of a t distribution."""
    mean = np.array(means)

    def population(rng: np.random.Generator, J: int, K: int) -> tuple[Any, Any]:
        effects = classes_of(rng, J, K, mean.shape, alike, own)
        if tails is not None:
            effects /= np.sqrt(rng.chisquare(tails, size=(J, 1, K, 1)) / tails)
        return mean[:, None] + effects, mean

    return population


def failing(layer: int, *, equal: bool, own: float = OWN) -> Population:
    """A layer falls short in some of the classes; if it is equal all the same, it gains as much in the others."""

    def population(rng: np.random.Generator, J: int, K: int) -> tuple[Any, Any]:
        mean = np.full((1, LAYERS), 0.5)
        scores = mean + classes_of(rng, J, K, mean.shape, ALIKE, own)
        fails = rng.random((J, 1, K)) < SHARE
        scores[..., layer] += np.where(fails, -FALL, MADE_UP if equal else 0.0)
        mean[0, layer] -= 0.0 if equal else FALL * SHARE
        return scores, mean

    return population


def hard(*, equal: bool) -> Population:
    """30 % of the classes are hard; in these layers differ, and if equal the other way round in the others."""
    share, leads = 0.3, np.array([-0.2, -0.15, -0.1, -0.05, 0, 0.1, 0.1, 0.05, 0])

    def population(rng: np.random.Generator, J: int, K: int) -> tuple[Any, Any]:
        is_hard = rng.random((J, 1, K, 1)) < share
        others = -share / (1 - share) * leads if equal else np.zeros(LAYERS)
        scores = np.where(is_hard, 0.35 + leads, 0.85 + others) + classes_of(rng, J, K, (1, LAYERS), 0.05, OWN / 2)
        return scores, (share * (0.35 + leads) + (1 - share) * (0.85 + others))[None]

    return population


def near_limit(rng: np.random.Generator, J: int, K: int) -> tuple[Any, Any]:
    """Normal log-odds, the best of five layers at 0.97."""
    spread = float(np.hypot(CLASSES, IMAGES))
    at = centre(0.97, spread) - BEHIND
    noise = CLASSES * rng.normal(size=(J, 1, K, 1)) + IMAGES * rng.normal(size=(J, 1, K, len(at)))
    return expit(at + noise), np.array([[mean_score(each, spread) for each in at]])


EQUAL, HARDLY, BY_LITTLE = [0.5] * 9, [0.498] * 8 + [0.5], [0.45] * 5 + [0.502, 0.45, 0.45, 0.5]
RISE, PEAK = [0.3, 0.35, 0.4, 0.42, 0.44, 0.46, 0.47, 0.48, 0.5], [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.53, 0.51, 0.5]
BELOW = [[each - behind for each in RISE] for behind in (0.1, 0.02)]
HEAVY = around(EQUAL, alike=0.08, own=0.03, tails=2)

FAILS_ALONE, LEADS_ALONE = "one_fails_alone", "one_leads_alone"
LEADING = [0.5 + MADE_UP * (layer == 5) for layer in range(LAYERS)]

NOISY = "one_noisy"
TRAINED_NOISILY = np.where(np.arange(LAYERS) == 4, 0.1, TRAINING)

KINDS: dict[str, tuple[str, Population]] = {
    "flat": ("equal layers", around(EQUAL)),
    NOISY: ("equal layers, each training adds 0.1 to the fifth and 0.02 to others", around(EQUAL)),
    "near": ("one layer is better than the last by 0.002, the others worse by 0.05", around(BY_LITTLE)),
    "last_best": ("the last layer is the best by 0.02", around(RISE)),
    "last_best_hardly": ("the last layer is the best by 0.002", around(HARDLY)),
    "peak": ("one layer is better than the last by 0.05", around(PEAK)),
    "one_fails": ("equal layers, an earlier one fails on 8 % of the classes", failing(5, equal=True)),
    FAILS_ALONE: ("the same, classes differ by half as much otherwise", failing(5, equal=True, own=OWN / 2)),
    LEADS_ALONE: ("the same, and it fails on none, so that it leads", around(LEADING, own=OWN / 2)),
    "last_fails": ("the last layer fails on 8 % of the classes, others gain 0.024", failing(-1, equal=False)),
    "hard": ("30 % hard classes, in which a layer gains 0.1", hard(equal=False)),
    "hard_equal": ("30 % hard classes, in which layers gain what they lose in others", hard(equal=True)),
    "heavy": ("equal layers, classes of heavy tails (t with 2 degrees of freedom)", HEAVY),
    "near_limit": ("five layers near the limit, the best at 0.97, the last behind by much", near_limit),
    "layers24": ("24 equal layers", around([0.5] * 24)),
    "checkpoints": ("three checkpoints of nine equal layers", around(*[EQUAL] * 3)),
    "checkpoints_rise": ("three checkpoints, the last one and its last layer the best", around(*BELOW, RISE)),
}
"""What is drawn, in a few words."""


def study(rng: np.random.Generator, population: Population, shape: Shape, *, noisy: bool) -> tuple[list[Refits], Any]:
    """Draw the refits of each checkpoint of a study, and the true scores (T, L)."""
    J, K = shape.folds, shape.classes
    scores, truth = population(rng, J, K)
    if shape.halves:
        return of_images(rng, truth, shape), truth
    values = scores.mean(axis=2)  # (J, T, L)
    without = (scores.sum(axis=2, keepdims=True) - scores) / (K - 1)  # (J, T, K, L)
    if not shape.frozen:
        noise = TRAINED_NOISILY if noisy else TRAINING
        trained = noise * np.moveaxis(along_depth(rng, truth.shape[1], J, len(truth)), 0, -1)
        values, without = values + trained, without + trained[:, :, None]
    return [
        refits_of({"values": values[:, None, t], "without": without[:, None, t]}, SCORE, frozen=shape.frozen)
        for t in range(len(truth))
    ], truth


def of_images(rng: np.random.Generator, truth: Any, shape: Shape, images: int = 30) -> list[Refits]:
    """Scores of the images of fixed classes, and of complementary halves of each class's images."""
    J, K, (T, L) = shape.folds, shape.classes, truth.shape
    scores = truth[:, None] + classes_of(rng, J, K * images, (T, L), 0.35, 0.25)  # (J, T, N, L)
    in_half = np.zeros((shape.halves, K, images), bool)
    for pair in range(0, shape.halves, 2):
        order = rng.permuted(np.tile(np.arange(images), (K, 1)), axis=1)
        in_half[pair], in_half[pair + 1] = order < images // 2, order >= images // 2
    weights = in_half.reshape(shape.halves, -1) / (K * images / 2)
    halves = np.einsum("bn,jtnl->jtbl", weights, scores)
    return [
        refits_of({"values": scores[:, None, t].mean(axis=2), "halves": halves[:, None, t]}, SCORE, frozen=False)
        for t in range(T)
    ]


def least_false(classes: int, pays: float) -> float:
    """Return the least share of false *pays* if a layer fails alone, of any rule.

    Samples without a class on which it fails have the distribution of those in which it leads alone.

    Args:
        classes: of a sample, of all folds.
        pays: share of the samples in which it leads alone in which the rule shows that choosing pays.
    """
    return float((1 - SHARE) ** classes * pays)


IMAGE_KINDS = ("flat", "near", "last_best", "peak", "checkpoints")


def runs_of(kinds: Sequence[str] = tuple(KINDS)) -> list[tuple[str, Shape]]:
    """Every kind with every shape of study that it is drawn in."""
    return [
        (name, shape)
        for name in kinds
        for shape in (TRAINED if name == NOISY else [*FROZEN, *TRAINED, *(OF_IMAGES if name in IMAGE_KINDS else [])])
    ]


def row_of(name: str, shape: Shape, studies: int) -> dict[str, Any]:
    """Shares of studies in which what is said of the gain holds."""
    about, population = KINDS[name]
    judged = []
    with threadpool_limits(1):
        for number in range(studies):
            refits, truth = study(np.random.default_rng([number, *shape]), population, shape, noisy=name == NOISY)
            judged.append(gain_of(refits, truth) | ties_hold(refits[-1], truth[-1]))
    shares = pd.DataFrame(judged).astype(float).mean()
    return {"kind": name, "about": about, "shape": str(shape), "studies": studies} | shares.to_dict()


def ties_hold(refits: Refits, truth: Any) -> dict[str, Any]:
    """Whether a truly best layer is among the ties: the share of those that are equally good."""
    (found, *_) = infer_layers(refits).values()
    assert found.tied is not None
    return {TIES: found.tied[np.isclose(truth, truth.max(), rtol=0, atol=1e-12)].mean()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="of each kind and shape")
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, help="a CSV file for the table")
    args = parser.parse_args()
    table = pd.DataFrame([row_of(*run, args.studies) for run in tqdm(runs_of(args.kind), disable=None)])
    table.to_csv(args.out, index=False)
    print(table.drop(columns="about").round(3).to_string(index=False))


if __name__ == "__main__":
    main()
