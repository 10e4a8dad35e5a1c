"""Which candidates become train, test and unseen images of each fold. Pure: no file is read.

Every draw has a seed of its own, derived from the dataset's seed and from what is drawn, never from the fold; a smaller
limit takes a subset of what a larger one takes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from stages.prepare.candidates import Candidate, Split, Splits, check_groups, class_counts, describe_counts, draw_groups
from stages.prepare.folds import Fold, choose_folds, make_folds, shuffled, why_alone
from stages.prepare.params import DatasetParams
from stages.shared.core.params import ALL
from stages.shared.runtime.errors import UserError

MINIMUM: dict[Split, int] = {"train": 1, "test": 2, "unseen": 2}
"""Images per class below which a score is undefined: a nearest neighbour of the same class needs a second image."""

ByClass = dict[str, list[Candidate]]
Pools = dict[Split, ByClass]


@dataclass(frozen=True)
class FoldPlan:
    """What is made of a dataset's candidates.

    Attributes:
        folds: each with its train, test and unseen images, sorted by label and id.
        packed: every image that is packed, the same however many folds are made.
        not_made: why a fold that nobody asked for is not made, by fold.
        alone: why fold 0 is the only one; empty if it need not be.
        left_out: images of the classes that have fewer than `min_images`.
    """

    folds: list[tuple[Fold, Splits]]
    packed: list[Candidate]
    not_made: dict[str, str]
    alone: str
    left_out: dict[str, int]

    @property
    def splits(self) -> dict[str, Splits]:
        """The images of every fold, by its name."""
        return {fold.name: splits for fold, splits in self.folds}


def plan_folds(candidates: Sequence[Candidate], params: DatasetParams, seed: int) -> FoldPlan:
    """Choose the images of every fold.

    Args:
        candidates: what the source offers, ids unique.
        params: the dataset's entry: classes, folds, limits, fractions.
        seed: the dataset's root seed.

    Raises:
        UserError: a class does not exist, is seen and unseen, or has fewer images than the splits need; a fold that was
            asked for cannot be made.
    """
    least = params.min_images or 0
    left_out = {label: count for label, count in class_counts(candidates).items() if count < least}
    ordered = sorted((c for c in candidates if c.label not in left_out), key=lambda c: c.sample_id)
    check_groups(ordered)
    chosen = choose_folds(ordered, params, seed)
    folds, not_made = make_folds(chosen, params, lambda fold: assign_splits(ordered, params, seed, fold))
    alone = why_alone(ordered, folds[0][0])
    return FoldPlan(folds, _packed(ordered, params, seed, folds), not_made, alone, left_out)


def without_dropped(plan: FoldPlan, kept: Collection[str], params: DatasetParams) -> FoldPlan:
    """Leave out of every fold the images that were dropped, and note which folds can then not be made.

    Args:
        plan: the folds as they were planned.
        kept: ids of the images that were not dropped.
        params: the dataset's entry.

    Raises:
        UserError: a class of a fold that was asked for has too few images left.
    """
    planned = dict(plan.folds)

    def remaining(fold: Fold) -> Splits:
        splits = {split: [c for c in images if c.sample_id in kept] for split, images in planned[fold].items()}
        return check_sizes(splits, fold, all_unseen=params.all_unseen)

    folds, not_made = make_folds(planned, params, remaining)
    return replace(plan, folds=folds, not_made=plan.not_made | not_made)


def assign_splits(candidates: Sequence[Candidate], params: DatasetParams, seed: int, fold: Fold) -> Splits:
    """Choose the images of each split of one fold.

    Args:
        candidates: what the source offers, sorted by id.
        params: the dataset's entry: limits, fractions.
        seed: the dataset's root seed.
        fold: its classes.

    Raises:
        UserError: a class has fewer images than the splits need.
    """
    pools = _pools(candidates, params, fold, seed)
    drawn = {split: _limit(pool, split, params, seed) if pool else [] for split, pool in pools.items()}
    splits = {split: sorted(images, key=lambda c: (c.label, c.sample_id)) for split, images in drawn.items()}
    return check_sizes(splits, fold, all_unseen=params.all_unseen)


def check_sizes(splits: Splits, fold: Fold, *, all_unseen: bool) -> Splits:
    """Return the splits of a fold, if every class has images enough for a score to be defined.

    Args:
        splits: the fold's images.
        fold: its classes.
        all_unseen: whether there need be no seen classes.

    Raises:
        UserError: fewer than two seen or unseen classes, or a class below `MINIMUM`.
    """
    for kind, labels, may_be_empty in (("seen", fold.seen, all_unseen), ("unseen", fold.unseen, fold.name == ALL)):
        if len(labels) < 2 and not (may_be_empty and not labels):
            raise UserError(
                f"must have at least 2 {kind} classes, found {len(labels)}"
                f" ({', '.join(labels) or 'none'}); change `unseen_classes` or `seen_classes`, or add classes"
            )
    for split, least in MINIMUM.items():
        counts = class_counts(splits[split])
        counts = {label: counts.get(label, 0) for label in (fold.unseen if split == "unseen" else fold.seen)}
        if few := {label: count for label, count in counts.items() if count < least}:
            raise UserError(
                f"every class must have at least {least} {split} image(s), found {describe_counts(few)}; add images, "
                "change the limits, or leave out classes of few images (`min_images`)"
            )
    return splits


def _packed(
    ordered: Sequence[Candidate], params: DatasetParams, seed: int, folds: Sequence[tuple[Fold, Splits]]
) -> list[Candidate]:
    """Return every image that any fold might use, in any split; of a limit over all classes together, each image."""
    (first, splits), *others = folds
    if others:
        classes = tuple(sorted({*first.seen, *first.unseen}))
        pools = _pools(ordered, params, Fold(ALL, classes, classes), seed)
        generous = params.model_copy(update={"on_short_class": "keep", "train_total": None, "test_total": None})
        splits = {split: _limit(pool, split, generous, seed) for split, pool in pools.items()}
    ids = {c.sample_id for candidates in splits.values() for c in candidates}
    return [c for c in ordered if c.sample_id in ids]


def _pools(ordered: Sequence[Candidate], params: DatasetParams, fold: Fold, seed: int) -> Pools:
    by_class: ByClass = {}
    for candidate in ordered:
        by_class.setdefault(candidate.label, []).append(candidate)
    pools: Pools = {"train": {}, "test": {}, "unseen": {}}
    fraction = _fraction(ordered, params, fold) if fold.seen else None
    grouped = draw_groups(ordered, fraction, seed)
    for label in fold.seen:
        pools["train"][label], pools["test"][label] = _train_and_test(by_class[label], fraction, seed, grouped)
    for label in fold.unseen:
        kept = [c for c in by_class[label] if c.split != "test"]  # as in the paper: not its test images
        pools["unseen"][label] = by_class[label] if params.all_unseen else kept or by_class[label]
    return pools


def _fraction(candidates: Sequence[Candidate], params: DatasetParams, fold: Fold) -> float | None:
    has_test = any(c.split == "test" for c in candidates if c.label in fold.seen)
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


def _limit(pool: ByClass, split: Split, params: DatasetParams, seed: int) -> list[Candidate]:
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
