"""Which classes are unseen, fold by fold, and which candidates become train, test and unseen images of each.

Pure: no file is read. Fold 0 is the choice that the dataset's entry names or draws, or that comes with the data.
Further folds draw as many classes from those that were not yet chosen, by seed, until too few are left; adding a fold
changes nothing of the others. Fold `all` leaves no class out: every class is seen.

Where every class is unseen, so that fold 0 is the only one, its classes can be scored in sets: those that would be the
unseen classes of folds 0, 1, ...; its images are then also divided as those of seen classes are.

Every draw has a seed of its own, derived from the dataset's seed and from what is drawn, never from the fold; a smaller
limit takes a subset of what a larger one takes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stages.prepare.candidates import Candidate, Split, Splits, check_groups, class_counts, describe_counts
from stages.prepare.params import DatasetParams
from stages.prepare.pools import class_pools, divide_as_seen, shuffled, take_limited
from stages.shared.core.params import ALL
from stages.shared.runtime.errors import UserError, check_known, listed

MAX_DEFAULT_FOLDS = 4
"""Folds that are made where the entry does not say how many, if as many disjoint choices exist."""

MIN_SEEN_CLASSES = 2


@dataclass(frozen=True)
class Fold:
    """One choice of the unseen classes.

    Attributes:
        name: a number, or `all`.
        seen, unseen: the classes, sorted.
    """

    name: str
    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def choose_folds(candidates: Sequence[Candidate], params: DatasetParams, seed: int) -> list[Fold]:
    """Choose the unseen classes of every fold.

    Args:
        candidates: what the source offers.
        params: the dataset's entry.
        seed: the dataset's root seed.

    Returns:
        Folds 0, 1, ..., then `all`. Only fold 0 where the data name their unseen classes in a split of their own, or
        where some of its unseen classes come without the test images that they would need as seen classes.

    Raises:
        UserError: a class does not exist or is both seen and unseen, or there are not as many folds as were asked for.
    """
    first = _first_choice(candidates, params, seed)
    alone = why_alone(candidates, first)
    if alone and (params.folds or 1) > 1:
        raise UserError(f"folds: must be 1, found {params.folds}, since {alone}; leave it out")
    if alone:
        return [first]
    classes = sorted({*first.seen, *first.unseen})
    groups = [first.unseen, *_further_choices(first, params, seed)]
    wanted = params.folds or min(len(groups), MAX_DEFAULT_FOLDS)
    if wanted > len(groups):
        raise UserError(
            f"folds: must be at most {len(groups)}, since {len(classes)} classes hold as many disjoint choices of "
            f"{len(first.unseen)}, found {wanted}; lower it, or add classes"
        )
    folds = [_fold(str(number), classes, unseen) for number, unseen in enumerate(groups[:wanted])]
    return [*folds, _fold(ALL, classes, ())]


def count_choices(seen: int, unseen: int) -> int:
    """Return how many disjoint choices of the unseen classes there are, from the numbers of classes in fold 0."""
    return 1 + (seen // unseen if seen >= MIN_SEEN_CLASSES else 0)


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


def choose_unseen(candidates: Sequence[Candidate], params: DatasetParams, seed: int) -> tuple[str, ...]:
    """Choose the unseen classes of fold 0: all, by name, by draw, or those that come in a split `unseen`; sorted.

    Raises:
        UserError: one does not exist, none is given, or a class comes both as unseen and in another split.
    """
    labels = sorted({c.label for c in candidates})
    given = {c.label for c in candidates if c.split == "unseen"}
    if params.all_unseen:
        return tuple(labels)
    if given and (params.unseen_classes or params.unseen_count):
        raise UserError(
            "the data name their unseen classes in a split `unseen`; leave out `unseen_classes` and `unseen_count`"
        )
    if given:
        if mixed := next((c for c in candidates if c.label in given and c.split != "unseen"), None):
            raise UserError(
                f"class {mixed.label!r} must be seen or unseen, not both; it comes in the "
                f"split `unseen` and in `{mixed.split}` ({mixed.source})"
            )
        return tuple(sorted(given))
    if isinstance(params.unseen_classes, list):
        _check_classes("unseen_classes", params.unseen_classes, labels)
        return tuple(sorted(params.unseen_classes))
    if params.unseen_count is None:
        raise UserError(
            "unseen_classes is missing: give names, or `unseen_count: 5` to draw as many, or `all` for networks that "
            f"are measured as they are; classes: {listed(labels)}"
        )
    return _draw_classes(labels, params.unseen_count, params, seed)


def _first_choice(candidates: Sequence[Candidate], params: DatasetParams, seed: int) -> Fold:
    """Return fold 0."""
    unseen = choose_unseen(candidates, params, seed)
    labels = sorted({c.label for c in candidates})
    if params.seen_classes is None:
        return _fold("0", labels, unseen)
    _check_classes("seen_classes", params.seen_classes, labels)
    if overlap := sorted(set(unseen) & set(params.seen_classes)):
        raise UserError(f"a class must be seen or unseen, not both; found as both: {', '.join(overlap)}")
    return Fold("0", tuple(sorted(params.seen_classes)), unseen)


def why_alone(candidates: Sequence[Candidate], first: Fold) -> str:
    """Return why fold 0 is the only one; empty if it need not be."""
    if not first.seen:
        return "all classes are unseen"
    if any(c.split == "unseen" for c in candidates):
        return "the data name their unseen classes in a split of their own"
    tested = {c.label for c in candidates if c.split == "test"}
    untested = [label for label in first.unseen if label not in tested] if tested else []
    return f"unseen class {untested[0]!r} has no test images, so it cannot be a seen class" if untested else ""


def _further_choices(first: Fold, params: DatasetParams, seed: int) -> list[tuple[str, ...]]:
    """Return disjoint choices of as many of fold 0's seen classes, each leaving `MIN_SEEN_CLASSES`, in their order."""
    size, order = len(first.unseen), shuffled(first.seen, params.draw_seed(seed), "folds")
    further = count_choices(len(first.seen), size) - 1
    return [tuple(sorted(order[number * size : (number + 1) * size])) for number in range(further)]


def _fold(name: str, classes: Sequence[str], unseen: tuple[str, ...]) -> Fold:
    return Fold(name, tuple(label for label in classes if label not in unseen), unseen)


def _draw_classes(labels: list[str], count: int, params: DatasetParams, seed: int) -> tuple[str, ...]:
    pool = [label for label in labels if label not in (params.seen_classes or ())]
    if count > len(pool):
        raise UserError(
            f"unseen_count must be at most the number of classes that may be unseen, {len(pool)}; found {count}"
        )
    return tuple(sorted(shuffled(pool, params.draw_seed(seed), "unseen classes")[:count]))


def _check_classes(field: str, names: Sequence[str], labels: Sequence[str]) -> None:
    for name in names:
        check_known(name, labels, f"{field}: class {name!r} is not in the data")


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
