import numpy as np
import pytest
from scipy.stats import t as student

from stages.aggregate.inference.contrasts import Contrasts, Estimate, correlation_of, max_t_quantile


def test_an_estimate_has_students_bounds():
    each = Estimate(0.2, 0.1, 8)
    assert each.lower() == pytest.approx(0.2 - 1.8595 * 0.1, abs=1e-5)
    assert each.upper() == pytest.approx(0.2 + 1.8595 * 0.1, abs=1e-5)
    assert each.interval() == pytest.approx((0.2 - 0.2306, 0.2 + 0.2306), abs=1e-5)
    assert each.reversed().lower() == pytest.approx(-each.upper())


@pytest.mark.parametrize("df", [5, 20])
def test_the_quantile_of_one_variable_is_students(df):
    assert max_t_quantile(np.eye(1), df) == pytest.approx(student.ppf(0.95, df), rel=0.03)


def test_the_quantile_lies_between_one_variable_and_bonferroni():
    free = max_t_quantile(np.eye(8), 10)
    bound = np.full((8, 8), 0.95) + 0.05 * np.eye(8)
    assert student.ppf(0.95, 10) < max_t_quantile(bound, 10) < free < student.ppf(1 - 0.05 / 8, 10) * 1.01
    assert free == max_t_quantile(np.eye(8), 10)


def test_dunnetts_table():
    """Eight treatments against a control, 20 degrees of freedom, one-sided 5 %: 2.56 of Dunnett (1955)."""
    unshrunk = 0.5 / 0.9  # so that the correlation after shrinkage is one half
    correlation = np.full((8, 8), unshrunk) + (1 - unshrunk) * np.eye(8)
    assert max_t_quantile(correlation, 20) == pytest.approx(2.56, abs=0.03)


def test_correlation_of_a_covariance():
    np.testing.assert_allclose(correlation_of(np.array([[4.0, 3.0], [3.0, 9.0]])), [[1, 0.5], [0.5, 1]])


def test_bonferroni_counts_the_contrasts_that_vary():
    value, variance = np.zeros(3), np.array([1.0, np.nan, 1.0])
    contrasts = Contrasts(value, variance, variance, 6, None)
    assert contrasts.quantile() == pytest.approx(student.ppf(1 - 0.05 / 2, 6))
