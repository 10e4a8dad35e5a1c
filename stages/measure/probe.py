"""The linear probe: cross-validated multinomial logistic regression on one embedding."""

import warnings

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6
"""The solver stops when no component of the mean loss's gradient is larger; see docs/scores.md for what that means."""

MAX_ITERATIONS = 1000

FEATURES_PER_BLOCK = 128
"""Features that are in double precision at once."""

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]
Rows = NDArray[np.int64]


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
    from sklearn.model_selection import StratifiedKFold  # here, since the check of params needs the catalogue's names

    predictions = np.empty_like(y)
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, y):
        fitted, unseen = span_coordinates(*standardize(X, train, held_out))
        predictions[held_out] = fit_and_predict(fitted, y[train], unseen, C=C)
    return predictions


def standardize(X: Floats, train: Rows, held_out: Rows) -> tuple[Floats, Floats]:
    """Bring every feature to mean 0 and standard deviation 1 over the training rows, computed in double precision.

    Features that are constant there say nothing and are dropped; if all are, one column of zeros is left.

    Args:
        X: (N, D) float32.
        train: (n,) indices of rows.
        held_out: (m,) indices of rows.

    Returns:
        Both parts, (n, D') and (m, D') float32.
    """
    varying = [block[np.ptp(X[:, block][train], axis=0) > 0] for block in _blocks(np.arange(X.shape[1]))]
    features = np.concatenate(varying)
    if len(features) == 0:
        return np.zeros((len(train), 1), np.float32), np.zeros((len(held_out), 1), np.float32)
    parts = np.empty((len(train), len(features)), np.float32), np.empty((len(held_out), len(features)), np.float32)
    for columns in _blocks(np.arange(len(features))):
        values = X[:, features[columns]].astype(np.float64)
        mean, deviation = values[train].mean(axis=0), values[train].std(axis=0)
        for part, rows in zip(parts, (train, held_out), strict=True):
            part[:, columns] = (values[rows] - mean) / deviation
    return parts


def _blocks(features: Rows) -> list[Rows]:
    return [features[i : i + FEATURES_PER_BLOCK] for i in range(0, len(features), FEATURES_PER_BLOCK)]


def span_coordinates(train: Floats, held_out: Floats) -> tuple[Floats, Floats]:
    """Rotate wide data into an orthonormal basis of the training rows' span.

    The penalty is the same in any such basis and the optimum lies in the span, so that the predictions are the same
    from n features as from D. Data of less than two features per training row are returned as they are.

    Returns:
        Both parts, (n, n) and (m, n) where D >= 2 n, else as they are; float32.
    """
    n, D = train.shape
    if 2 * n > D:
        return train, held_out
    basis, coordinates = np.linalg.qr(train.T.astype(np.float64))  # (D, n), (n, n)
    return coordinates.T.astype(np.float32), (held_out @ basis).astype(np.float32)


def fit_and_predict(train: Floats, y: Classes, held_out: Floats, *, C: float) -> Classes:
    """Fit in single precision, which is twice as fast; in double precision where that does not converge.

    Args:
        train: (n, D) float32, standardized.
        y: (n,) classes.
        held_out: (m, D).
        C: inverse strength of the penalty.

    Returns:
        (m,) predicted classes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _solve(train, y, held_out, C)
    except (UserWarning, RuntimeWarning):  # ConvergenceWarning is a UserWarning, as is a failed line search
        return _solve(train.astype(np.float64), y, held_out.astype(np.float64), C)


def _solve(train: NDArray[np.floating], y: Classes, held_out: NDArray[np.floating], C: float) -> Classes:
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=C, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    return np.asarray(probe.fit(train, y).predict(held_out), dtype=np.int64)
