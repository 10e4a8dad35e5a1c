"""Choose a representation on some classes and judge it on others, which neither the choice nor any fit has seen.

Classes are divided into folds. A candidate's score on a class is MAP@R in the gallery of the class's fold, with its
recipe fitted to the images of the other folds. For every judged fold a candidate is chosen by its scores on the other
folds, with recipes fitted without the judged one as well; then it is scored on the judged fold.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...shared.runtime.errors import UserError, check_known
from ..scores.arrays import Classes, Float64, Matches, Rows, blocks
from ..scores.refits import class_groups
from .candidates import FITTED, JOINS, RECIPES, Candidate, Join, Recipe, list_candidates, sources
from .fitting import Embedding
from .folds import draw_folds
from .judging import Fit, Gallery, Source

MIN_FITTED_CLASSES = 8
"""Classes below which no recipe that fits axes is considered."""

MAX_PAIRS = 2**23
"""Pairs of images whose comparison several galleries share at once."""

Watch = Callable[[Sequence[Any]], Iterable[Any]]
"""Yields the parts of a long work one after another, and may tell how far it is."""

REFERENCE = -1
"""The fold of classes that are not judged."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how every candidate scored.

    Attributes:
        candidates: C representations.
        classes: K names, sorted.
        folds: (K,) fold of every class.
        class_scores: (C, K) MAP@R of every class in its fold, with recipes fitted to the other folds.
        without: (G, C) mean over classes, of all but one group of them (`class_groups`), which left its gallery and
            all fits; G is 0 of fewer than `MIN_FITTED_CLASSES` classes, or if that was not asked for.
        choosing: (J, C) mean over the classes of all folds but each, with recipes fitted without that fold as well; of
            two folds these are the scores in `class_scores`.
        control: number of the candidate that gains are over.
    """

    candidates: tuple[Candidate, ...]
    classes: tuple[str, ...]
    folds: Classes
    class_scores: Float64
    without: Float64
    choosing: Float64
    control: int

    @property
    def singles(self) -> list[int]:
        """Numbers of the plain single layers."""
        return [number for number, each in enumerate(self.candidates) if _is_single(each)]

    @property
    def chosen(self) -> int:
        """Number of the candidate that is best on all classes."""
        return self.choose_among(range(len(self.candidates)))[0]

    @property
    def judged(self) -> Classes:
        """Number of the candidate that was chosen without each fold, (J,)."""
        return self.choose_among(range(len(self.candidates)))[1]

    @property
    def judged_single(self) -> Classes:
        """The same among plain single layers."""
        return self.choose_among(self.singles)[1]

    @property
    def values(self) -> Float64:
        """Mean over classes of every candidate, (C,)."""
        return np.asarray(self.class_scores.mean(axis=1))

    @property
    def score(self) -> float:
        """Mean over classes of what was chosen without each of them: what choosing reaches, without bias."""
        return self.score_of(self.judged)

    def score_of(self, chosen: Classes) -> float:
        """Mean over classes of the candidates of their folds, (J,)."""
        return float(self.class_scores[chosen[self.folds], np.arange(len(self.folds))].mean())

    def choose_among(self, among: Sequence[int]) -> tuple[int, Classes]:
        """Choose among some candidates only, of equal ones the control: on all classes, and (J,) without each fold."""
        own = np.array(sorted(among, key=lambda number: number != self.control))
        return int(own[self.values[own].argmax()]), own[self.choosing[:, own].argmax(axis=1)]

    @property
    def references(self) -> list[int]:
        """Number of reference classes of every fold."""
        return [int((self.folds != fold).sum()) for fold in range(self.folds.max() + 1)]


@dataclass(frozen=True)
class Judgement:
    """How every candidate scored on some classes, fitted to others.

    Attributes:
        candidates: C representations.
        classes: K names of judged classes, sorted.
        class_scores: (C, K) MAP@R of every judged class, in the gallery of all of them.
        without: (G, C) mean over judged classes, of all but one group of them (`class_groups`), which left the gallery.
    """

    candidates: tuple[Candidate, ...]
    classes: tuple[str, ...]
    class_scores: Float64
    without: Float64


def judge_classes(
    layers: Mapping[str, Embedding],
    labels: ArrayLike,
    judged: Collection[str],
    groups: ArrayLike | None = None,
    *,
    joins: Collection[Join] = JOINS,
    recipes: Collection[Recipe] = RECIPES,
) -> Judgement:
    """Score layers, joins and recipes by MAP@R on some classes, fitted to all images of the others.

    Args:
        layers: name -> (N, D), the layers of one network from input to output.
        labels: (N,) classes.
        judged: the classes that are scored.
        groups: (N,) what images have in common beside their class: none is a neighbour of one of its own group.
        joins, recipes: those that are considered. Of fewer than eight classes recipes that fit axes are not.

    Raises:
        UserError: a name is unknown, or a judged class has one image, or images of one group only.
    """
    names, y = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    folds, networks = np.where(np.isin(names, [*judged]), 0, REFERENCE), dict.fromkeys(layers, "")
    candidates = _list_considered(networks, joins, recipes, folds)
    own_groups = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    numbers = np.flatnonzero(folds == 0)
    rows = np.flatnonzero(np.isin(y, numbers))
    check_classes(names[numbers], np.searchsorted(numbers, y[rows]), own_groups[rows])
    judge = _Judge(layers, networks, candidates, y, folds, own_groups)
    class_scores, own = judge.class_scores(), names[numbers].tolist()
    without = judge.scores_without_classes([numbers[group] for group in class_groups(own)], class_scores)
    return Judgement(tuple(candidates), tuple(own), class_scores[:, numbers], without)


def choose_representation(
    layers: Mapping[str, Embedding],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    folds: Mapping[str, int] | None = None,
    networks: Mapping[str, str] | None = None,
    joins: Collection[Join] = JOINS,
    recipes: Collection[Recipe] = RECIPES,
    control: str | None = None,
    refits: bool = True,
    watch: Watch = iter,
) -> Choice:
    """Choose among layers, joins and recipes by MAP@R on classes that recipes are not fitted to.

    Args:
        layers: name -> (N, D), the layers of every network, input size and pooling from input to output.
        labels: (N,) classes.
        groups: (N,) what images have in common beside their class: none is a neighbour of one of its own group.
        folds: class -> its fold, 0 ... J - 1; None: they are drawn.
        networks: array -> the network, input size and pooling that it is of; None: all are of one.
        joins, recipes: those that are considered. Of fewer than eight classes recipes that fit axes are not.
        control: name of the array that is, plain and by itself, what gains are over; None: the deepest layer of the
            first network, input size and pooling.
        refits: whether to score all again without groups of classes, which intervals need and which takes longest.
        watch: goes through the parts of that.

    Raises:
        UserError: a name is unknown, or a class has one image, or images of one group only.
    """
    names, y = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    networks = {name: networks[name] if networks else "" for name in layers}
    fold_of = np.array([folds[name] for name in names.tolist()]) if folds else draw_folds(names.tolist())
    candidates = _list_considered(networks, joins, recipes, fold_of)
    habit = sources(networks)[0][-1] if control is None else control
    check_known(habit, layers.keys(), f"control must be the name of an array, found {habit!r}")
    own_groups = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    check_classes(names, y, own_groups)
    judge = _Judge(layers, networks, candidates, y, fold_of, own_groups)
    class_scores = judge.class_scores()
    choosing = judge.scores_without_folds(class_scores)
    left_out = class_groups(names.tolist()) if refits and len(names) >= MIN_FITTED_CLASSES else []
    return Choice(
        candidates=tuple(candidates),
        classes=tuple(names.tolist()),
        folds=fold_of,
        class_scores=class_scores,
        without=judge.scores_without_classes(left_out, class_scores, watch),
        choosing=choosing,
        control=next(n for n, each in enumerate(candidates) if _is_single(each) and each.arrays == (habit,)),
    )


def check_classes(names: NDArray[np.str_], y: Classes, own_groups: Classes) -> None:
    """Raise a `UserError` if an image has no other one to be found, of its class but not of its group."""
    pairs = np.unique(np.stack([y, own_groups]), axis=1)
    alone = np.flatnonzero(np.bincount(pairs[0], minlength=len(names)) < 2)
    if len(alone):
        raise UserError(
            "every class must have images of at least two groups, or at least two images if there are no groups, found "
            f"class {str(names[alone[0]])!r} with one; leave it out, or leave out groups"
        )


def _list_considered(
    networks: Mapping[str, str], joins: Collection[Join], recipes: Collection[Recipe], folds: Classes
) -> list[Candidate]:
    """List the plain single layers, and of the joins and recipes asked for those that so many classes can fit."""
    listed = list_candidates(networks, {*joins, "single"}, {*recipes, "plain"})
    few = [recipe for recipe in recipes if (len(folds) >= MIN_FITTED_CLASSES or recipe not in FITTED)]
    allowed = few if folds.max() > folds.min() else ["plain"]
    return [each for each in listed if _is_single(each) or (each.join in joins and each.recipe in allowed)]


def _is_single(candidate: Candidate) -> bool:
    return candidate.join == "single" and candidate.recipe == "plain"


def list_sources(
    layers: Mapping[str, Embedding], networks: Mapping[str, str], candidates: Sequence[Candidate], y: Classes
) -> list[tuple[Source, Rows]]:
    """Divide candidates by network, plain ones apart, and return the number of each beside them."""
    found = list[tuple[Source, Rows]]()
    for names, is_plain in product(sources(networks), (True, False)):
        own = [n for n, c in enumerate(candidates) if c.arrays[0] in names and (c.recipe == "plain") == is_plain]
        if own:
            arrays, members = [layers[name] for name in names], [candidates[n].arrays for n in own]
            ranges = [range(names.index(each[0]), names.index(each[-1]) + 1) for each in members]
            found.append((Source(arrays, arrays, y, [candidates[n] for n in own], ranges), np.array(own)))
    return found


class _Judge:
    """Scores of candidates in galleries of one fold each."""

    def __init__(
        self,
        layers: Mapping[str, Embedding],
        networks: Mapping[str, str],
        candidates: Sequence[Candidate],
        y: Classes,
        folds: Classes,
        own_groups: Classes,
    ) -> None:
        self.y, self.folds, self.own_groups, self.count = y, folds, own_groups, len(candidates)
        self.galleries = [self._gallery(fold) for fold in range(folds.max() + 1)]
        self.sources = list_sources(layers, networks, candidates, y)

    def _gallery(self, fold: int, without: Sequence[int] | Classes = ()) -> Gallery:
        return Gallery(self._rows(self.folds == fold, without), self.y, self.own_groups)

    def _rows(self, classes: Matches, without: Sequence[int] | Classes = ()) -> Rows:
        """Images of some classes, (K,), but not of some others."""
        keep = classes.copy()
        keep[np.asarray(without, np.int64)] = False
        return np.flatnonzero(keep[self.y])

    def class_scores(self) -> Float64:
        """Every candidate on every class, fitted without its fold, (C, K); NaN of classes that are not judged."""
        scores = np.full((self.count, len(self.folds)), np.nan)
        for fold, gallery in enumerate(self.galleries):
            for source, own in self.sources:
                scores[np.ix_(own, gallery.classes)] = Fit(source, self._rows(self.folds != fold)).score(gallery)
        return scores

    def scores_without_folds(self, class_scores: Float64) -> Float64:
        """Every candidate's mean over the classes of all folds but each, fitted without that fold, (J, C)."""
        J, fitted = len(self.galleries), [each for each in self.sources if each[0].is_fitted]
        table = np.repeat(class_scores[None], J, axis=0)  # (J, C, K)
        for pair in combinations(range(J), 2) if J > 2 else ():
            for source, own in fitted:
                fit = Fit(source, self._rows(~np.isin(self.folds, pair)))
                for judged, chosen_on in (pair, pair[::-1]):
                    gallery = self.galleries[chosen_on]
                    table[judged][np.ix_(own, gallery.classes)] = fit.score(gallery)
        others = self.folds != np.arange(J)[:, None] if J > 1 else np.ones((1, len(self.folds)), dtype=bool)
        return np.stack([scores[:, own].mean(axis=1) for scores, own in zip(table, others, strict=True)])

    def scores_without_classes(self, groups: Sequence[Classes], class_scores: Float64, watch: Watch = iter) -> Float64:
        """Every candidate's mean over classes without each group of them, in galleries and fits, (G, C)."""
        scores = np.repeat(class_scores[None], len(groups), axis=0)  # (G, C, K)
        work = list(product(enumerate(self.galleries), self.sources)) if groups else []
        for (fold, whole), (source, own) in watch(work):
            reference, parts = self._rows(self.folds != fold), list[int]()
            fit = Fit(source.compressed(reference), reference)
            for number, group in enumerate(groups):
                is_judged = (self.folds[group] == fold).any()
                if source.is_fitted and (self.folds[group] != fold).any():
                    gallery = self._gallery(fold, group) if is_judged else whole
                    found = Fit(fit.source, self._rows(self.folds != fold, group)).score(gallery)
                    scores[number][np.ix_(own, gallery.classes)] = found
                elif is_judged:
                    parts.append(number)
            for some in blocks(len(parts), MAX_PAIRS // len(whole.rows) ** 2):
                galleries = [self._gallery(fold, groups[number]) for number in parts[some]]
                for number, part, found in zip(parts[some], galleries, fit.score_parts(whole, galleries), strict=True):
                    scores[number][np.ix_(own, part.classes)] = found
        for table, group in zip(scores, groups, strict=True):
            table[:, group] = np.nan
        return np.asarray(np.nanmean(scores, axis=2))
