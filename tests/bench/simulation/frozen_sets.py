"""Sets of embeddings of a frozen network, whose classes are drawn anew, and MAP@R of each with and without each class.

Seventeen designs that a user may have: unlike classes, sizes and labels, few and many layers. One set takes tens of
milliseconds, so that the rare errors of what is said of the gain can be counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from threadpoolctl import threadpool_limits

from stages.core.inference.scopes import infer
from stages.core.scores.catalogue import SCORES
from stages.core.scores.embedded_split import unit_rows
from stages.core.scores.halves import complementary_halves
from stages.core.scores.refits import class_groups
from tests.bench.simulation.coverage_table import NORMAL, gain_of, layers_of, refits_of
from tests.bench.simulation.structured import along_depth

SCORE = SCORES["map_at_r"]

PEAK = (1.0, 1.05, 1.15, 1.3, 1.45, 1.6, 1.48, 1.32, 1.2)
LOW_PEAK = (1.0, 1.05, 1.1, 1.2, 1.3, 1.38, 1.32, 1.25, 1.2)
FLAT = (1.3,) * 9
HAIR = (1.29,) * 8 + (1.3,)


@dataclass(frozen=True)
class FrozenSet:
    """One design: how embeddings are drawn.

    Classes and images change from layer to layer by little, and every number of a class has the same distribution at
    all depths, so that layers of equal quality are equally good on average.

    Attributes:
        about: what is drawn, in a few words.
        quality: of each layer, how far its class means lie apart, over the images' spread.
        classes: K.
        images: of each class, or the fewest and the most, drawn by ratio.
        own: spread of the logarithm of how well a class suits a layer.
        easiness: spread of the logarithm of how far a class lies from the others at all layers.
        tails: degrees of freedom of its t distribution; None: normal.
        families: super-classes, which have `kinship` of the variance of class means; 0: none.
        wrong: share of the labels that are another class's.
        bursts: share of the images that come in near copies of four.
        hubs: spread of the logarithm of images' distances from what all have in common; 0: all have nothing in common.
        writers: groups of each class, whose images lie together; 0: none.
        failing: by what the fifth layer's distances are multiplied in 8 % of the classes, and in the others, so that
            it is as good as the others on average, to 0.003; None: it does not fail.
        fixed: whether classes are the same in every set and only images are new.
        D: features.
    """

    about: str
    quality: tuple[float, ...] = PEAK
    classes: int = 12
    images: int | tuple[int, int] = 15
    own: float = 0.3
    easiness: float = 0.25
    tails: float | None = None
    families: int = 0
    kinship: float = 0.6
    wrong: float = 0.0
    bursts: float = 0.0
    hubs: float = 0.0
    writers: int = 0
    failing: tuple[float, float] | None = None
    fixed: bool = False
    D: int = 16


DESIGNS: dict[str, FrozenSet] = {
    "heavy tails": FrozenSet("classes lie far and near, by a t distribution with 1.5 degrees of freedom", tails=1.5),
    "families": FrozenSet("12 classes in 4 super-classes", families=4),
    "equal": FrozenSet("20 classes in 4 super-classes, equal layers", FLAT, classes=20, families=4, own=0.15),
    "uneven": FrozenSet(
        "classes of 2 to 60 images", (1.0, 1.05, 1.15, 1.3, 1.47, 1.65, 1.48, 1.32, 1.2), images=(2, 60)
    ),
    "wrong labels": FrozenSet("10 % wrong labels", wrong=0.1),
    "bursts": FrozenSet("a third of the images in bursts of four", bursts=1 / 3),
    "small lead": FrozenSet("a lead of 0.09", LOW_PEAK, own=0.12),
    "hubs": FrozenSet("distances from the common mean vary", hubs=0.4, D=64),
    "25 layers": FrozenSet("25 layers, nearly tied", (1.28,) * 8 + (1.32,) * 5 + (1.28,) * 12, own=0.2),
    "hair": FrozenSet("the last layer is the best by a hair", HAIR, own=0.2),
    "one fails": FrozenSet("equal layers, one fails on 8 % of 12 classes", FLAT, own=0.15, failing=(0.4, 1.075)),
    "one fails, 20": FrozenSet("the same, 20 classes", FLAT, classes=20, own=0.15, failing=(0.4, 1.075)),
    "5 classes": FrozenSet(
        "5 fixed classes of 30 images, over images", FLAT, own=0.1, classes=5, images=30, fixed=True
    ),
    "200 classes": FrozenSet("200 classes of 5 images", LOW_PEAK, classes=200, images=5),
    "49 layers": FrozenSet("49 layers", tuple(1.2 + 0.6 * np.sin(np.linspace(0, 2.6, 49)) ** 2)),
    "8 features": FrozenSet("8 features", D=8),
    "2048 features": FrozenSet("2048 features", D=2048, quality=(0.8, 0.84, 0.92, 1.04, 1.16, 1.28, 1.18, 1.06, 0.96)),
    "writers": FrozenSet("six writers of each class", images=24, writers=6),
    "hair, 20 classes": FrozenSet("the last layer is the best by a hair, 20 classes", HAIR, classes=20, own=0.2),
}

FAILING, FAILS = 0.08, 4
"""Share of the classes on which a layer fails, and which one."""

EXTREME = 6.0
"""Largest logarithm, beyond which float32 ends."""

CENTRES = 0.6
"""Of the variance of images within a class, the share that writers have in common."""

HALVES = 40

RARE = 0.2
"""Share of sets up to which it is not asked how many of those that could show a lead do."""


def draw(design: FrozenSet, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Draw embeddings (L, N, D) float32, classes (N,) in order, and groups (N,) or None."""
    L, K, D, quality = len(design.quality), design.classes, design.D, np.array(design.quality)[:, None, None]
    of_classes = np.random.default_rng(41) if design.fixed else rng
    if isinstance(design.images, tuple):
        sizes = np.exp(rng.uniform(*np.log([design.images[0], design.images[1] + 1]), size=K)).astype(int)
    else:
        sizes = np.full(K, design.images)
    y = np.repeat(np.arange(K), sizes)
    N, groups = len(y), None
    means = along_depth(of_classes, L, K, D)
    if design.families:
        families = along_depth(of_classes, L, design.families, D)[:, of_classes.integers(design.families, size=K)]
        means = np.sqrt(design.kinship) * families + np.sqrt(1 - design.kinship) * means
    tails, own = design.tails, design.own * along_depth(of_classes, L, K, 1)
    easiness = of_classes.normal(size=(K, 1)) if tails is None else of_classes.standard_t(tails, size=(K, 1))
    means *= quality * np.exp(np.clip(design.easiness * easiness + own, -EXTREME, EXTREME)) * np.sqrt(4 / D)
    if design.failing:
        means[FAILS] *= np.where(of_classes.random(K) < FAILING, *design.failing)[:, None]
    noise = along_depth(rng, L, N, D) * np.sqrt(4 / D) if D < 512 else _many_features(rng, L, N, D)
    if design.writers:
        groups = y * design.writers + np.concatenate([np.arange(size) % design.writers for size in sizes])
        moved = along_depth(rng, L, K * design.writers, D)[:, groups] * np.sqrt(4 / D)
        noise = np.sqrt(CENTRES) * moved + np.sqrt(1 - CENTRES) * noise
    if design.bursts:
        first = np.arange(N) - np.arange(N) % 4
        copied = (rng.random(N) < design.bursts)[first] & (y[first] == y)
        noise[:, copied] = noise[:, first[copied]] + 0.2 * noise[:, copied]
    embedded = means[:, y] + noise
    if design.hubs:
        embedded = 2 * np.sqrt(4 / D) + np.exp(design.hubs * along_depth(rng, L, N, 1)) * embedded
    if design.wrong:
        y = np.where(rng.random(N) < design.wrong, (y + rng.integers(1, K, size=N)) % K, y)
        order = np.argsort(y, kind="stable")
        embedded, y = embedded[:, order], y[order]
    return embedded.astype(np.float32), y, groups


