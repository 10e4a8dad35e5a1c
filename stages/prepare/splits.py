"""Which candidates become train, test and unseen images. Pure: no file is read.

Every draw has a seed of its own, derived from the dataset's seed and from what is drawn; a smaller limit takes a
subset of what a larger one takes.
"""

from collections.abc import Mapping, Sequence, Set
from typing import cast

import numpy as np

from stages.prepare.candidates import Candidate, Split, check_names
from stages.prepare.params import DatasetParams
from stages.shared.console import UserError, nearest
from stages.shared.image_store import SPLITS
from stages.shared.seeding import child_seed

MINIMUM = {"train": 1, "test": 2, "unseen": 2}
"""Images per class below which a score is undefined: a nearest neighbour of the same class needs a second image."""

SMALL = 10
"""Images per class of a scored split below which scores are coarse, and cross-validation may be impossible."""

ByClass = dict[str, list[Candidate]]
Pools = dict[Split, ByClass]


def assign_splits(candidates: Sequence[Candidate], params: DatasetParams, seed: int) -> dict[Split, list[Candidate]]:
    """Choose the images of each split.

    Args:
        candidates: what the source offers, ids unique.
        params: the dataset's entry: classes, limits, fractions.
        seed: the dataset's root seed.

    Returns:
        For train, test and unseen the chosen candidates, sorted by label and id.

    Raises:
        UserError: a class does not exist, is seen and unseen, or has fewer images than the splits need; or a name has
            control characters.
    """
    check_names(candidates)
    ordered = sorted(candidates, key=lambda c: c.sample_id)
    unseen = choose_unseen(ordered, params, seed)
    seen = _seen_classes(ordered, params, unseen)
    _check_number_of_classes(params, seen, unseen)
    pools = _pools(ordered, params, seen, unseen, seed)
    chosen = {split: _limit(pool, split, params, seed) if pool else [] for split, pool in pools.items()}
    splits = {split: sorted(chosen[split], key=lambda c: (c.label, c.sample_id)) for split in chosen}
    check_sizes(splits, seen, unseen)
    return splits


def choose_unseen(candidates: Sequence[Candidate], params: DatasetParams, seed: int) -> set[str]:
    """Choose the unseen classes: all, by name, by draw, or those that come in a split `unseen`.

    Raises:
        UserError: one does not exist, none is given, or a class comes both as unseen and in another split.
    """
    labels = sorted({c.label for c in candidates})
    given = {c.label for c in candidates if c.split == "unseen"}
    named, count = params.unseen_classes, params.unseen_count
    if params.all_unseen:
        return set(labels)
    if given and (named is not None or count is not None):
        raise UserError(
            "the data name their unseen classes in a split `unseen`; leave out `unseen_classes` and `unseen_count`"
        )
    if given:
        _check_overlap(candidates, given)
        return given
    if named is not None:
        _check_known(named, labels, "unseen_classes")
        return set(named)
    if count is None:
        raise UserError(
            "unseen_classes is missing: give names, or `unseen_count: 5` to draw as many, or `all` for networks that "
            f"are measured as they are; classes: {', '.join(labels[:30])}{', ...' if len(labels) > 30 else ''}"
        )
    return _draw_classes(labels, count, params, seed)


def check_sizes(splits: Mapping[Split, Sequence[Candidate]], seen: Set[str], unseen: Set[str]) -> None:
    """Check that every class has images enough for a score to be defined.

    Raises:
        UserError: a class is below `MINIMUM`.
    """
    for split, least in MINIMUM.items():
        counts = class_counts(splits[cast(Split, split)])
        for label in sorted(unseen if split == "unseen" else seen):
            if counts.get(label, 0) < least:
                raise UserError(
                    f"class {label!r} must have at least {least} {split} image(s), found "
                    f"{counts.get(label, 0)}; add images, change the limits, or leave the class out (`seen_classes`)"
                )


def unique_ids(candidates: Sequence[Candidate]) -> None:
    """Check that no two candidates have the same id.

    Raises:
        UserError: naming two that do.
    """
    sources: dict[str, str] = {}
    for candidate in candidates:
        if candidate.sample_id in sources:
            raise UserError(
                f"every image must have an id of its own; {candidate.sample_id!r} stands for both "
                f"{sources[candidate.sample_id]} and {candidate.source}; list or keep one"
            )
        sources[candidate.sample_id] = candidate.source


