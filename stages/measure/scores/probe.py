"""The linear probe: cross-validated multinomial logistic regression on one embedding."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Classes, Floats, Rows

TOLERANCE = 1e-6
"""The solver stops when no component of the mean loss's gradient is larger; see docs/scores.md for what that means."""

MAX_ITERATIONS = 1000

UNSOLVED = (UserWarning, RuntimeWarning)
"""Warnings of a fit that failed: a ConvergenceWarning is a UserWarning, as is a failed line search."""

FEATURES_PER_BLOCK = 128
"""Features that are in double precision at once."""


def held_out_predictions(X: Floats, y: Classes, *, C: float, folds: int, seed: int) -> Classes:
    """Predict the class of every image by a classifier fitted on the other folds.

    In each fold: standardization from the training part, then logistic regression with the objective of
    scikit-learn, C * (sum of losses) + ||w||^2 / 2, the intercept free. Its optimum is unique.

    Args:
        X: (N, D) float32.
        y: (N,) classes, each of at least `folds` images.
        C: inverse strength of the penalty.
        folds: number of stratified, shuffled folds.
        seed: of the shuffle.

    Returns:
        (N,) predicted classes.
    """
    return held_out_predictions_of_copies(X, y, C=C, folds=folds, seed=seed, copies={})[0]


def held_out_predictions_of_copies(
    X: Floats, y: Classes, *, C: float, folds: int, seed: int, copies: Mapping[str, tuple[Rows, Floats]]
) -> tuple[Classes, dict[str, Classes]]:
    """Predict the class of every image and of its copies by one classifier, fitted on the other folds' originals.

    Copies take no part in fitting: a copy is standardized as its original is, by the training part of the fold that
    held the original out.

    Args:
        X: (N, D) float32.
        y: (N,) classes, each of at least `folds` images.
        C: inverse strength of the penalty.
        folds: number of stratified, shuffled folds.
        seed: of the shuffle.
        copies: by name, (m,) rows of the originals in X and (m, D) float32 embeddings of their copies.

    Returns:
        (N,) predicted classes, those of `held_out_predictions` to the bit, and by name (m,) those of the copies.
    """
    from sklearn.model_selection import StratifiedKFold  # here, since the check of params needs the catalogue's names

    predictions = np.empty_like(y)
    of_copies = {name: np.empty(len(originals), y.dtype) for name, (originals, _) in copies.items()}
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, y):
        here = {name: np.flatnonzero(np.isin(originals, held_out)) for name, (originals, _) in copies.items()}
        standard = standardize(X, train, held_out, *(copies[name][1][rows] for name, rows in here.items()))
        fitted, *tested = span_coordinates(*standard)
        predictions[held_out], *found = fit_and_predict(fitted, y[train], *tested, C=C)
        for (name, rows), classes in zip(here.items(), found, strict=True):
            of_copies[name][rows] = classes
    return predictions, of_copies


def standardize(X: Floats, train: Rows, held_out: Rows, *others: Floats) -> tuple[Floats, ...]:
    """Bring every feature to mean 0 and standard deviation 1 over the training rows, computed in double precision.

    Features that are constant there say nothing and are dropped; if all are, one column of zeros is left.

    Args:
        X: (N, D) float32.
        train: (n,) indices of rows.
        held_out: (m,) indices of rows.
        others: further images, each (m', D) float32.

    Returns:
        Both parts, (n, D') and (m, D'), and the others, (m', D'); float32.
    """
    varying = [block[np.ptp(X[:, block][train], axis=0) > 0] for block in _blocks(np.arange(X.shape[1]))]
    features = np.concatenate(varying)
    lengths = (len(train), len(held_out), *(len(other) for other in others))
    if len(features) == 0:
        return tuple(np.zeros((length, 1), np.float32) for length in lengths)
    parts = tuple(np.empty((length, len(features)), np.float32) for length in lengths)
    for columns in _blocks(np.arange(len(features))):
        values = X[:, features[columns]].astype(np.float64)
        mean, deviation = values[train].mean(axis=0), values[train].std(axis=0)
        blocks = values[train], values[held_out], *(other[:, features[columns]] for other in others)
        for part, block in zip(parts, blocks, strict=True):
            part[:, columns] = (block - mean) / deviation
    return parts


def _blocks(features: Rows) -> list[Rows]:
    return [features[i : i + FEATURES_PER_BLOCK] for i in range(0, len(features), FEATURES_PER_BLOCK)]


def span_coordinates(train: Floats, *others: Floats) -> tuple[Floats, ...]:
    """Rotate wide data into an orthonormal basis of the training rows' span.

    The penalty is the same in any such basis and the optimum lies in the span, so that the predictions are the same
    from n features as from D. Data of less than two features per training row are returned as they are.

    Returns:
        All parts, (n, n) and each (m, n) where D >= 2 n, else as they are; float32.
    """
    n, D = train.shape
    if 2 * n > D:
        return train, *others
    basis, coordinates = np.linalg.qr(train.T.astype(np.float64))  # (D, n), (n, n)
    return coordinates.T.astype(np.float32), *((other @ basis).astype(np.float32) for other in others)


def fit_and_predict(train: Floats, y: Classes, *others: Floats, C: float) -> list[Classes]:
    """Fit in single precision, which is twice as fast; in double precision where that does not converge.

    Args:
        train: (n, D) float32, standardized.
        y: (n,) classes.
        others: images to predict, each (m, D).
        C: inverse strength of the penalty.

    Returns:
        (m,) predicted classes of each of the others.
    """
    try:
        with warnings.catch_warnings():
            for category in UNSOLVED:
                warnings.simplefilter("error", category)
            return _solve(train, y, others, C)
    except UNSOLVED:
        return _solve(train.astype(np.float64), y, [other.astype(np.float64) for other in others], C)


def _solve(train: NDArray[np.floating], y: Classes, others: Sequence[NDArray[np.floating]], C: float) -> list[Classes]:
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=C, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS).fit(train, y)
    empty = np.empty(0, np.int64)
    return [np.asarray(probe.predict(other), dtype=np.int64) if len(other) else empty for other in others]
