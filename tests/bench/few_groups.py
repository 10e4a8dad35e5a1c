"""How often intervals over other images hold where few groups of images (writers) differ much from each other.

A writer moves all its images, and draws its classes together or apart. Images, halves and scores are made as the
measure stage makes them, in rows of length 1; how often does the interval hold the mean score of other writers' images?

- *of each class*: each writer writes one class, and each class has so many writers;
- *one of two classes*: the same, but one writer writes two classes;
- *of all classes*: each writer writes every class.

Where too few groups say nothing, what the interval would be is given as well (column `said`).

    python -m tests.bench.few_groups
"""

import argparse
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pandas as pd

from stages.core.inference import scopes
from stages.core.inference.layer_comparison import score_intervals
from stages.core.inference.refitted import Refits, degrees_of_freedom, fewest_groups, find_groups
from stages.core.scores.catalogue import SCORES
from stages.core.scores.embedded_split import EmbeddedSplit, Settings, unit_rows
from stages.core.scores.halves import complementary_halves
from stages.core.scores.kmeans import Search
from stages.core.scores.refits import subset_scores

METRICS = ("nn1_accuracy", "knn_purity", "map_at_r", "silhouette")
KINDS = ("of each class", "one of two classes", "of all classes")
WRITERS = [(KINDS[0], 5, 2), (KINDS[1], 5, 2), (KINDS[0], 5, 3), (KINDS[0], 4, 4), (KINDS[2], 5, 6)]
"""Kind, classes, and writers of each class."""
SPREADS = [(0.8, 1.5), (1.2, 1.5)]
"""Standard deviations of a writer's shift and of the classes' centres, where that of an image is 1."""
PER_WRITER, WIDTH, HALVES, APART = 12, 8, 40, 0.3
"""Images of a class by one writer, features, halves, and the standard deviation of the logarithm of how far a writer
draws classes apart."""
SEARCH = Search(1, 1, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="of each design")
    parser.add_argument("--truth", type=int, default=1000, help="further ones over which the true score is averaged")
    args = parser.parse_args()
    print(pd.DataFrame(rows(args.sets, args.truth)).to_string(index=False))


def rows(sets: int, truth: int) -> Iterator[dict]:
    """Shares of data sets in which each score's interval holds, of every design."""
    for kind, classes, number in WRITERS:
        for spread in SPREADS:
            random = np.random.default_rng(0)
            centres = spread[1] * np.random.default_rng(77).standard_normal((classes, WIDTH))
            expected = np.mean(
                [scored(draw(random, kind, number, centres, spread[0])[0]) for _ in range(truth)], axis=0
            )
            held = pd.DataFrame([hold(random, kind, number, centres, spread[0], expected) for _ in range(sets)])
            design = {"writers": f"{number} {kind}", "classes": classes, "writer": spread[0], "class": spread[1]}
            yield design | held.mean().round(3).to_dict()


def draw(
    random: np.random.Generator, kind: str, number: int, centres: np.ndarray, shift: float
) -> tuple[EmbeddedSplit, np.ndarray]:
    """One data set and its images' writers, which keep none from being a neighbour."""
    y = np.repeat(np.arange(len(centres)), number * PER_WRITER)
    writer = np.tile(np.repeat(np.arange(number), PER_WRITER), len(centres))
    if kind != KINDS[2]:
        writer += number * y
        writer[writer == number] = 0 if kind == KINDS[1] else number
    shifts = shift * random.standard_normal((writer.max() + 1, WIDTH))
    apart = np.exp(APART * random.standard_normal(writer.max() + 1))
    X = unit_rows(apart[writer, None] * centres[y] + shifts[writer] + random.standard_normal((len(y), WIDTH)))
    return EmbeddedSplit(X.astype(np.float32), y, Settings(number * PER_WRITER, SEARCH, 1.0, 2, 0, 0)), writer


def scored(split: EmbeddedSplit) -> list[float]:
    """The scores of all images."""
    return [SCORES[metric].compute(split).value for metric in METRICS]


def hold(
    random: np.random.Generator, kind: str, number: int, centres: np.ndarray, shift: float, expected: np.ndarray
) -> dict[str, float]:
    """Whether the interval of each score of one data set holds, and whether it is said at all."""
    split, writer = draw(random, kind, number, centres, shift)
    labels, groups = split.y.astype(str), writer.astype(str)
    halves = complementary_halves(labels, HALVES, int(random.integers(2**31)), groups=groups)
    values, again = scored(split), subset_scores(split, halves, [SEARCH] * HALVES, METRICS)
    pairs = find_groups(labels, groups)
    assert pairs is not None
    held = {"said": degrees_of_freedom(pairs)[0] >= scopes.MIN_DF and fewest_groups([pairs]) >= scopes.MIN_GROUPS}
    with mock.patch.object(scopes, "MIN_DF", 1), mock.patch.object(scopes, "MIN_GROUPS", 1):
        for metric, value, halved, truth in zip(METRICS, values, again.T, expected, strict=True):
            one = np.array(value).reshape(1, 1, 1), np.empty((1, 1, 0, 1)), halved.reshape(1, 1, -1, 1)
            inference = scopes.over_images(Refits((("layer", "mean"),), *one, SCORES[metric], (pairs,)))
            low, high = score_intervals(inference, SCORES[metric])[0][:, 0]
            held[metric] = np.nan if np.isnan(low) else float(low <= truth <= high)  # where all halves agree
    return held


if __name__ == "__main__":
    main()
