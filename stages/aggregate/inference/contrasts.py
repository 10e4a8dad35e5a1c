"""Differences between layers with their errors, and what holds for all of them at once."""

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Float64 = NDArray[np.float64]

LEVEL = 0.95
"""Of every interval, one-sided bound and set."""

DRAWS = 20_000
"""Random draws behind a quantile of the maximum of correlated t variables."""

SHRINKAGE = 0.1
"""Weight of the identity in an estimated correlation, which few replicates leave singular."""


@dataclass(frozen=True)
class Estimate:
    """An estimated difference or mean, whose error has Student's t distribution.

    Attributes:
        value: the estimate.
        standard_error: of the estimate.
        df: degrees of freedom.
    """

    value: float
    standard_error: float
    df: float

    def lower(self, level: float = LEVEL) -> float:
        """One-sided lower confidence bound."""
        return self.value - float(student.ppf(level, self.df)) * self.standard_error

    def upper(self, level: float = LEVEL) -> float:
        """One-sided upper confidence bound."""
        return self.value + float(student.ppf(level, self.df)) * self.standard_error

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided confidence interval."""
        return self.lower((1 + level) / 2), self.upper((1 + level) / 2)

    def reversed(self) -> "Estimate":
        """The same difference seen from the other side."""
        return Estimate(-self.value, self.standard_error, self.df)


@dataclass(frozen=True)
class Contrasts:
    """Linear combinations of layers' scores, C of them, estimated together.

    Attributes:
        value: (C,).
        variance: (C,) for statements about several contrasts at once; NaN of a contrast that never varied, which
            takes part in none.
        variance_alone: (C,) for an interval of one contrast, at least `variance`.
        df: degrees of freedom of all of them.
        correlation: (C, C) of the contrasts that vary, as far as it is estimated; None: unknown.
    """

    value: Float64
    variance: Float64
    variance_alone: Float64
    df: float
    correlation: Float64 | None

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Which contrasts varied at all, (C,)."""
        return ~np.isnan(self.variance)

    def estimate(self, index: int) -> Estimate:
        """One contrast alone."""
        return Estimate(float(self.value[index]), float(np.sqrt(self.variance_alone[index])), self.df)

    def quantile(self, level: float = LEVEL) -> float:
        """Quantile of the largest error, in standard errors, of all varying contrasts; Bonferroni's if need be."""
        if self.correlation is None:
            return float(student.ppf(1 - (1 - level) / int(self.varying.sum()), self.df))
        return max_t_quantile(self.correlation, self.df, level)


class Inference(Protocol):
    """What is known of the mean scores of L layers.

    Attributes:
        mean: (L,) scores, over seeds and folds.
    """

    @property
    def mean(self) -> Float64: ...  # noqa: D102

    def contrasts(self, matrix: Float64) -> Contrasts | None:
        """Estimate the rows of a (C, L) matrix times the scores, as one family; None if it never varied."""
        ...


def max_t_quantile(correlation: Float64, df: float, level: float = LEVEL) -> float:
    """Quantile of the maximum of t variables, from `DRAWS` random draws, the same ones whenever it is called.

    Args:
        correlation: (C, C) of the normal variables; shrunk towards the identity by `SHRINKAGE`.
        df: degrees of freedom of the one chi-square variable that all share.
        level: probability below the quantile.
    """
    size = len(correlation)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(size)
    independent, rng = _draws(size)
    normal = independent @ np.linalg.cholesky(shrunk).T
    return float(np.quantile(normal.max(axis=1) / np.sqrt(deepcopy(rng).chisquare(df, DRAWS) / df), level))


@lru_cache(maxsize=8)
def _draws(size: int) -> tuple[Float64, np.random.Generator]:
    """Independent normal variables, (DRAWS, size), and the generator after them."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(DRAWS, size)), rng


def correlation_of(covariance: Float64) -> Float64:
    """Correlation matrix of a covariance matrix of positive variances."""
    deviations = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(deviations, deviations))
