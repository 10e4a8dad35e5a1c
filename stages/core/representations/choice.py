"""Choose a representation on some classes and judge it on others, which neither the choice nor any fit has seen.

Classes are divided into folds. A candidate's score on a class is MAP@R in the gallery of the class's fold, with its
recipe fitted to the images of the other folds. For every judged fold a candidate is chosen by its scores on the other
folds, with recipes fitted without the judged one as well; then it is scored on the judged fold.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from ...shared.runtime.errors import check_known
from ..scores.arrays import Classes, Float64, Matches, Rows
from ..scores.refits import class_groups
from .candidates import FITTED, JOINS, RECIPES, Candidate, Join, LayerAxes, Recipe, list_candidates, sources
from .fitting import Embedding
from .folds import draw_folds
from .judging import Fit, Gallery, Source

MIN_FITTED_CLASSES = 8
"""Classes below which no recipe that fits axes is considered."""

MIN_EQUAL_CLASSES = 15
"""Classes from which on such recipes need no margin: every fold has ten reference classes."""

MARGIN = 0.05
"""MAP@R by which they must beat the best other candidate if there are fewer."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how every candidate scored.

    Attributes:
        candidates: C representations.
        classes: K names, sorted.
        folds: (K,) fold of every class.
        class_scores: (C, K) MAP@R of every class in its fold, with recipes fitted to the other folds.
        without: (G, C) mean over classes, of all but one group of them (`class_groups`), which left its gallery and
            all fits; G is 0 of fewer than `MIN_FITTED_CLASSES` classes.
        choosing: (J, C) mean over the classes of all folds but each, with recipes fitted without that fold as well; of
            two folds these are the scores in `class_scores`.
        chosen: number of the candidate that is best on all classes.
        judged: (J,) number of the candidate that was chosen without each fold.
        judged_single: (J,) the same among plain single layers.
        control: number of the candidate that gains are over.
    """

    candidates: tuple[Candidate, ...]
    classes: tuple[str, ...]
    folds: Classes
    class_scores: Float64
    without: Float64
    choosing: Float64
    chosen: int
    judged: Classes
    judged_single: Classes
    control: int

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

    @property
    def references(self) -> list[int]:
        """Number of reference classes of every fold."""
        return [int((self.folds != fold).sum()) for fold in range(self.folds.max() + 1)]


def choose_representation(
    layers: Mapping[str, Embedding],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    axes: Mapping[str, LayerAxes] | None = None,
    joins: Collection[Join] = JOINS,
    recipes: Collection[Recipe] = RECIPES,
    control: str | None = None,
) -> Choice:
    """Choose among layers, joins and recipes by MAP@R on classes that recipes are not fitted to.

    Args:
        layers: name -> (N, D), the layers of every network, input size and pooling from input to output.
        labels: (N,) classes.
        groups: (N,) what images have in common beside their class: none is a neighbour of one of its own group.
        axes: of each array; None: all are layers of one network.
        joins, recipes: those that are considered. Of fewer than eight classes recipes that fit axes are not; of fewer
            than 15 they must be better by `MARGIN`.
        control: name of the array that is, plain and by itself, what gains are over; None: the deepest layer of the
            first network, input size and pooling.

    Raises:
        UserError: a name is unknown, or classes are too few.
    """
    names, y = np.unique(np.asarray(labels), return_inverse=True)
    axes = dict.fromkeys(layers, LayerAxes()) if axes is None else {name: axes[name] for name in layers}
    known, K = [str(name) for name in names], len(names)
    folds = draw_folds(known)
    allowed = [recipe for recipe in recipes if K >= MIN_FITTED_CLASSES or recipe not in FITTED]
    if folds.max() == 0:
        allowed = ["plain"]
    listed = list_candidates(axes, {*joins, "single"}, {*allowed, "plain"})
    narrowed = [each for each in listed if _is_single(each) or (each.join in joins and each.recipe in allowed)]
    habit = control or sources(axes)[0][-1]
    check_known(habit, layers.keys(), f"control must be the name of an array, found {habit!r}")
    own_groups = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    judge = _Judge(layers, axes, narrowed, y, folds, own_groups)
    class_scores = judge.class_scores()
    margin = 0.0 if K >= MIN_EQUAL_CLASSES else MARGIN
    single, fitted = np.array([[_is_single(each), each.is_fitted] for each in narrowed]).T
    choosing = judge.scores_without_folds(class_scores)
    singles = np.where(single, choosing, -np.inf).argmax(axis=1)
    return Choice(
        tuple(narrowed),
        tuple(known),
        folds,
        class_scores,
        judge.without(class_groups(known) if K >= MIN_FITTED_CLASSES else [], class_scores),
        choosing,
        _best(class_scores.mean(axis=1), fitted, margin),
        np.array([_best(scores, fitted, margin) for scores in choosing]),
        singles,
        next(n for n, each in enumerate(narrowed) if _is_single(each) and each.arrays == (habit,)),
    )


def _is_single(candidate: Candidate) -> bool:
    return candidate.join == "single" and candidate.recipe == "plain"


def _best(scores: Float64, fitted: Matches, margin: float) -> int:
    """Return the best candidate; one that fits axes must be better than all others by a margin."""
    return int(np.where(fitted, scores - margin, scores).argmax())


class _Judge:
    """Scores of candidates in galleries of one fold each."""

    def __init__(
        self,
        layers: Mapping[str, Embedding],
        axes: Mapping[str, LayerAxes],
        candidates: Sequence[Candidate],
        y: Classes,
        folds: Classes,
        own_groups: Classes | None,
    ) -> None:
        self.y, self.folds, self.own_groups, self.count = y, folds, own_groups, len(candidates)
        self.galleries = [self._gallery(fold) for fold in range(folds.max() + 1)]
        self.fixed, self.fitted = list[tuple[Source, Rows]](), list[tuple[Source, Rows]]()
        for names in sources(axes):
            for found, is_plain in ((self.fixed, True), (self.fitted, False)):
                own = [
                    n for n, c in enumerate(candidates) if c.arrays[0] in names and (c.recipe == "plain") == is_plain
                ]
                if own:
                    arrays, members = [layers[name] for name in names], [candidates[n].arrays for n in own]
                    ranges = [range(names.index(each[0]), names.index(each[-1]) + 1) for each in members]
                    source = Source(arrays, arrays, y, [candidates[n] for n in own], ranges)
                    found.append((source, np.array(own)))

    def _gallery(self, fold: int, without: Sequence[int] | Classes = ()) -> Gallery:
        return Gallery(self._rows(self.folds == fold, without), self.y, self.own_groups)

    def _rows(self, classes: Matches, without: Sequence[int] | Classes = ()) -> Rows:
        """Images of some classes, (K,), but not of some others."""
        keep = classes.copy()
        keep[np.asarray(without, np.int64)] = False
        return np.flatnonzero(keep[self.y])

    def class_scores(self) -> Float64:
        """Every candidate on every class, fitted without its fold, (C, K)."""
        scores = np.empty((self.count, len(self.folds)))
        for fold, gallery in enumerate(self.galleries):
            for source, own in (*self.fixed, *self.fitted):
                scores[np.ix_(own, gallery.classes)] = Fit(source, self._rows(self.folds != fold)).score(gallery)
        return scores

    def scores_without_folds(self, class_scores: Float64) -> Float64:
        """Every candidate's mean over the classes of all folds but each, fitted without that fold, (J, C)."""
        J = len(self.galleries)
        table = np.repeat(class_scores[None], J, axis=0)  # (J, C, K)
        for pair in combinations(range(J), 2) if J > 2 else ():
            for source, own in self.fitted:
                fit = Fit(source, self._rows(~np.isin(self.folds, pair)))
                for judged, chosen_on in (pair, pair[::-1]):
                    gallery = self.galleries[chosen_on]
                    table[judged][np.ix_(own, gallery.classes)] = fit.score(gallery)
        others = self.folds != np.arange(J)[:, None] if J > 1 else np.ones((1, len(self.folds)), dtype=bool)
        return np.stack([scores[:, own].mean(axis=1) for scores, own in zip(table, others, strict=True)])

    def without(self, groups: Sequence[Classes], class_scores: Float64) -> Float64:
        """Every candidate's mean over classes without each group of them, in galleries and fits, (G, C)."""
        scores = np.repeat(class_scores[None], len(groups), axis=0)  # (G, C, K)
        for fold in range(len(self.galleries)):
            reference = self._rows(self.folds != fold)
            whole = [(Fit(source, reference), own) for source, own in self.fixed]
            whole += [(Fit(source.compressed(reference), reference), own) for source, own in self.fitted]
            for table, group in zip(scores, groups, strict=True):
                is_judged, refits = (self.folds[group] == fold).any(), (self.folds[group] != fold).any()
                gallery = self._gallery(fold, group) if is_judged else self.galleries[fold]
                for fit, own in whole:
                    moved = refits and fit.source.is_fitted
                    if moved or is_judged:
                        fit_ = Fit(fit.source, self._rows(self.folds != fold, group)) if moved else fit
                        table[np.ix_(own, gallery.classes)] = fit_.score(gallery)
        for table, group in zip(scores, groups, strict=True):
            table[:, group] = np.nan
        return np.asarray(np.nanmean(scores, axis=2))
