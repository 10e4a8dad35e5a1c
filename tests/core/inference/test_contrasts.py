import numpy as np
import pytest
from scipy.stats import chi2, norm
from scipy.stats import t as student

from stages.core.inference.contrasts import PRIOR, Contrasts, Estimate, Inference, max_t_quantile, moderated, unskewed


def test_an_estimate_has_students_bounds():
    each = Estimate(0.2, 0.1, 8)
    assert each.lower() == pytest.approx(0.2 - 1.8595 * 0.1, abs=1e-5)
    assert each.upper() == pytest.approx(0.2 + 1.8595 * 0.1, abs=1e-5)
    assert each.interval() == pytest.approx((0.2 - 0.2306, 0.2 + 0.2306), abs=1e-5)
    assert each.reversed().lower() == pytest.approx(-each.upper())


@pytest.mark.parametrize(("C", "df", "level"), [(2, 3, 0.95), (8, 6, 0.95), (8, 40, 0.975), (23, 6, 0.95), (8, 6, 0.5)])
def test_the_quantile_is_that_of_very_many_draws(C, df, level):
    rng = np.random.default_rng(C)
    factors = rng.normal(size=(C, C + 3))
    covariance = factors @ factors.T
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    shrunk = 0.9 * correlation + 0.1 * np.eye(C)
    draws = rng.multivariate_normal(np.zeros(C), shrunk, size=400_000).max(axis=1)
    expected = (draws / np.sqrt(rng.chisquare(df, len(draws)) / df) <= max_t_quantile(correlation, df, level)).mean()
    assert expected == pytest.approx(level, abs=0.0015)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.975])
@pytest.mark.parametrize("df", [2.0, 6.3, 400.0])
def test_the_quantile_is_that_of_a_common_factor_integrated_over_both_its_variables(df, level):
    """Ten variables with a correlation of 0.6 after shrinkage: Dunnett's double integral, by other rules."""
    correlation = np.full((10, 10), 0.6 / 0.9) + (1 - 0.6 / 0.9) * np.eye(10)
    found = max_t_quantile(correlation, df, level)
    common, weights = np.polynomial.hermite_e.hermegauss(80)
    roots = np.sqrt(chi2.ppf((np.arange(4000) + 0.5) / 4000, df) / df)
    below = norm.cdf((found * roots[:, None] - np.sqrt(0.6) * common) / np.sqrt(0.4)) ** 10
    assert (below @ weights).mean() / weights.sum() == pytest.approx(level, abs=1e-3)


def test_the_quantile_of_one_variable_is_students():
    assert max_t_quantile(np.eye(1), 5) == pytest.approx(student.ppf(0.95, 5), rel=1e-12)


def test_dunnetts_table():
    """Eight treatments against a control, 20 degrees of freedom, one-sided 5 %: 2.56 of Dunnett (1955)."""
    unshrunk = 0.5 / 0.9  # so that the correlation after shrinkage is one half
    correlation = np.full((8, 8), unshrunk) + (1 - unshrunk) * np.eye(8)
    assert max_t_quantile(correlation, 20) == pytest.approx(2.56, abs=0.005)


def test_bonferroni_counts_the_contrasts_that_vary():
    value, variance = np.zeros(3), np.array([1.0, np.nan, 1.0])
    contrasts = Contrasts(value, variance, 6, None)
    assert contrasts.quantile() == pytest.approx(student.ppf(1 - 0.05 / 2, 6))


def repeated(J):
    """Halves of two layers that differ by 0.1 but for rounding, and of a third."""
    first = np.random.default_rng(0).normal(0.4, 0.1, (J, 20, 1))
    halves = np.concatenate([first, first + 0.1, first * 0.5], axis=2)
    deviations = halves - halves.mean(axis=1, keepdims=True)
    return np.einsum("jbl,jbm->lm", deviations, deviations) / (19 * J**2)


