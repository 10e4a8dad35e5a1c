"""Principal components from numpy's own decomposition."""

from typing import Any

import numpy as np


def plane_of(X: Any) -> tuple[Any, float]:
    """Project (N, D) on its first two axes, the largest loading of each positive; and their share of the variance."""
    centred = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    axes = np.array([axis * np.sign(axis[np.argmax(np.abs(axis))]) for axis in axes[:2]])
    return centred @ axes.T, (scales[:2] ** 2).sum() / (scales**2).sum()
