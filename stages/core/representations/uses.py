"""Other uses of representations than retrieval, chosen and judged by their own scores, with the same folds.

Candidates are compared by MAP@R. For a classifier (linear probe) and for discovery (NMI), the habit, all single layers,
the best join of all layers and the best few candidates by MAP@R compete. As there, a fold's choice and fits have seen
none of its images.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context

from ..scores.arrays import Classes, Float64, Rows
from ..scores.catalogue import LAYER_SCORES, PROBE, needs_of
from ..scores.embedded_split import EmbeddedSplit, Settings, scaled
from ..scores.kmeans import Search
from ..scores.layer import split_settings
from ..scores.refits import Parts, class_groups, refit
from .choice import MIN_FITTED_CLASSES, Choice, list_sources
from .fitting import Embedding
from .judging import Fit

USES = {"classifier": PROBE, "discovery": "nmi"}
"""Use -> its score, of vectors as they are stored."""

FURTHER = 2
"""Candidates that compete for these uses beside single layers: the best by MAP@R on the classes that choose."""

PROBE_C, PROBE_FOLDS, SEED = 1.0, 5, 0
"""Inverse penalty of the probe, parts of its cross-validation, root seed."""


@dataclass(frozen=True)
class Judged:
    """How representations, one for each fold, score on the classes of their folds.

    Attributes:
        value: mean over folds, each of the weight of its classes.
        without: (G,) the same without each group of classes (`class_groups`), which left the gallery; fits are as
            they were.
    """

    value: float
    without: Float64


@dataclass(frozen=True)
class _Gallery:
    """Images of one fold.

    Attributes:
        rows: (n,) which.
        y: (n,) their classes, 0 ... k - 1.
        settings: how they are scored.
        parts: classes that are left out one group at a time.
        groups: numbers of these groups among all.
        left: number of classes that are left without each.
    """

    rows: Rows
    y: Classes
    settings: Settings
    parts: Parts
    groups: Rows
    left: Rows


Place = tuple[tuple[int, ...], int]
"""Folds that a recipe is not fitted to, and the fold that is scored."""


class UseScores:
    """Scores of representations for other uses, computed when first asked for."""

    def __init__(
        self,
        layers: Mapping[str, Embedding],
        networks: Mapping[str, str],
        y: Classes,
        own_groups: NDArray[Any],
        choice: Choice,
        metrics: Sequence[str],
    ) -> None:
        """Note the images.

        Args:
            layers: name -> (N, D).
            networks: array -> the network, input size and pooling that it is of.
            y: (N,) classes, 0 ... K - 1.
            own_groups: (N,) group of every image, none of whose images is its neighbour.
            choice: of the same images, by MAP@R.
            metrics: names of scores that are computed together; the probe only if every class has five images.
        """
        self.metrics = [name for name in metrics if name != PROBE or np.bincount(y).min() >= PROBE_FOLDS]
        self._layers, self._networks, self._choice = layers, networks, choice
        self._y, self._own_groups = y, own_groups
        self._sizes = np.bincount(choice.folds)
        left_out = class_groups(choice.classes) if len(choice.classes) >= MIN_FITTED_CLASSES else []
        self._groups = len(left_out)
        self._galleries = [self._gallery(fold, left_out) for fold in range(len(self._sizes))]
        self._known: dict[tuple[int, Place], dict[str, tuple[float, Float64]]] = {}

    def shortlist(self, fold: int | None = None) -> list[int]:
        """Number what competes on all classes, or on those of all folds but one: the habit comes first."""
        choice = self._choice
        scores = choice.values if fold is None else choice.choosing[fold]
        ranked = np.argsort(-scores, kind="stable").tolist()
        whole = [number for number in ranked if choice.candidates[number].join == "all"]
        return [*dict.fromkeys([choice.control, *choice.singles, *whole[:1], *ranked[:FURTHER]])]

    def choose(self, metric: str, *, singles: bool = False) -> tuple[int, list[int]]:
        """Choose by one score: on all classes, and for each fold on the classes of the others.

        Args:
            metric: the score.
            singles: whether plain single layers only compete.
        """
        folds = range(len(self._sizes))
        among = {fold: self._choice.singles if singles else self.shortlist(fold) for fold in (None, *folds)}
        self._compute([(n, self._place(on, fold)) for fold in among for n in among[fold] for on in self._others(fold)])
        chosen = [self._best(metric, among[fold], fold) for fold in (None, *folds)]
        return chosen[0], chosen[1:]

    def judge(self, metric: str, judged: Sequence[int]) -> Judged:
        """Score the representation of every fold on it."""
        asked = [(number, ((fold,), fold)) for fold, number in enumerate(judged)]
        self._compute(asked)
        found = [self._known[self._key(*each)][metric] for each in asked]
        sums = self._sizes * [value for value, _ in found]
        without, left = np.full(self._groups, sums.sum()), np.full(self._groups, self._sizes.sum())
        for gallery, whole, (_, scores) in zip(self._galleries, sums, found, strict=True):
            without[gallery.groups] += gallery.left * scores - whole
            left[gallery.groups] -= len(np.unique(gallery.y)) - gallery.left
        return Judged(float(sums.sum() / self._sizes.sum()), without / left)

    def _others(self, fold: int | None) -> list[int]:
        """Return the folds that choose for one; a single fold chooses for itself."""
        J = len(self._sizes)
        return [other for other in range(J) if other != fold] if J > 1 else [0]

    def _place(self, on: int, fold: int | None) -> Place:
        """Return where a candidate is scored on one fold to choose for another, as `Choice.choosing` is."""
        return (tuple(sorted({on, fold})) if fold is not None and len(self._sizes) > 2 else (on,)), on

    def _best(self, metric: str, among: Sequence[int], fold: int | None) -> int:
        """Return the best of some candidates for a fold, or on all classes; of equal ones the first."""
        on = self._others(fold)
        weights = self._sizes[on] / self._sizes[on].sum()
        scores = [
            [self._known[self._key(number, self._place(each, fold))][metric][0] for each in on] for number in among
        ]
        means = np.array(scores) @ weights
        return among[int(np.argmax(means))]

    def _key(self, number: int, place: Place) -> tuple[int, Place]:
        """Return where a score is kept: of rows to which nothing is fitted once for each fold."""
        is_fitted = self._choice.candidates[number].recipe != "plain"
        return number, place if is_fitted else ((place[1],), place[1])

    def _compute(self, asked: Collection[tuple[int, Place]]) -> None:
        """Score candidates, all that are fitted to the same classes together."""
        missing = sorted({self._key(*each) for each in asked} - self._known.keys())
        for apart in dict.fromkeys(place[0] for _, place in missing):
            own = [(number, fold) for number, (folds, fold) in missing if folds == apart]
            numbers = sorted({number for number, _ in own})
            candidates = [self._choice.candidates[number] for number in numbers]
            used = {name for each in candidates for name in each.arrays}
            networks = {name: network for name, network in self._networks.items() if name in used}
            reference = np.flatnonzero(~np.isin(self._choice.folds[self._y], apart))
            for source, members in list_sources(self._layers, networks, candidates, self._y):
                fit = Fit(source, reference)
                for fold in sorted({fold for _, fold in own}):
                    for at, X in fit.vectors(self._galleries[fold].rows):
                        number = numbers[members[at]]
                        if (number, fold) in own:
                            self._known[number, (apart, fold)] = self._score(X, fold, again=len(apart) == 1)

    def _score(self, X: Float64, fold: int, *, again: bool) -> dict[str, tuple[float, Float64]]:
        """Score the images of one fold, and again without its classes; chance levels would take a third of the time."""
        own, found = self._galleries[fold], {}
        for name in self.metrics:
            rows = scaled(X.astype(np.float32), LAYER_SCORES[name].scaling)
            split = EmbeddedSplit(rows, own.y, own.settings, needs_of([name]))
            with config_context(assume_finite=True, skip_parameter_validation=True):
                value = LAYER_SCORES[name].compute(split).value
                parts = own.parts.groups if again else []
                found[name] = value, refit(split, parts, own.parts.halves, [name], own.parts.search)[name]
        return found

    def _gallery(self, fold: int, left_out: Sequence[Classes]) -> _Gallery:
        """Number the classes of one fold's images, and settle how these are scored."""
        classes = np.flatnonzero(self._choice.folds == fold)
        rows = np.flatnonzero(np.isin(self._y, classes))
        y, search = np.searchsorted(classes, self._y[rows]), Search()
        settings = split_settings(
            y, search=search, C=PROBE_C, folds=PROBE_FOLDS, seed=SEED, groups=self._own_groups[rows]
        )
        own = [np.flatnonzero(np.isin(classes, group)) for group in left_out]
        groups = np.flatnonzero([len(each) > 0 for each in own])
        parts = Parts([own[group] for group in groups], np.empty((0, len(rows)), bool), search)
        return _Gallery(
            rows, y, settings, parts, groups, np.array([len(classes) - len(each) for each in parts.groups], int)
        )
