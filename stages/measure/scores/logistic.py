"""Multinomial logistic regression: Newton's method, whose steps are found by conjugate gradients.

The optimum is that of scikit-learn's solver `newton-cg`. Gradients are in double precision, steps in single precision,
which is twice as fast and exact enough for a direction.
"""

import warnings

import numpy as np

from stages.measure.arrays import Classes, Float32, Float64, blocks

TOLERANCE = 1e-6
"""The solver stops when no component of the mean loss's gradient is larger.

Of 39,600 held-out predictions (both splits at nine layers of EfficientNet-Lite0 on handwriting, four folds of classes)
none differs from those at 1e-9 in double precision; at 1e-5 three do, at 1e-4, where scikit-learn's default (lbfgs)
stops short of the optimum, 59 (`python -m tests.bench.probe_solver`).
"""

MAX_ITERATIONS = 1000
"""Of Newton's method, and of conjugate gradients for one of its steps."""

SHARES_OF_STEP = tuple(0.5**halvings for halvings in range(40))
"""What is tried, until the objective falls."""

ROUNDING = 1e-14
"""By how much the objective may rise and count as equal."""


def fit(X: Float32, y: Classes, *, C: float) -> Float64:
    """Find the weights of least C * (sum of losses) + ||w||^2 / 2, the intercepts free; warn where that fails.

    Of two classes scikit-learn fits one difference of weights, which is penalized twice as hard as each of them.

    Args:
        X: (n, D) float32, standardized.
        y: (n,) classes 0 ... K - 1, each occurring.
        C: inverse strength of the penalty.

    Returns:
        (D + 1, K) weights, the last row the intercepts.
    """
    (n, D), K = X.shape, int(y.max()) + 1
    penalty = np.append(np.full(D, (2 if K == 2 else 1) / (C * n)), 0)[:, None]
    weights, scores, own = np.zeros((D + 1, K)), np.zeros((n, K)), np.eye(K)[y]
    value, shares = _objective(weights, scores, own, penalty)
    for _ in range(MAX_ITERATIONS):
        gradient = _backward(X, (shares - own) / n) + penalty * weights
        if abs(gradient).max() <= TOLERANCE:
            return weights
        step = _newton_step(X, *(part.astype(np.float32) for part in (shares, gradient, penalty))).astype(np.float64)
        change, slope, before = class_scores(X, step), float(np.vdot(gradient, step)), value
        for length in SHARES_OF_STEP:
            value, shares = _objective(weights + length * step, scores + length * change, own, penalty)
            if value <= before + ROUNDING + 1e-4 * length * slope:
                break
        weights, scores = weights + length * step, scores + length * change
    warnings.warn(f"the linear probe has not converged in {MAX_ITERATIONS} iterations", RuntimeWarning, stacklevel=2)
    return weights


def class_scores(X: Float32, weights: Float64) -> Float64:
    """Score every class for every row, in double precision, a block of rows at a time.

    Args:
        X: (n, D) float32.
        weights: (D + 1, K), the last row the intercepts.

    Returns:
        (n, K), of which the largest is that of the predicted class.
    """
    scores = np.empty((len(X), weights.shape[1]))
    for rows in blocks(len(X)):
        scores[rows] = X[rows] @ weights[:-1] + weights[-1]
    return scores


def _objective(weights: Float64, scores: Float64, own: Float64, penalty: Float64) -> tuple[float, Float64]:
    """Mean loss with its penalty, and every class's share of every row, (n, K)."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(np.vdot(penalty * weights, weights) / 2 - np.vdot(own, logs) / len(own)), np.exp(logs)


def _backward(X: Float32, residuals: Float64) -> Float64:
    """Gradient with respect to the weights of what has these gradients with respect to scores, (D + 1, K)."""
    products = sum((residuals[rows].T @ X[rows] for rows in blocks(len(X))), start=np.zeros(1))
    return np.vstack([products.T, residuals.sum(axis=0)])


def _newton_step(X: Float32, shares: Float32, gradient: Float32, penalty: Float32) -> Float32:
    """Solve for the step that the Hessian takes to minus the gradient, the more exactly the smaller that is.

    Args:
        X: (n, D).
        shares: (n, K) of every class in every row.
        gradient: (D + 1, K).
        penalty: (D + 1, 1).

    Returns:
        (D + 1, K) float32.
    """
    step, residual, search = np.zeros_like(gradient), -gradient, -gradient
    product, weighted, size = np.empty_like(gradient), shares / np.float32(len(X)), float(abs(gradient).sum())
    square, goal = float(np.vdot(residual, residual)), min(0.25, size) * float(np.vdot(gradient, gradient))
    for _ in range(MAX_ITERATIONS):
        change = X @ search[:-1] + search[-1]
        change -= np.einsum("nk,nk->n", shares, change)[:, None]
        change *= weighted
        product[:-1], product[-1] = (change.T @ X).T, change.sum(axis=0)
        product += penalty * search
        length = square / float(np.vdot(search, product))
        step += length * search
        residual -= length * product
        before, square = square, float(np.vdot(residual, residual))
        if square <= goal:
            break
        search = residual + (square / before) * search
    return step
