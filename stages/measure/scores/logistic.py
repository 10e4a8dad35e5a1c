"""Multinomial logistic regression by Newton's method, each step by conjugate gradients: scikit-learn's `newton-cg`.

The same objective, stopping rule and steps; classes are rows here, so that a sum over few classes is fast, which takes
half its time on hundreds of images.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Classes

MAX_STEPS = 1000
MAX_INNER_STEPS = 200

SUFFICIENT = 1e-4
"""Share of what the slope promises that a step must lower the loss by (Armijo)."""

LOSS_ROUNDING = 1e-7
"""Relative change of the loss that may be rounding in single precision."""

Array = NDArray[np.floating]


def fit(X: Array, y: Classes, *, C: float, tolerance: float) -> tuple[Array, bool]:
    """Minimize C * (sum of losses) + ||W||^2 / 2 over weights and free intercepts, in the precision of X.

    Args:
        X: (n, D).
        y: (n,) classes 0 ... K - 1, each occurring.
        C: inverse strength of the penalty, as in scikit-learn: of two classes, that on the difference of their weights.
        tolerance: largest component of the mean loss's gradient where it stops.

    Returns:
        (K, D + 1) weights, intercepts last, and whether the tolerance was reached.
    """
    n, K, images = len(X), int(y.max()) + 1, np.arange(len(X))
    rows = np.concatenate([X, np.ones((n, 1), X.dtype)], axis=1)  # (n, D + 1)
    columns = np.ascontiguousarray(rows.T)
    penalty = np.full(rows.shape[1], (2 if K == 2 else 1) / (C * n), X.dtype)
    penalty[-1] = 0
    weights, logits = np.zeros((K, rows.shape[1]), X.dtype), np.zeros((K, n), X.dtype)
    loss = _loss(logits, y, weights, penalty)
    for _ in range(MAX_STEPS):
        shares = np.exp(logits - logits.max(axis=0))
        shares /= shares.sum(axis=0)
        errors = shares.copy()
        errors[y, images] -= 1
        gradient = errors @ rows / n + penalty * weights
        if np.abs(gradient).max() <= tolerance:
            return weights, True

        def hessian(direction: Array, shares: Array = shares) -> Array:
            curved = direction @ columns
            curved *= shares
            curved -= shares * curved.sum(axis=0)
            return np.asarray(curved @ rows / n + penalty * direction)

        step = _newton_step(hessian, gradient)
        slope, moved, length = float(np.vdot(gradient, step)), step @ columns, 1.0
        while _loss(logits + length * moved, y, weights + length * step, penalty) > (
            loss + SUFFICIENT * length * slope + LOSS_ROUNDING * abs(loss)
        ):
            length /= 2
            if length < SUFFICIENT:
                return weights, False
        weights, logits = weights + length * step, logits + length * moved
        loss = _loss(logits, y, weights, penalty)
    return weights, False


def predict(weights: Array, X: Array) -> Classes:
    """Return the class of every row's largest logit, the first of equal ones, (m,).

    Args:
        weights: (K, D + 1) from `fit`.
        X: (m, D).
    """
    return np.asarray((X @ weights[:, :-1].T + weights[:, -1]).argmax(axis=1), dtype=np.int64)


def _newton_step(hessian: Callable[[Array], Array], gradient: Array) -> Array:
    """Solve hessian @ step = -gradient, the closer the smaller the gradient is."""
    size = float(np.abs(gradient).sum())
    step, residual = np.zeros_like(gradient), -gradient
    direction, squares = residual.copy(), float(np.vdot(residual, residual))
    for _ in range(MAX_INNER_STEPS):
        if float(np.abs(residual).sum()) <= min(0.5, size**0.5) * size:
            break
        curved = hessian(direction)
        length = squares / float(np.vdot(direction, curved))
        step += length * direction
        residual -= length * curved
        before, squares = squares, float(np.vdot(residual, residual))
        direction = residual + (squares / before) * direction
    return step


def _loss(logits: Array, y: Classes, weights: Array, penalty: Array) -> float:
    """Mean loss with its penalty."""
    largest = logits.max(axis=0)
    losses = np.log(np.exp(logits - largest).sum(axis=0)) + largest - logits[y, np.arange(len(y))]
    return float(losses.mean(dtype=np.float64) + np.vdot(penalty * weights, weights) / 2)
