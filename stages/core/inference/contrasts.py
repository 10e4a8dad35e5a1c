"""Differences between layers with their errors, and what holds for all of them at once."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import fdtrc, nctdtrinc, ndtri
from scipy.stats import qmc
from scipy.stats import t as student

Float64 = NDArray[np.float64]

Layers = NDArray[np.bool_]
"""Which of L layers."""

SURE = 0.99
"""Level at which a layer must be shown to be worse than another before a bound on the best takes no account of it."""

LEVEL = 0.95
"""Of every interval, one-sided bound and set."""

MEDIAN = 0.5
"""The level of an estimate."""

POWER = 0.8
"""Share of studies that are to show what is there."""

DIRECTIONS = 4096
"""Over which a quantile of the maximum of correlated t variables is integrated; a power of two."""

LOGARITHMS = np.arange(-7, 12, 0.01)
"""Of the values between which the tail of an F variable is interpolated."""

ROUNDING = 1e-12
"""Variance over the largest one's, up to which it is taken for a rounding error."""

PRIOR = 0.4
"""What the geometric mean of several contrasts' variances counts beside each one's own: layers err about alike."""

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
        variance: (C,); NaN of a contrast that never varied, which takes part in no statement about several.
        df: degrees of freedom of all of them.
        correlation: (C, C), of contrasts that never varied one of no consequence; None: unknown.
    """

    value: Float64
    variance: Float64
    df: float
    correlation: Float64 | None

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Which contrasts varied at all, (C,)."""
        return ~np.isnan(self.variance)

    def take(self, chosen: NDArray[np.bool_]) -> "Contrasts":
        """The same of some contrasts, at least one of which varies; else of all."""
        if not (self.varying & chosen).any():
            return self
        correlation = None if self.correlation is None else self.correlation[np.ix_(chosen, chosen)]
        return Contrasts(self.value[chosen], self.variance[chosen], self.df, correlation)

    def estimate(self, index: int) -> Estimate | None:
        """One contrast alone; None if it never varied."""
        if not self.varying[index]:
            return None
        return Estimate(float(self.value[index]), float(np.sqrt(self.variance[index])), self.df)

    def intervals(self) -> Float64:
        """Two-sided intervals, each to be read alone, (C, 2); NaN of a contrast that never varied."""
        half = float(student.ppf((1 + LEVEL) / 2, self.df)) * np.sqrt(self.variance)
        return np.stack([self.value - half, self.value + half], axis=1)

    def quantile(self, level: float = LEVEL) -> float:
        """Quantile of the largest error, in standard errors, of all varying contrasts.

        Of an unknown correlation it is Bonferroni's; the median, which has no safe side, takes one half for it.
        """
        varying = self.varying
        if self.correlation is not None:
            return max_t_quantile(self.correlation[np.ix_(varying, varying)], self.df, level)
        C = int(varying.sum())
        if level > MEDIAN:
            return float(student.ppf(1 - (1 - level) / C, self.df))
        return max_t_quantile(np.full((C, C), 0.5) + 0.5 * np.eye(C), self.df, level)

    def at_least(self, level: float = LEVEL) -> float:
        """Lower bound of the largest contrast, whichever that is; at the level `MEDIAN` an estimate of it.

        The largest estimate is too high, since it was chosen for being the largest; the bound at one half is too high
        in half of the cases at most (Chernozhukov, Lee and Rosen 2013).
        """
        return float((self.value - self.quantile(level) * np.sqrt(self.variance))[self.varying].max())

    def is_positive(self) -> bool:
        """Whether the largest contrast is shown to be above 0: whether `at_least` is, which is seldom computed."""
        varying = self.varying
        errors = (self.value[varying] / np.sqrt(self.variance[varying])).max()
        one, bonferroni = student.ppf([LEVEL, 1 - (1 - LEVEL) / varying.sum()], self.df)
        return bool(errors > bonferroni or (errors > one and errors > self.quantile()))

    def at_most(self) -> float:
        """Upper bound of the largest contrast: need only hold for that one, and takes the quantile of one."""
        single = float(student.ppf(LEVEL, self.df))
        return float(max((self.value + single * np.sqrt(self.variance))[self.varying].max(), self.value.max()))


@dataclass(frozen=True)
class Inference:
    """What is known of the mean scores of L layers in one scope.

    Attributes:
        mean: (L,) scores, over seeds and folds.
        shape: (L, L) covariance of the mean; its level is the folds' where these are given.
        df: degrees of freedom of `shape`, of `between` where that is given.
        between: (L, L) covariance of the mean from the differences between folds; None where `shape` has the level.
        correlated: whether `shape` tells how contrasts are correlated; a few folds alone do not.
    """

    mean: Float64
    shape: Float64
    df: float
    between: Float64 | None = None
    correlated: bool = True

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Which layers' scores varied at all, (L,)."""
        return _without_rounding(np.diag(self.shape), self.shape) > 0

    def contrasts(self, matrix: Float64, *, together: bool = True) -> Contrasts | None:
        """Estimate the rows of a (C, L) matrix times the scores, as one family; None if it never varied.

        The variance between folds, summed over the family, sets the level of the variance, with Satterthwaite's degrees
        of freedom; a contrast that folds alone move further has its own. A variance that is rounding is zero.

        Args:
            matrix: the family.
            together: whether to correlate the contrasts, (C, C), for statements about several of them.
        """
        moved = matrix @ self.shape
        explained = _without_rounding(np.einsum("cl,cl->c", moved, matrix), self.shape)
        total, variance, df = float(explained.sum()), explained, self.df
        if total > 0 and self.between is not None:
            observed = _without_rounding(np.einsum("cl,cl->c", matrix @ self.between, matrix), self.between)
            variance = np.maximum(observed, observed.sum() / total * explained)
            product = matrix.T @ moved
            df *= max(1.0, total**2 / float((product * product.T).sum()))  # over all squared covariances
        if total == 0 or not variance.any():
            return None
        known, correlation = np.where(variance > 0, variance, np.nan), None
        if self.correlated and together:
            errors = np.sqrt(np.where(explained > 0, explained, np.inf))
            correlation = moved @ matrix.T / np.outer(errors, errors)
            np.fill_diagonal(correlation, 1.0)
        return Contrasts(matrix @ self.mean, known, df, correlation)

    def against(self, control: int, layers: NDArray[np.bool_]) -> Contrasts | None:
        """Estimate by how much each of some layers, (L,), is better than one other, as `contrasts`."""
        each = np.eye(len(self.mean))
        return self.contrasts(each[layers] - each[control])


