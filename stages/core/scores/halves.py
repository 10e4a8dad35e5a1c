"""Complementary halves of a cell's unseen images, on which scores are fitted again.

A half drawn without replacement repeats no image, and a score of half as many images, drawn from a finite set of twice
as many, has about the variance of the score of all of them.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ...shared.runtime.errors import UserError
from ...shared.workflow.seeding import child_seed

TRIES = 100
"""Draws of groups before it is given up that every class stands in both halves."""

Half = NDArray[np.bool_]


def halves_seed(dataset: str, fold: str, sample_ids: Iterable[str]) -> int:
    """Seed of the halves of one split: the same for every layer, training seed and network that embeds these images."""
    return child_seed(0, "halves", dataset, fold, *sample_ids)


def complementary_halves(
    labels: NDArray[np.str_], count: int, seed: int, *, groups: NDArray[np.str_] | None = None
) -> NDArray[np.bool_]:
    """Draw halves in pairs, each half of a pair holding the images that the other lacks.

    Every class is split evenly; of an odd number of images either half may get one more. Where images have groups
    (a writer, a patient), a group stays whole, and classes are split as evenly as random groups allow.

    Args:
        labels: (N,) classes.
        count: number of halves, even.
        seed: of the draws.
        groups: (N,) group of every image.

    Returns:
        (count, N) whether an image is in the half; halves 2 i and 2 i + 1 are a pair.

    Raises:
        UserError: a class cannot stand in both halves, for lack of images or of groups; names it. Or no class has three
            images: one image each would tell nothing of a layer.
    """
    rng, pairs = np.random.default_rng(seed), []
    for _ in range(count // 2):
        half = _split_images(labels, rng) if groups is None else _split_groups(labels, groups, rng)
        pairs += [half, ~half]
    if pairs and np.unique(labels, return_counts=True)[1].max() < 3:
        raise UserError("no class has three images, so that each would have a single one in a half; add images")
    return np.array(pairs, dtype=bool).reshape(len(pairs), len(labels))


def _split_images(labels: NDArray[np.str_], rng: np.random.Generator) -> Half:
    half = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < 2:
            raise UserError(_too_few(str(label), "images"))
        half[rows[: (len(rows) + rng.integers(2)) // 2]] = True
    return half


def _split_groups(labels: NDArray[np.str_], groups: NDArray[np.str_], rng: np.random.Generator) -> Half:
    names, codes = np.unique(labels, return_inverse=True)
    group_of = np.unique(groups, return_inverse=True)[1]
    sizes = np.zeros((int(group_of.max()) + 1, len(names)))  # (G, K) images by group and class
    np.add.at(sizes, (group_of, codes), 1)
    for _ in range(TRIES):
        taken = _balanced(sizes, rng)
        lacking = ~(sizes[taken].any(axis=0) & sizes[~taken].any(axis=0))
        if not lacking.any():
            return np.asarray(taken[group_of])
    raise UserError(_too_few(str(names[lacking.argmax()]), "groups"))


def _balanced(sizes: NDArray[np.float64], rng: np.random.Generator) -> Half:
    """Deal groups in random order to the half that leaves the classes more evenly split, (G,)."""
    taken, surplus = np.zeros(len(sizes), dtype=bool), np.zeros(sizes.shape[1])
    for group in rng.permutation(len(sizes)):
        lean = float(surplus @ sizes[group])
        taken[group] = lean < 0 or (lean == 0 and rng.random() < 0.5)
        surplus += sizes[group] if taken[group] else -sizes[group]
    return taken


def _too_few(label: str, units: str) -> str:
    return (
        f"class {label!r} must have at least two {units} so that it stands in both halves of the images, found too "
        f"few; add {units}, leave the class out, or ask for no halves"
    )