def _many_features(rng: np.random.Generator, L: int, N: int, D: int) -> Any:
    """The same noise in single precision: of neighbouring layers alike."""
    noise = rng.standard_normal((L, N, D), dtype=np.float32)
    for layer in range(1, L):
        noise[layer] = 0.8 * noise[layer - 1] + 0.6 * noise[layer]
    return noise * np.float32(np.sqrt(4 / D) * (D / 16) ** 0.25)


def scores_of(design: FrozenSet, rng: np.random.Generator, of_halves: int | None = None) -> tuple[Any, Any]:
    """Draw one set: MAP@R of each layer (L,), and without each class, or of halves if they are fixed (P, L).

    `of_halves` is their seed; None: drawn as well.
    """
    embedded, y, _ = draw(design, rng)
    rows = np.stack([unit_rows(layer) for layer in embedded])
    if design.fixed:
        seed = int(rng.integers(2**32)) if of_halves is None else of_halves
        halves = complementary_halves(y.astype(str), HALVES, seed)
        return _scores_without(rows, y, [])[0], np.stack(
            [_scores_without(rows[:, half], y[half], [])[0] for half in halves]
        )
    names = [f"{c:03}" for c in range(design.classes)]
    table = _scores_without(rows, y, class_groups(names))
    return table[0], table[1:]


