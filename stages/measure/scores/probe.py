"""The linear probe: cross-validated multinomial logistic regression on one embedding."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from stages.measure.arrays import Classes, Float32, Float64, Rows, blocks

TOLERANCE = 1e-6
"""The solver (newton-cg) stops when no component of the mean loss's gradient is larger.

Of 45,000 held-out predictions (both splits at nine layers of EfficientNet-Lite0 on calligraphy, step 500) one differs
from those at 1e-9 in double precision; at 1e-5 two do, at 1e-4, where scikit-learn's default (lbfgs) stops short of the
optimum, 70 (`python -m tests.bench.probe_solver`).
"""

MAX_ITERATIONS = 1000

UNSOLVED = (UserWarning, RuntimeWarning)
"""Warnings of a fit that failed: a ConvergenceWarning is a UserWarning, as is a failed line search."""

NEGLIGIBLE = 1e-10
"""Share of a row's squared length that single precision cannot tell from none, and double precision can."""

ELEMENTS_PER_BLOCK = 2**18
"""Elements of an embedding that are in double precision at once."""

ALL = slice(None)

Copies = Mapping[str, tuple[Rows, Float32]]
"""By name, (m,) rows of images and (m, D) float32 embeddings of their copies."""


def held_out_predictions(
    X: Float32, y: Classes, *, C: float, folds: int, seed: int, copies: Copies | None = None
) -> tuple[Classes, dict[str, Classes]]:
    """Predict the class of every image, and of its copies, by a classifier fitted on the other folds.

    In each fold: standardization from the training part, then logistic regression with the objective of
    scikit-learn, C * (sum of losses) + ||w||^2 / 2, the intercept free. Its optimum is unique. Copies take no part in
    fitting: a copy is standardized as its original is, by the training part of the fold that held the original out.

    Args:
        X: (N, D) float32.
        y: (N,) classes, each of at least `folds` images.
        C: inverse strength of the penalty.
        folds: number of stratified, shuffled folds.
        seed: of the shuffle.
        copies: by name, (m,) rows of images in X and (m, D) float32 embeddings of their copies.

    Returns:
        (N,) predicted classes, which do not depend on copies, and by name (m,) those of the copies.
    """
    copies = copies or {}
    wide = X.shape[1] >= 2 * len(X)
    settings: dict[str, Any] = {"C": C, "solver": "newton-cg", "tol": TOLERANCE, "max_iter": MAX_ITERATIONS}
    classifier = LogisticRegression(**settings, warm_start=not wide)  # in the same coordinates, folds' optima are near
    predictions = np.empty_like(y)
    of_copies = {name: np.empty(len(originals), y.dtype) for name, (originals, _) in copies.items()}
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, y):
        here = {name: np.flatnonzero(np.isin(originals, held_out)) for name, (originals, _) in copies.items()}
        moments = column_moments(X, train)
        parts = [(X, train), (X, held_out), *((copies[name][1], rows) for name, rows in here.items())]
        scaled = [standardize(part, *moments, rows) for part, rows in parts]
        fitted, *tested = span_coordinates(*scaled) if wide else scaled
        predictions[held_out], *found = fit_and_predict(classifier, fitted, y[train], *tested)
        for (name, rows), classes in zip(here.items(), found, strict=True):
            of_copies[name][rows] = classes
        del scaled, fitted, tested  # before the next fold's are made
    return predictions, of_copies


def column_moments(X: Float32, rows: Rows | slice = ALL) -> tuple[Float64, Float64]:
    """Compute the mean and standard deviation of every column over some rows.

    Args:
        X: (N, D) float32.
        rows: (n,) indices.

    Returns:
        (D,) each; a standard deviation of 0 is returned as 1.
    """
    fitted = [StandardScaler().fit(X[rows, some]) for some in blocks(X.shape[1], ELEMENTS_PER_BLOCK // len(X))]
    return np.concatenate([each.mean_ for each in fitted]), np.concatenate([each.scale_ for each in fitted])


def standardize(X: Float32, mean: Float64, deviation: Float64, rows: Rows | slice = ALL) -> Float32:
    """Standardize some rows in double precision: scikit-learn's own transform rounds to single precision twice.

    Features that are constant where `column_moments` looked become 0 there, up to rounding, and their weight is then 0.

    Args:
        X: (N, D) float32.
        mean, deviation: (D,) from `column_moments`.
        rows: (n,) indices.

    Returns:
        (n, D) float32.
    """
    indices = np.arange(len(X))[rows]
    scaled = np.empty((len(indices), X.shape[1]), np.float32)
    for block in blocks(len(indices), 256):
        scaled[block] = (X[indices[block]] - mean) / deviation
    return scaled


def span_coordinates(train: Float32, *others: Float32) -> tuple[Float32, ...]:
    """Rotate wide data into an orthonormal basis of the training rows' span.

    The penalty is the same in any such basis and the optimum lies in the span, so that the predictions are the same
    from n features as from D, which saves time from two features per row on.

    Args:
        train: (n, D) float32, standardized.
        others: further images, each (m, D) float32.

    Returns:
        All parts, (n, n) and each (m, n); float32.
    """
    n, D = train.shape
    doubles = train.astype(np.float64)
    products = doubles @ doubles.T
    products[np.diag_indices(n)] += NEGLIGIBLE * D  # what is centred has n - 1 dimensions at most
    coordinates = np.linalg.cholesky(products)  # as a QR decomposition's, in half of its time
    found = (solve_triangular(coordinates, doubles @ other.T.astype(np.float64), lower=True).T for other in others)
    return coordinates.astype(np.float32), *(np.ascontiguousarray(other, np.float32) for other in found)


def fit_and_predict(classifier: LogisticRegression, train: Float32, y: Classes, *others: Float32) -> list[Classes]:
    """Fit in single precision, which is twice as fast; in double precision where that does not converge.

    Args:
        classifier: to fit, from where it ended last if its `warm_start` says so.
        train: (n, D) float32, standardized.
        y: (n,) classes.
        others: images to predict, each (m, D).

    Returns:
        (m,) predicted classes of each of the others.
    """
    try:
        with warnings.catch_warnings():
            for category in UNSOLVED:
                warnings.simplefilter("error", category)
            return _solve(classifier, train, y, others)
    except UNSOLVED:
        doubles = [other.astype(np.float64) for other in others]
        return _solve(classifier, train.astype(np.float64), y, doubles)


def _solve(
    classifier: LogisticRegression, train: NDArray[np.floating], y: Classes, others: Sequence[NDArray[np.floating]]
) -> list[Classes]:
    classifier.fit(train, y)
    empty = np.empty(0, np.int64)
    return [np.asarray(classifier.predict(other), dtype=np.int64) if len(other) else empty for other in others]
