"""Out-of-distribution detection: how far images lie from the seen training images, and whether that tells unseen ones.

Memory is bounded by a block of images and the training images.
"""

from collections.abc import Iterator

import numpy as np

from stages.measure.arrays import Classes, Doubles, Floats
from stages.measure.embedded_split import unit_rows

NEIGHBOURS = 50
"""k of Sun et al. (2022) for small sets of training images."""

ACCEPTED_PERCENT = 95
"""Share of the seen test images that `fpr95` accepts as seen, in percent."""

BLOCK_BYTES = 64 * 2**20
ROUNDING = 2.0**-46
"""Squared distances below this share of the two squared lengths are rounding error of a distance of 0."""

VARIANCE_FLOOR = 2.0**-40
"""Smallest variance of the shared covariance, as a share of the training features' mean square: some roundings of
float32, so that features that do not vary are not measured in units of their rounding error."""


def knn_distances(train: Floats, X: Floats, *, k: int = NEIGHBOURS, block_bytes: int = BLOCK_BYTES) -> Doubles:
    """Measure how far every image is from its k-th nearest training image (Sun, Ming, Zhu and Li, ICML 2022).

    Rows of both are scaled to length 1 first (rows of zeros stay); distances are Euclidean and exact, in double
    precision.

    Args:
        train: (n, D) float32, embeddings of seen training images.
        X: (N, D) float32, embeddings of other images.
        k: which neighbour; of fewer than k training images, the farthest.
        block_bytes: memory for one block of images.

    Returns:
        (N,) float64, from 0 to 2.
    """
    train = unit_rows(train).astype(np.float64)
    squares = np.einsum("ij,ij->i", train, train)
    k = min(k, len(train))
    found = np.empty(len(X))
    for rows in _row_blocks(len(X), 8 * (4 * len(train) + 2 * train.shape[1]), block_bytes):
        block = unit_rows(X[rows]).astype(np.float64)
        sums = np.einsum("ij,ij->i", block, block)[:, None] + squares
        distances = sums - 2 * (block @ train.T)
        distances[distances <= ROUNDING * sums] = 0
        found[rows] = np.sqrt(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return found


def mahalanobis_distances(train: Floats, y_train: Classes, X: Floats, *, block_bytes: int = BLOCK_BYTES) -> Doubles:
    """Measure how far every image is from the nearest class of the training images (Lee et al., NeurIPS 2018).

    The squared Mahalanobis distance to the nearest class mean, under one covariance for all classes: that of the
    residuals about the class means, shrunk as Ledoit and Wolf (2004) do. Without any variance within classes it is
    proportional to the squared Euclidean distance.

    Args:
        train: (n, D) float32, embeddings of seen training images; D may exceed n.
        y_train: (n,) their classes.
        X: (N, D) float32, embeddings of other images.
        block_bytes: memory for one block of images.

    Returns:
        (N,) float64, >= 0.
    """
    from scipy.spatial.distance import cdist  # here, since the check of params needs the catalogue's names

    codes = np.unique(y_train, return_inverse=True)[1]
    centre = train.mean(axis=0, dtype=np.float64)
    centred = train - centre
    means = np.stack([centred[codes == c].mean(axis=0) for c in range(codes.max() + 1)])
    floor = VARIANCE_FLOOR * float(np.square(train, dtype=np.float64).mean())
    covariance = ShrunkCovariance(centred - means[codes], floor=floor)
    white_means = covariance.whiten(means)
    found = np.empty(len(X))
    for rows in _row_blocks(len(X), 8 * 4 * max(train.shape), block_bytes):
        block = X[rows] - centre
        squared = cdist(covariance.whiten(block), white_means, "sqeuclidean")
        if covariance.wide:
            squared = (cdist(block, means, "sqeuclidean") - squared) / covariance.variance
        found[rows] = np.maximum(squared.min(axis=1), 0)
    return found


class ShrunkCovariance:
    """S' = (1 - a) S + a mu I, the Ledoit-Wolf estimate from n residuals, factorized in min(n, D) dimensions.

    Attributes:
        shrinkage: a, from 0 to 1.
        variance: a mu, or the floor if that is larger; 1 where both are 0.
        wide: whether D > n. Squared Mahalanobis distances are then, by Woodbury's identity, what the whitened vectors'
            squared distance leaves of the plain one, over `variance`; otherwise they are the whitened vectors' own.
    """

    def __init__(self, residuals: Doubles, *, floor: float = 0.0) -> None:
        """Estimate and factorize.

        Args:
            residuals: (n, D) float64 of mean 0.
            floor: least variance in any direction.
        """
        from scipy.linalg import cholesky

        n, D = residuals.shape
        self.wide = n < D
        scaled = residuals / np.sqrt(n)
        products = scaled @ scaled.T if self.wide else scaled.T @ scaled
        self.shrinkage = ledoit_wolf_shrinkage(scaled, products)
        self.variance = max(self.shrinkage * float(np.square(scaled).sum()) / D, floor) or 1.0
        self._basis = scaled * np.sqrt(1 - self.shrinkage) if self.wide else None
        products *= 1 - self.shrinkage
        products[np.diag_indices_from(products)] += self.variance
        self._factor = cholesky(products, lower=True, overwrite_a=True)

    def whiten(self, X: Doubles) -> Doubles:
        """Map (m, D) to (m, min(n, D)): by the inverse root of S', or (`wide`) of the residuals' inner products."""
        from scipy.linalg import solve_triangular

        coordinates = X if self._basis is None else X @ self._basis.T
        return np.asarray(solve_triangular(self._factor, coordinates.T, lower=True).T)


def ledoit_wolf_shrinkage(scaled: Doubles, products: Doubles) -> float:
    """Shrinkage of scikit-learn's `ledoit_wolf_shrinkage`, without a D x D matrix where D > n.

    Args:
        scaled: (n, D) residuals over the root of n.
        products: their inner products between features or, which serves as well, between rows.
    """
    n, D = scaled.shape
    lengths = np.einsum("ij,ij->i", scaled, scaled)
    norm = float(np.square(products).sum())  # squared Frobenius norm of S, the same from either side
    spread = norm - float(lengths.sum()) ** 2 / D  # of S about mu I
    noise = float(np.square(lengths).sum()) - norm / n  # of S about the covariance
    return max(0.0, min(noise, spread)) / spread if spread > 0 else 1.0


def auroc(seen: Doubles, unseen: Doubles) -> float:
    """Probability that an unseen image lies farther than a seen one; equal distances count half.

    Args:
        seen: (Ns,) distances of seen test images.
        unseen: (Nu,) distances of unseen images, the positive class.

    Returns:
        Area under the ROC curve, from 0 to 1; 0.5 where distance says nothing.
    """
    ordered = np.sort(seen)
    nearer = np.searchsorted(ordered, unseen, side="left") + np.searchsorted(ordered, unseen, side="right")
    return float(nearer.mean() / (2 * len(ordered)))


def fpr95(seen: Doubles, unseen: Doubles) -> float:
    """Share of unseen images that pass for seen where 95 % of the seen test images do; lower is better.

    The threshold is the smallest distance among the seen test images at or below which at least 95 % of them lie, the
    ceil(0.95 Ns)-th smallest, not interpolated; an image exactly there is accepted.

    Args:
        seen: (Ns,) distances of seen test images.
        unseen: (Nu,) distances of unseen images.

    Returns:
        From 0 to 1; about 0.95 where distance says nothing.
    """
    rank = -(-ACCEPTED_PERCENT * len(seen) // 100)
    threshold = np.partition(seen, rank - 1)[rank - 1]
    return float((unseen <= threshold).mean())


def _row_blocks(rows: int, bytes_per_row: int, block_bytes: int) -> Iterator[slice]:
    size = max(1, block_bytes // bytes_per_row)
    yield from (slice(start, min(start + size, rows)) for start in range(0, rows, size))
