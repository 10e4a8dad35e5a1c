"""Which classes are unseen, fold by fold. Pure: no file is read.

Fold 0 is the choice that the dataset's entry names or draws, or that comes with the data. Further folds draw as many
classes from those that were not yet chosen, by seed, until too few are left; adding a fold changes nothing of the
others. Fold `all` leaves no class out: every class is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..shared.runtime.errors import UserError, check_known, listed
from ..shared.workflow.params import ALL
from .candidates import Candidate
from .params import DatasetParams
from .pools import shuffled

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
