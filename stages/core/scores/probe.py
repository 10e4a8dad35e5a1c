"""The linear probe: cross-validated multinomial logistic regression on one embedding."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from .arrays import Classes, Float32, Float64, Rows, blocks

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

Floats = NDArray[np.floating]


def held_out_scores(X: Float32, y: Classes, *, C: float, folds: int, seed: int) -> Floats:
    """Score every class for every image by a classifier fitted on the other folds, which predicts the highest one.

    In each fold: standardization from the training part, then logistic regression with the objective of
    scikit-learn, C * (sum of losses) + ||w||^2 / 2, the intercept free. Its optimum is unique.

    Args:
        X: (N, D) float32.
        y: (N,) classes 0 ... K - 1, each of at least `folds` images.
        C: inverse strength of the penalty.
        folds: number of stratified, shuffled folds.
        seed: of the shuffle.

    Returns:
        (N, K) log-probabilities up to a constant of each image; float32, float64 where a fit needed that.
    """
    X = without_constants(X)
    wide = X.shape[1] >= 2 * len(X)
    settings: dict[str, Any] = {"C": C, "solver": "newton-cg", "tol": TOLERANCE, "max_iter": MAX_ITERATIONS}
    classifier = LogisticRegression(**settings, warm_start=True)  # in the same coordinates, folds' optima are near
    rows, scores = list[Rows](), list[Floats]()
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, y):
        moments = column_moments(X, train)
        fitted, tested = standardize(X, *moments, train), standardize(X, *moments, held_out)
        if wide:
            fitted, tested = span_coordinates(fitted, tested)
        if 2 * fitted.shape[1] >= len(fitted):
            approach(classifier, fitted, y[train], warm_start=not wide)
        rows.append(held_out)
        scores.append(fit_and_score(classifier, fitted, y[train], tested))
        del fitted, tested  # before the next fold's are made
    return np.concatenate(scores)[np.concatenate(rows).argsort()]


def without_constants(X: Float32) -> Float32:
    """Leave out features that are the same for all images, whose weight is 0, such as those of a ReLU that none passes.

    Args:
        X: (N, D) float32.

    Returns:
        (N, d) float32; X itself where all features vary, or none does.
    """
    varying = (X.min(axis=0) != X.max(axis=0)).nonzero()[0]
    return X if len(varying) in (0, X.shape[1]) else X[:, varying]


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


def span_coordinates(train: Float32, others: Float32) -> tuple[Float32, Float32]:
    """Rotate wide data into an orthonormal basis of the training rows' span.

    The penalty is the same in any such basis and the optimum lies in the span, so that the predictions are the same
    from n features as from D, which saves time from two features per row on.

    Args:
        train: (n, D) float32, standardized.
        others: further images, (m, D) float32.

    Returns:
        Both, (n, n) and (m, n); float32.
    """
    n, D = train.shape
    doubles = train.astype(np.float64)
    products = doubles @ doubles.T
    products[np.diag_indices(n)] += NEGLIGIBLE * D  # what is centred has n - 1 dimensions at most
    coordinates = np.linalg.cholesky(products)  # as a QR decomposition's, in half of its time
    found = solve_triangular(coordinates, doubles @ others.T.astype(np.float64), lower=True).T
    return coordinates.astype(np.float32), np.ascontiguousarray(found, np.float32)


def approach(classifier: LogisticRegression, train: Float32, y: Classes, *, warm_start: bool) -> None:
    """Bring a classifier to where scikit-learn's default solver stops, near the optimum, for `fit_and_score` to go on.

    Embeddings with half as many features as images nearly separate the classes. Newton's method then takes some 20
    steps from the optimum of another fold, which the default solver brings down to five.

    Args:
        classifier: to fit, from where it ended last if `warm_start` says so.
        train: (n, D) float32, standardized.
        y: (n,) classes 0 ... K - 1, each occurring.
    """
    settings, default = classifier.get_params(), LogisticRegression(C=classifier.C, warm_start=warm_start).get_params()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.set_params(**default).fit(train, y)
    classifier.set_params(**settings)


def fit_and_score(classifier: LogisticRegression, train: Float32, y: Classes, others: Float32) -> Floats:
    """Fit in single precision, which is twice as fast; in double precision where that does not converge.

    Args:
        classifier: to fit, from where it ended last if its `warm_start` says so.
        train: (n, D) float32, standardized.
        y: (n,) classes 0 ... K - 1, each occurring.
        others: images to score, (m, D).

    Returns:
        (m, K) scores of the others, the highest of the predicted class.
    """
    try:
        with warnings.catch_warnings():
            for category in UNSOLVED:
                warnings.simplefilter("error", category)
            scores = classifier.fit(train, y).decision_function(others)
    except UNSOLVED:
        scores = classifier.fit(train.astype(np.float64), y).decision_function(others.astype(np.float64))
    return scores if scores.ndim > 1 else np.column_stack([np.zeros_like(scores), scores])  # of two classes: log-odds
