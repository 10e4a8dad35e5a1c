"""Recipes for rows, fitted to reference images: means, principal axes, and the covariance within classes.

- *plain*: x / |x|.
- *centred*: (x - m) / |x - m|, m the mean of the reference images.
- *whitened*: z = (x - m) V / s, z / |z|, with V the leading principal axes of the reference images of that layer and s
  the standard deviations along them.
- *within*: z = (x - m) V, z / |z|, of each layer; side by side, less their mean over the reference images, times an
  inverse root of their covariance within reference classes, length 1. The covariance is shrunk towards its mean
  eigenvalue (linear discriminant analysis without its last projection; Belhumeur, Hespanha and Kriegman 1997).
- *whitened_within*: the same of whitened rows.

In a join every layer has length 1 before it stands beside the others, so that cosines are averages over layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, eigh, solve_triangular

from ..scores.arrays import Classes, Float64
from ..scores.embedded_split import EQUALS_MEAN
from .candidates import Recipe

Embedding = NDArray[Any]
"""Rows of one layer, (N, D), of any float type."""

Scaling = Literal["plain", "centred", "reduced", "whitened"]
"""What is done with the rows of one layer, before layers are joined."""

SCALINGS: dict[Recipe, Scaling] = {
    "plain": "plain",
    "centred": "centred",
    "whitened": "whitened",
    "within": "reduced",
    "whitened_within": "whitened",
}
"""Recipe -> the scaling of each layer's rows."""

WITHIN: tuple[Recipe, ...] = ("within", "whitened_within")
"""Recipes that go on with the covariance within classes."""

MAX_AXES = 64
"""Principal axes of one layer."""

SHRINKAGE = 0.2
"""Weight of the mean eigenvalue in the covariance within classes."""

ROUNDING = 1e-12
"""A variance below this share of the largest one is rounding: embeddings are single precision."""


@dataclass(frozen=True)
class Step:
    """Rows less a mean, times a matrix, L2-normalized.

    Attributes:
        mean: (D,); None: nothing is subtracted.
        matrix: (D, k); None: columns stay.
    """

    mean: Float64 | None = None
    matrix: Float64 | None = None

    def rows(self, X: Embedding) -> Float64:
        """Apply to (N, D); rows that equal the mean up to rounding become 0."""
        rows, equal = X.astype(np.float64), np.zeros(len(X), dtype=bool)
        if self.mean is not None:
            rows -= self.mean
            equal = np.linalg.norm(rows, axis=1) <= EQUALS_MEAN * np.linalg.norm(self.mean)
        rows = rows if self.matrix is None else rows @ self.matrix
        length = np.linalg.norm(rows, axis=1)
        keep = (length > 0) & ~equal
        return np.asarray(np.where(keep, 1 / np.where(keep, length, 1), 0)[:, None] * rows)


@dataclass(frozen=True)
class Axes:
    """Principal axes of the reference images of one layer.

    Attributes:
        mean: (D,).
        directions: (D, k), by falling variance.
        deviations: (k,) standard deviations along them.
    """

    mean: Float64
    directions: Float64
    deviations: Float64

    def step(self, scaling: Scaling) -> Step:
        """What is done with the rows of this layer, `whitened` or `reduced` to the axes."""
        return Step(self.mean, self.directions / self.deviations if scaling == "whitened" else self.directions)


def principal_axes(X: Embedding, most: int = MAX_AXES) -> Axes:
    """Find the leading principal axes of some images, fewer than their rank.

    Args:
        X: (N, D) reference images.
        most: axes, if the rank is higher.
    """
    rows = X.astype(np.float64)
    mean = rows.mean(axis=0)
    rows -= mean
    N, D = rows.shape
    wide = D > N
    scatter, count = rows @ rows.T if wide else rows.T @ rows, min(N, D)
    values, vectors = eigh(scatter, subset_by_index=(max(0, count - most - 1), count - 1), overwrite_a=True)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > ROUNDING * values[0]).sum())
    k = max(min(most, rank - 1), 1)
    deviations = np.sqrt(values[:k]) if rank else np.ones(k)
    directions = rows.T @ vectors[:, :k] / deviations if wide else vectors[:, :k]
    return Axes(mean, directions, deviations / np.sqrt(N))


def axes_about_zero(rows: Embedding, count: int) -> Float64:
    """Find the directions that keep cosines of joined rows (N, p) best, their mean left in: (p, count)."""
    return np.asarray(np.linalg.svd(rows.astype(np.float64), full_matrices=False)[2][:count].T)


def layer_step(X: Embedding, scaling: Scaling) -> Step:
    """What is done with the rows of one layer, fitted to its reference images (N, D)."""
    if scaling == "plain":
        return Step()
    return Step(X.mean(axis=0, dtype=np.float64)) if scaling == "centred" else principal_axes(X).step(scaling)


@dataclass(frozen=True)
class Within:
    """How the joined rows of reference images differ within classes.

    Attributes:
        mean: (p,) of all of them.
        covariance: (p, p) within classes, over the number of images.
    """

    mean: Float64
    covariance: Float64

    def step(self, columns: slice) -> Step:
        """What is done with some of the joined columns, those of the last few layers or of one."""
        covariance = self.covariance[columns, columns]
        p = len(covariance)
        target = np.trace(covariance) / p or 1.0  # classes of equal images: nothing to take out
        factor = cholesky((1 - SHRINKAGE) * covariance + SHRINKAGE * target * np.eye(p), lower=True)
        return Step(self.mean[columns], solve_triangular(factor, np.eye(p), lower=True).T)


def within_classes(rows: Float64, y: Classes) -> Within:
    """Compute how rows differ within classes.

    Args:
        rows: (N, p) joined.
        y: (N,) classes.
    """
    _, y = np.unique(y, return_inverse=True)
    members = np.eye(int(y.max()) + 1)[y]
    differences = rows - (members @ ((members.T @ rows) / members.sum(axis=0)[:, None]))
    return Within(rows.mean(axis=0), differences.T @ differences / len(rows))


def column_slices(widths: Sequence[int]) -> list[slice]:
    """Return which columns each of several blocks takes side by side."""
    ends = np.cumsum([0, *widths]).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]
