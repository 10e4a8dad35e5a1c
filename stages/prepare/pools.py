"""The images of every class of a fold by split, and how many of them are taken. Pure: no file is read."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ..shared.runtime.errors import UserError
from ..shared.workflow.seeding import child_seed
from .candidates import Candidate, Split, describe_counts
from .groups import draw_groups
from .params import DatasetParams

T = TypeVar("T")

ByClass = dict[str, list[Candidate]]
Pools = dict[Split, ByClass]


def shuffled(items: Sequence[T], seed: int, *names: str) -> list[T]:
    """Return items in the order of a draw, which has a root seed and names, as `child_seed` takes them."""
    return [items[i] for i in np.random.default_rng(child_seed(seed, *names)).permutation(len(items))]


def class_pools(
    ordered: Sequence[Candidate], params: DatasetParams, seen: Sequence[str], unseen: Sequence[str], seed: int
) -> Pools:
    """Divide the images of seen classes into train and test images; those of unseen ones stay together.

    Args:
        ordered: what the source offers, sorted by id.
        params: the dataset's entry.
        seen, unseen: the fold's classes.
        seed: the dataset's root seed.

    Raises:
        UserError: nothing says, or two things say, which are test images.
    """
    by_class: ByClass = {}
    for candidate in ordered:
        by_class.setdefault(candidate.label, []).append(candidate)
    pools: Pools = {"train": {}, "test": {}, "unseen": {}}
    has_test = any(c.split == "test" for c in ordered if c.label in seen)
    fraction = checked_fraction(params, has_test=has_test) if seen else None
    grouped = draw_groups(ordered, fraction, seed)
    for label in seen:
        pools["train"][label], pools["test"][label] = _train_and_test(by_class[label], fraction, seed, grouped)
    for label in unseen:
        kept = [c for c in by_class[label] if c.split != "test"]  # as in the paper: not its test images
        pools["unseen"][label] = by_class[label] if params.all_unseen else kept or by_class[label]
    return pools


def checked_fraction(params: DatasetParams, *, has_test: bool) -> float | None:
    """Return the share of test images to draw; None: the data have test images of their own.

    Raises:
        UserError: they have and one is given, or they have not and none is.
    """
    if has_test and params.test_fraction is not None:
        raise UserError("test_fraction: the data have test images of their own; leave it out")
    if not has_test and params.test_fraction is None:
        raise UserError(
            "the data have no test images of seen classes; give `test_fraction` (for example 0.2), or a test split"
        )
    return params.test_fraction


def _train_and_test(
    candidates: list[Candidate], fraction: float | None, seed: int, test: set[str] | None
) -> tuple[list[Candidate], list[Candidate]]:
    """Divide the images of a class; `test` has the ids of the test images where they are drawn by groups."""
    if fraction is None:
        return [c for c in candidates if c.split == "train"], [c for c in candidates if c.split == "test"]
    if test is None:
        drawn = shuffled(candidates, seed, "test", candidates[0].label)
        test = {c.sample_id for c in drawn[: round(fraction * len(candidates))]}
    return [c for c in candidates if c.sample_id not in test], [c for c in candidates if c.sample_id in test]


def take_limited(pool: ByClass, split: Split, params: DatasetParams, seed: int) -> list[Candidate]:
    """Draw as many images of a split as its limits allow, class by class or over all classes."""
    limit = getattr(params, split)
    total = getattr(params, f"{split}_total", None)
    if total is not None:
        images = [c for label in sorted(pool) for c in pool[label]]
        if len(images) < total:
            raise UserError(
                f"{split}_total must be at most the number of {split} images of the seen classes, "
                f"{len(images)}; found {total}"
            )
        return shuffled(images, seed, "images", split)[:total]
    few = {label: len(candidates) for label, candidates in pool.items() if len(candidates) < (limit or 0)}
    if few and params.on_short_class == "error":
        raise UserError(
            f"{split}: every class must have {limit} {split} images, found {describe_counts(few)}; lower `{split}`, "
            "add images, set `on_short_class: keep`, or leave out classes of few images (`min_images`)"
        )
    orders = {label: shuffled(pool[label], seed, "images", split, label) for label in pool}
    return [candidate for order in orders.values() for candidate in order[:limit]]


def divide_as_seen(images: Sequence[Candidate], params: DatasetParams, seed: int) -> dict[str, Split]:
    """Divide images as those of seen classes are: `train` or `test` by id; none where nothing says how."""
    if params.test_fraction is None and not any(c.split == "test" for c in images):
        return {}
    classes = tuple(sorted({c.label for c in images}))
    pools = class_pools(sorted(images, key=lambda c: c.sample_id), params, classes, (), seed)
    splits: tuple[Split, ...] = ("train", "test")
    return {c.sample_id: split for split in splits for of_class in pools[split].values() for c in of_class}
