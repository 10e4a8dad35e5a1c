"""Which candidates become train, test and unseen images of each fold. Pure: no file is read.

Where every class is unseen, so that fold 0 is the only one, its classes can be scored in sets: those that would be the
unseen classes of folds 0, 1, ...; its images are then also divided as those of seen classes are.

Every draw has a seed of its own, derived from the dataset's seed and from what is drawn, never from the fold; a smaller
limit takes a subset of what a larger one takes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..shared.runtime.errors import UserError
from ..shared.workflow.params import ALL
from .candidates import Candidate, Split, Splits, class_counts, describe_counts
from .folds import Fold, choose_folds, why_alone
from .groups import check_groups
from .params import DatasetParams
from .pools import class_pools, divide_as_seen, take_limited

MINIMUM: dict[Split, int] = {"train": 1, "test": 2, "unseen": 2}
"""Images per class below which a score is undefined: a nearest neighbour of the same class needs a second image."""


@dataclass(frozen=True)
class FoldPlan:
    """What is made of a dataset's candidates.

    Attributes:
        folds: each with its train, test and unseen images, sorted by label and id.
        packed: every image that is packed, the same however many folds are made.
        not_made: why a fold that nobody asked for is not made, by fold.
        alone: why fold 0 is the only one; empty if it need not be.
        left_out: images of the classes that have fewer than `min_images`.
        sets: the classes of each set in which fold 0, of which every class is unseen, is scored; none: all at once.
        seen_as: by image of fold 0, `train` or `test`: its split where its class is not of the set that is scored.
    """

    folds: list[tuple[Fold, Splits]]
    packed: list[Candidate]
    not_made: dict[str, str]
    alone: str
    left_out: dict[str, int]
    sets: tuple[tuple[str, ...], ...] = ()
    seen_as: Mapping[str, Split] = field(default_factory=dict)

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
    drawn = params.model_copy(update={"unseen_classes": None})
    numbered = choose_folds(ordered, drawn, seed) if params.in_sets else []
    sets = tuple(fold.unseen for fold in numbered if fold.unseen)
    chosen = choose_folds(ordered, params.model_copy(update={"folds": None}) if sets else params, seed)
    folds, not_made = make_folds(chosen, params, lambda fold: assign_splits(ordered, params, seed, fold))
    alone = why_alone(ordered, folds[0][0])
    seen_as = divide_as_seen(folds[0][1]["unseen"], params, seed) if sets else {}
    return FoldPlan(folds, _packed(ordered, params, seed, folds), not_made, alone, left_out, sets, seen_as)


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


def make_folds(
    folds: Iterable[Fold], params: DatasetParams, make: Callable[[Fold], Splits]
) -> tuple[list[tuple[Fold, Splits]], dict[str, str]]:
    """Make folds, and note why one cannot be made where nobody asked for it.

    Args:
        folds: in order; fold 0, and numbered ones where the entry says how many, were asked for.
        params: the dataset's entry.
        make: makes one.

    Returns:
        What was made; and by fold why it was not, also of numbered folds after one that was not made: no gaps.

    Raises:
        UserError: one was asked for and cannot be made.
    """
    made: list[tuple[Fold, Splits]] = []
    not_made: dict[str, str] = {}
    for fold in folds:
        if fold.name != ALL and any(name != ALL for name in not_made):
            not_made[fold.name] = "an earlier one cannot be made"
            continue
        try:
            made.append((fold, make(fold)))
        except UserError as error:
            if fold.name == "0":
                raise
            if fold.name != ALL and params.folds:
                raise UserError(f"fold {fold.name}: {error}") from None
            not_made[fold.name] = str(error)
    return made, not_made


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
    pools = class_pools(candidates, params, fold.seen, fold.unseen, seed)
    drawn = {split: take_limited(pool, split, params, seed) if pool else [] for split, pool in pools.items()}
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
        pools = class_pools(ordered, params, classes, classes, seed)
        generous = params.model_copy(update={"on_short_class": "keep", "train_total": None, "test_total": None})
        splits = {split: take_limited(pool, split, generous, seed) for split, pool in pools.items()}
    ids = {c.sample_id for candidates in splits.values() for c in candidates}
    return [c for c in ordered if c.sample_id in ids]