@pytest.mark.parametrize("between", [False, True])
def test_a_variance_that_is_rounding_is_none(between):
    """Without a threshold the correlation would be that of rounding errors, and no covariance matrix."""
    shape = repeated(3)
    turned = np.array([[1.0, -1.0, 0.0]])
    rounding = (turned @ shape @ turned.T).item()
    assert 0 < abs(rounding) < 1e-16
    known = Inference(np.array([0.4, 0.5, 0.2]), shape, 3, shape if between else None)
    family = known.contrasts(np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, 0.0, -1.0]]))
    assert family.varying.tolist() == [False, False, True]
    assert family.quantile() == pytest.approx(student.ppf(0.95, family.df))
    assert known.contrasts(turned) is None


def test_a_family_of_many_is_estimated_without_its_correlation():
    root, rng = np.random.default_rng(0).normal(size=(30, 6)), np.random.default_rng(1)
    inference = Inference(rng.normal(size=6), root.T @ root, 8, between=np.cov(root[:4].T) + np.eye(6))
    matrix = rng.normal(size=(40, 6))
    whole, alone = inference.contrasts(matrix), inference.contrasts(matrix, together=False)
    assert alone.correlation is None
    assert whole.correlation.shape == (40, 40)
    family = matrix @ inference.shape @ matrix.T
    assert alone.df == whole.df == pytest.approx(8 * max(1, np.trace(family) ** 2 / (family**2).sum()))
    np.testing.assert_array_equal(alone.variance, whole.variance)
    np.testing.assert_array_equal(alone.value, whole.value)


def test_of_an_unknown_correlation_an_estimate_takes_one_half():
    """Contrasts with one layer in common, whose errors are alike, have it; a bound is Bonferroni's instead."""
    unknown = Contrasts(np.zeros(3), np.ones(3), 4, None)
    half = np.array([[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]])
    assert unknown.quantile(0.5) == max_t_quantile(half, 4, 0.5)
    assert unknown.quantile() == pytest.approx(student.ppf(1 - 0.05 / 3, 4))


def test_bounds_of_the_mean_of_skewed_units_hold_more_evenly_than_students():
    """Of units skewed to the left Student's lower bound is above the true mean too often, of others too seldom."""
    units, error = np.random.default_rng(0).exponential(size=(4000, 12)) - 1, student.ppf(0.95, 11) / 12**0.5
    for sign in (1, -1):
        means, spreads = sign * units.mean(axis=1), units.std(axis=1, ddof=1)
        quantiles = np.array([unskewed(student.ppf(0.95, 11), sign * each[:, None]) for each in units]) / 12**0.5
        students, corrected = ((means - each * spreads > 0).mean() for each in (error, quantiles))
        assert abs(corrected - 0.05) < abs(students - 0.05) - 0.01
    even = np.array([[-1.0], [0.0], [1.0]])
    assert unskewed(1.8, even) == unskewed(1.8, np.ones((5, 1))) == 1.8
    both = np.hstack([units[0][:, None], -units[0][:, None]])  # as skewed to the left as to the right
    assert unskewed(1.8, both) == pytest.approx(1.8)


def test_contrasts_share_their_variances_as_far_as_they_move_apart():
    def shared(correlation, sharing=(True, True, False)):
        matrix = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
        return moderated(Contrasts(np.zeros(3), np.array([1.0, 3.0, 9.0]), 11, matrix), np.array(sharing))

    apart = shared(0.0)
    np.testing.assert_allclose(apart.variance, (np.array([1, 3, 9]) + PRIOR * 3**0.5) / (1 + PRIOR))
    assert apart.df == 11 * (1 + PRIOR)
    for alike in (shared(1.0), shared(0.0, (True, False, False))):
        np.testing.assert_allclose(alike.variance, [1, 3, 9])
        assert alike.df == pytest.approx(11)
    assert 11 < shared(0.9).df < apart.df
