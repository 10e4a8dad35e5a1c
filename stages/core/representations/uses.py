"""Other uses of representations than retrieval: 1-NN accuracy, NMI and the linear probe, with the same folds.

As MAP@R, they are of the classes of one fold, with what is fitted fitted to the images of the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from ..scores.arrays import Classes, Float32
from ..scores.catalogue import PROBE
from ..scores.embedded_split import Settings
from ..scores.kmeans import Search
from ..scores.layer import score_layer, split_settings
from ..scores.probe import MAX_ITERATIONS, TOLERANCE, column_moments, fit_and_score, span_coordinates, standardize
from .candidates import Candidate
from .representation import Representation

USES = ("nn1_accuracy", "nmi", PROBE)
"""Scores, of vectors as they are stored."""

PROBE_C, JOINED_C, PROBE_FOLDS, SEED = 1.0, 0.1, 5, 0
"""Inverse penalties of the probe of a representation and of all layers, parts of its cross-validation, root seed."""


class UseScores:
    """Scores of representations on the classes of each fold, computed when first asked for."""

    def __init__(self, layers: Mapping[str, Float32], y: Classes, own_groups: NDArray[Any], folds: Classes) -> None:
        """Note the images.

        Args:
            layers: name -> (N, D).
            y: (N,) classes, 0 ... K - 1.
            own_groups: (N,) group of every image, none of whose images is its neighbour.
            folds: (K,) fold of every class.
        """
        self._layers, self._y, self._own_groups = layers, y, own_groups
        self._own = [np.asarray(folds[y] == fold) for fold in range(int(folds.max()) + 1)]
        self._known: dict[tuple[Candidate, int], dict[str, float]] = {}

    def mean(self, judged: Sequence[Candidate]) -> dict[str, float]:
        """Average the scores in `USES` over folds; the probe's is NaN if it has too few images of a class.

        Args:
            judged: the representation of every fold.
        """
        for fold, candidate in enumerate(judged):
            if (candidate, fold) not in self._known:
                self._known[candidate, fold] = self._score(candidate, self._own[fold])
        found = [self._known[candidate, fold] for fold, candidate in enumerate(judged)]
        return {name: float(np.mean([scores[name] for scores in found])) for name in USES}

    def joined_probe(self, names: Sequence[str]) -> float:
        """Score the probe on layers side by side, each as heavy as another, as a mean over folds; or NaN."""
        found = []
        for own in self._own:
            y, settings = self._settings(own)
            layers = [self._layers[name][own] for name in names]
            found.append(joined_probe_accuracy(layers, y, settings.probe_seed) if _can_probe(y) else np.nan)
        return float(np.mean(found))

    def _score(self, candidate: Candidate, own: NDArray[np.bool_]) -> dict[str, float]:
        reference = own if own.all() else ~own  # all classes are of one fold only if they are too few to fit anything
        known, asked = ({name: self._layers[name][rows] for name in candidate.arrays} for rows in (reference, own))
        X = Representation(candidate.arrays, candidate.recipe).fit(known, self._y[reference]).transform(asked)
        y, settings = self._settings(own)
        scores = score_layer(X, y, settings, USES if _can_probe(y) else USES[:-1]).scores
        return {name: scores[name].value if name in scores else np.nan for name in USES}

    def _settings(self, own: NDArray[np.bool_]) -> tuple[Classes, Settings]:
        """Number the classes of one fold's images, and settle how these are scored."""
        y, groups = np.unique(self._y[own], return_inverse=True)[1], self._own_groups[own]
        return y, split_settings(y, search=Search(), C=PROBE_C, folds=PROBE_FOLDS, seed=SEED, groups=groups)


def joined_probe_accuracy(layers: Sequence[Float32], y: Classes, seed: int) -> float:
    """Share of images that the linear probe recognizes by layers side by side, whose sums of squares are equal.

    It is fitted to the other parts of a cross-validation; columns are standardized there.

    Args:
        layers: (N, D) each.
        y: (N,) classes 0 ... K - 1, each of at least `PROBE_FOLDS` images.
        seed: of the cross-validation.
    """
    widths = np.array([X.shape[1] for X in layers])
    weights = np.sqrt(widths.mean() / widths).astype(np.float32)
    classifier = LogisticRegression(C=JOINED_C, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    right = np.zeros(len(y), dtype=bool)
    for train, held_out in StratifiedKFold(PROBE_FOLDS, shuffle=True, random_state=seed).split(y, y):
        moments = [column_moments(X, train) for X in layers]
        fitted, tested = (
            np.hstack([w * standardize(X, *own, rows) for w, X, own in zip(weights, layers, moments, strict=True)])
            for rows in (train, held_out)
        )
        if widths.sum() > len(train):
            fitted, tested = span_coordinates(fitted, tested)
        right[held_out] = fit_and_score(classifier, fitted, y[train], tested).argmax(axis=1) == y[held_out]
    return float(right.mean())


def _can_probe(y: Classes) -> bool:
    return int(np.bincount(y).min()) >= PROBE_FOLDS