def _scores_without(rows: Any, y: Any, left_out: Sequence[Any]) -> Any:
    """MAP@R of L layers (L, N, D) of unit rows, and without each group of classes, (1 + groups, L).

    An image's rank without a group is its rank less the images of the group that come before it.
    """
    sizes = np.bincount(y)
    part_of, P = np.zeros(len(sizes), int), len(left_out)
    for part, classes in enumerate(left_out):
        part_of[classes] = part
    largest = max((int(sizes[classes].sum()) for classes in left_out), default=0)
    kept, R = min(len(y) - 1, int(sizes.max()) - 1 + largest), sizes[y] - 1
    own, total = part_of[y], np.zeros((1 + P, len(rows)))
    each, deepest = np.arange(len(y)), int(R.max())
    for layer, X in enumerate(rows.astype(np.float64)):
        similar = X @ X.T
        similar[each, each] = -np.inf
        nearest = np.argpartition(-similar, kept - 1, axis=1)[:, :kept]
        nearest = np.take_along_axis(
            nearest, np.argsort(-np.take_along_axis(similar, nearest, 1), axis=1, kind="stable"), 1
        )
        query, rank = np.nonzero(y[nearest] == y[:, None])  # hits, by query and rank
        starts = np.searchsorted(query, each)
        hit = np.arange(len(query)) - starts[query] + 1.0
        hit_R = R[query]
        whole = np.where(rank < hit_R, hit / (rank + 1), 0) / hit_R
        total[0, layer] = whole.sum() / len(y)
        if P:
            before = np.cumsum(part_of[y[nearest]][:, :, None] == np.arange(P), axis=1, dtype=np.int16)[query, rank]
            ranks = rank[:, None] + 1 - before
            ranks[np.arange(len(query)), own[query]] = deepest + 1  # a query that is left out itself
            sums = (np.where(ranks <= hit_R[:, None], hit[:, None] / ranks, 0) / hit_R[:, None]).sum(axis=0)
            total[1:, layer] = sums / (len(y) - np.bincount(own, minlength=P))
    return total


def truth_of(design: FrozenSet, values: Any) -> Any:
    """Expected score of every layer, (L,), from sets (R, L); of layers that are alike the mean over them."""
    means = values.mean(axis=0)
    if design.fixed:
        return means
    quality = np.array(design.quality)
    return np.array([means[quality == own].mean() for own in quality])


def row_of(name: str, sets: int) -> dict[str, Any]:
    """Draw sets of a design and count what holds, on one thread."""
    with threadpool_limits(1):
        seeds = ([number, crc32(name.encode())] for number in range(sets))
        drawn = [scores_of(DESIGNS[name], np.random.default_rng(seed)) for seed in seeds]
        return judged(name, *(np.stack(part) for part in zip(*drawn, strict=True)))


def judged(name: str, values: Any, refitted: Any) -> dict[str, Any]:
    """Count what holds of the gain over the last layer, and of the layers' own scores.

    Args:
        name: of the design.
        values: (R, L) MAP@R of sets.
        refitted: (R, P, L) the same without each class, or of halves.

    Returns:
        Shares of sets, of those in which an earlier layer is named if it is about its gain. An ideal interval knows the
        standard deviation of the plain difference, and `shown` is the share, of the sets in which a two-sided test at
        5 % that knew it and the best layer would show its lead, in which choosing is said to pay.
    """
    design = DESIGNS[name]
    truth = truth_of(design, values)
    part, scope = ("halves", "images") if design.fixed else ("without", "classes")
    found = []
    for value, parts in zip(values, refitted, strict=True):
        refits = refits_of({"values": value[None, None], part: parts[None, None]}, SCORE, frozen=not design.fixed)
        inference = infer(refits)[scope]
        found.append(gain_of([refits], truth[None]) | layers_of(inference, truth, SCORE))
    table = {column: np.array([each[column] for each in found], float) for column in found[0]}
    named, differences = table["gain named"] > 0, values - values[:, -1:]
    deviations, best = differences.std(axis=0, ddof=1), int(truth[:-1].argmax())
    ideal = 2 * NORMAL * deviations[values.argmax(axis=1)][named].mean()
    seen = differences[:, best] > NORMAL * deviations[best]
    columns = ("pays", "falsely pays", "does not pay", "falsely does not", "gain at most", "gain named", "chosen")
    return {"design": name, "sets": len(values), "lead": truth[best] - truth[-1]} | {
        "gain": table["gain"][named].mean(),
        "width / ideal": table["gain width"][named].mean() / ideal,
        "error": np.sqrt(np.mean(table["gain error"][named] ** 2)),
        "bias": table["gain error"][named].mean(),
        "cross-validated error": np.sqrt(np.mean(table["cross-validated error"][named] ** 2)),
        "could be shown": seen.mean(),
        "shown": table["pays"][seen].mean() if seen.any() else np.nan,
        "detectable": np.median(table["detectable"]),
        "layers": table["coverage"].mean(),
        **{column: table[column].mean() for column in columns},
    }