def class_counts(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Count images by class, classes sorted."""
    counts: dict[str, int] = {}
    for candidate in sorted(candidates, key=lambda c: c.label):
        counts[candidate.label] = counts.get(candidate.label, 0) + 1
    return counts


def _check_number_of_classes(params: DatasetParams, seen: set[str], unseen: set[str]) -> None:
    for kind, labels in (("seen", seen), ("unseen", unseen)):
        if len(labels) < 2 and not (kind == "seen" and params.all_unseen):
            raise UserError(
                f"must have at least 2 {kind} classes, found {len(labels)}"
                f" ({', '.join(sorted(labels)) or 'none'}); change `unseen_classes` or `seen_classes`, or add classes"
            )


def _draw_classes(labels: list[str], count: int, params: DatasetParams, seed: int) -> set[str]:
    pool = [label for label in labels if label not in (params.seen_classes or ())]
    if count > len(pool):
        raise UserError(
            f"unseen_count must be at most the number of classes that may be unseen, {len(pool)}; found {count}"
        )
    root = seed if params.unseen_seed is None else params.unseen_seed
    order = np.random.default_rng(child_seed(root, "unseen classes")).permutation(len(pool))
    return {pool[i] for i in order[:count]}


def _check_overlap(candidates: Sequence[Candidate], unseen: set[str]) -> None:
    for candidate in candidates:
        if candidate.label in unseen and candidate.split != "unseen":
            raise UserError(
                f"class {candidate.label!r} must be seen or unseen, not both; it comes in the "
                f"split `unseen` and in `{candidate.split}` ({candidate.source})"
            )


def _check_known(names: Sequence[str], labels: Sequence[str], where: str) -> None:
    for name in names:
        if name not in labels:
            raise UserError(f"{where}: class {name!r} is not in the data: {nearest(name, labels)}")


def _seen_classes(candidates: Sequence[Candidate], params: DatasetParams, unseen: set[str]) -> set[str]:
    labels = {c.label for c in candidates}
    if params.seen_classes is None:
        return labels - unseen
    _check_known(params.seen_classes, sorted(labels), "seen_classes")
    overlap = sorted(unseen & set(params.seen_classes))
    if overlap:
        raise UserError(f"a class must be seen or unseen, not both; found as both: {', '.join(overlap)}")
    return set(params.seen_classes)


def _pools(ordered: list[Candidate], params: DatasetParams, seen: set[str], unseen: set[str], seed: int) -> Pools:
    by_class: ByClass = {}
    for candidate in ordered:
        by_class.setdefault(candidate.label, []).append(candidate)
    pools: Pools = {"train": {}, "test": {}, "unseen": {}}
    fraction = _fraction(ordered, params, seen) if seen else None
    for label in sorted(seen):
        pools["train"][label], pools["test"][label] = _train_and_test(by_class[label], fraction, seed)
    for label in sorted(unseen):
        kept = [c for c in by_class[label] if c.split != "test"]  # as in the paper: not its test images
        pools["unseen"][label] = by_class[label] if params.all_unseen else kept or by_class[label]
    return pools


def _fraction(candidates: Sequence[Candidate], params: DatasetParams, seen: set[str]) -> float | None:
    has_test = any(c.split == "test" for c in candidates if c.label in seen)
    if has_test and params.test_fraction is not None:
        raise UserError("test_fraction: the data have test images of their own; leave it out")
    if not has_test and params.test_fraction is None:
        raise UserError(
            "the data have no test images of seen classes; give `test_fraction` (for example 0.2), or a test split"
        )
    return params.test_fraction


def _train_and_test(
    candidates: list[Candidate], fraction: float | None, seed: int
) -> tuple[list[Candidate], list[Candidate]]:
    if fraction is None:
        return [c for c in candidates if c.split == "train"], [c for c in candidates if c.split == "test"]
    count = round(fraction * len(candidates))
    test = {c.sample_id for c in _draw(candidates, count, child_seed(seed, "test", candidates[0].label))}
    return [c for c in candidates if c.sample_id not in test], [c for c in candidates if c.sample_id in test]


def _limit(pool: ByClass, split: Split, params: DatasetParams, seed: int) -> list[Candidate]:
    limit = getattr(params, split)
    total = getattr(params, f"{split}_total", None)
    if total is not None:
        return _draw_total([c for label in sorted(pool) for c in pool[label]], total, split, seed)
    chosen = []
    for label, candidates in pool.items():
        if limit is not None and len(candidates) < limit and params.on_short_class == "error":
            raise UserError(
                f"{split}: class {label!r} must have {limit} {split} images, "
                f"found {len(candidates)}; lower `{split}`, add images, or set `on_short_class: keep`"
            )
        size = len(candidates) if limit is None else min(limit, len(candidates))
        chosen += _draw(candidates, size, child_seed(seed, "images", split, label))
    return chosen


def _draw_total(pool: list[Candidate], total: int, split: str, seed: int) -> list[Candidate]:
    if len(pool) < total:
        raise UserError(
            f"{split}_total must be at most the number of {split} images of the seen classes, "
            f"{len(pool)}; found {total}"
        )
    return _draw(pool, total, child_seed(seed, "images", split))


def _draw(candidates: list[Candidate], count: int, seed: int) -> list[Candidate]:
    order = np.random.default_rng(seed).permutation(len(candidates))
    return [candidates[i] for i in order[:count]]


def small_classes(splits: Mapping[Split, Sequence[Candidate]]) -> dict[str, dict[str, int]]:
    """List the classes of the scored splits with fewer than `SMALL` images: {split: {class: count}}."""
    scored = {split: class_counts(splits[cast(Split, split)]) for split in SPLITS if split != "train"}
    return {
        split: small for split, counts in scored.items() if (small := {k: n for k, n in counts.items() if n < SMALL})
    }