def contenders(inference: Inference, candidates: Layers, *, level: float = LEVEL) -> Layers:
    """Leave out the candidates that are shown to be worse than the one that looks best, each alone, (L,).

    What is left is what the best was chosen from: a candidate far below it took no part in that choice.
    """
    gains = np.where(candidates, inference.mean, -np.inf)
    each, best = np.eye(len(gains)), int(gains.argmax())
    contrasts = inference.contrasts(each[best] - each)
    if contrasts is None:
        return candidates
    errors = np.sqrt(np.nan_to_num(contrasts.variance))
    return candidates & (contrasts.value <= Estimate(0.0, 1.0, contrasts.df).upper(level) * errors)


def lies_at_limit(inference: Inference, control: int, contrasts: Contrasts) -> bool:
    """Return whether the largest of some differences from a control is one of scores that never varied."""
    known = contrasts.value[~contrasts.varying].max(initial=-np.inf)
    return bool(not inference.varying[control] and known >= contrasts.value.max())


def moderated(contrasts: Contrasts, sharing: Layers) -> Contrasts:
    """Average every variance with the geometric mean of those of some contrasts, (C,), which counts `PRIOR` times.

    The average has as many more degrees of freedom: the moderated t of Smyth 2004 (Linear models and empirical Bayes
    methods). A single contrast, or several that move alike, know no more of their variance than one.

    Args:
        contrasts: of known correlation.
        sharing: which of them share.
    """
    shared = contrasts.take(sharing)
    assert shared.correlation is not None
    mean = np.exp(np.log(shared.variance[shared.varying]).mean())
    alike = (shared.correlation[np.ix_(shared.varying, shared.varying)] ** 2).mean()  # one over how many there are
    weight = min(PRIOR, 1 / alike - 1)
    variance = (contrasts.variance + weight * mean) / (1 + weight)
    return replace(contrasts, variance=variance, df=(1 + weight) * contrasts.df)


def unskewed(quantile: float, units: Float64) -> float:
    """Correct a quantile of an error over its estimated standard error for the skewness of the units.

    Of units that are skewed to the left Student's t is too large too often, of others too seldom. A cubic of it is not,
    to the next order: Hall 1992, On the removal of skewness by transformation. Here it is inverted.

    Args:
        quantile: of units that are not skewed.
        units: (U, C) whose means, or jackknives, C estimates are, in any unit. The mean skewness is taken, since that
            of one estimate is unsure.
    """
    deviations = units - units.mean(axis=0)
    spread = (deviations**2).mean(axis=0) ** 1.5
    thirds = np.divide((deviations**3).mean(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    third: float = thirds.mean() / (3 * len(units) ** 0.5)
    if abs(third) < 1e-6:
        return quantile
    return (float(np.cbrt(1 + 3 * third * (quantile - third / 2))) - 1) / third


def detectable(standard_error: float, df: float, quantile: float) -> float:
    """Return the difference of which the probability is `POWER` that it exceeds this many estimated errors."""
    return standard_error * float(nctdtrinc(df, 1 - POWER, quantile))


def _without_rounding(variances: Float64, covariance: Float64) -> Float64:
    """Set variances of contrasts to zero that are rounding beside the largest variance of a layer."""
    return np.where(variances > ROUNDING * np.diag(covariance).max(), variances, 0.0)


def max_t_quantile(correlation: Float64, df: float, level: float = LEVEL) -> float:
    """Quantile of the maximum of C t variables with a common denominator, to about a thousandth.

    The normal variables are a length times a direction. The maximum over the denominator is then the maximum along the
    direction, times the root of C times an F variable: its tail is summed over `DIRECTIONS` of an even sequence, the
    same whenever it is called, and interpolated, which costs a ten-thousandth.

    Args:
        correlation: (C, C) of the normal variables; shrunk towards the identity by `SHRINKAGE`.
        df: degrees of freedom.
        level: probability below the quantile, at least one half.
    """
    C = len(correlation)
    if C == 1:
        return float(student.ppf(level, df))
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(C)
    along = (_directions(C) @ np.linalg.cholesky(shrunk).T).max(axis=1)
    scales, tail = np.sort(-np.log(C * along[along > 0] ** 2)), fdtrc(C, df, np.exp(LOGARITHMS))

    def beyond(quantile: float) -> float:
        return float(np.interp(2 * np.log(quantile) + scales, LOGARITHMS, tail).sum()) / DIRECTIONS - (1 - level)

    one, bonferroni = student.ppf([level, 1 - (1 - level) / C], df)
    return float(brentq(beyond, max(0.9 * one, 0.01), 1.1 * bonferroni, xtol=1e-5))


@lru_cache(maxsize=8)
def _directions(C: int) -> Float64:
    """Even directions in C dimensions, (DIRECTIONS, C)."""
    normal = ndtri(qmc.Sobol(C, seed=0).random(DIRECTIONS))
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))
