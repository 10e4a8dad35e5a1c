"""Scores of a spectrum against NumPy's and SciPy's own decompositions, by hand, and on samples of a known law."""

import numpy as np
import pytest
from scipy.stats import entropy

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.geometry import (
    covariance_spectrum,
    decay_exponent,
    effective_rank,
    gram_spectrum,
    participating_dimensions,
)
from stages.core.scores.kmeans import rotate
from tests.measure.synthetic import embedded

SHAPES = [(40, 12), (12, 40), (20, 20)]


def sample(N, D, *, rank=None, seed=0):
    random = np.random.default_rng(seed)
    rank = rank or min(N, D)
    X = random.normal(size=(N, rank)) * np.arange(1, rank + 1) ** -0.6 @ random.normal(size=(rank, D))
    return (X + 2).astype(np.float32)


@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_rankme_is_that_of_a_singular_value_decomposition(N, D):
    X = sample(N, D)
    singular = np.linalg.svd(X.astype(np.float64), compute_uv=False)
    expected = np.exp(entropy(singular)) / min(N, D)
    assert LAYER_SCORES["rankme"].score(embedded(X, np.arange(N) % 2)).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_the_participation_ratio_is_that_of_numpys_covariance(N, D):
    X = sample(N, D)
    variances = np.linalg.eigvalsh(np.cov(X.T.astype(np.float64)))
    expected = variances.sum() ** 2 / (variances**2).sum() / D
    assert LAYER_SCORES["participation_ratio"].score(embedded(X, np.arange(N) % 2)).value == pytest.approx(expected)


@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_the_spectrum_of_the_rotated_rows_is_the_covariances(N, D):
    X = sample(N, D, rank=8)
    found = covariance_spectrum(rotate(X))
    expected = np.linalg.eigvalsh(np.cov(X.T.astype(np.float64)))[::-1] * (N - 1)
    assert found[:8] == pytest.approx(expected[:8], rel=1e-5)
    assert (found[9:] < 1e-10 * found[0]).all()


def test_spectra_by_hand():
    assert effective_rank(np.array([4.0, 4.0, 4.0, 0.0])) == pytest.approx(3)
    assert effective_rank(np.array([9.0, 0.0])) == 1
    assert effective_rank(np.array([9.0, 1.0])) == pytest.approx(4 / 3**0.75)  # shares 3/4 and 1/4
    assert participating_dimensions(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert np.isnan([effective_rank(np.zeros(3)), participating_dimensions(np.zeros(3))]).all()


def test_a_constant_embedding_has_one_direction_and_no_variance():
    X = np.full((15, 3), 0.7, np.float32)
    assert effective_rank(gram_spectrum(X)) == pytest.approx(1)
    assert not covariance_spectrum(rotate(X)).any()


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.5])
def test_an_exact_power_law_has_its_exponent(exponent):
    assert decay_exponent(7.0 * np.arange(1, 61.0) ** -exponent) == pytest.approx(exponent)


def test_the_exponent_is_a_weighted_fit_from_the_third_to_the_middle():
    eigenvalues = np.sort(np.random.default_rng(3).exponential(size=41))[::-1]
    x, y, w = (
        np.array([f(j) for j in range(3, 21)]) for f in (np.log, lambda j: np.log(eigenvalues[j - 1]), lambda j: 1 / j)
    )
    xm, ym = (w * x).sum() / w.sum(), (w * y).sum() / w.sum()
    expected = -(w * (x - xm) * (y - ym)).sum() / (w * (x - xm) ** 2).sum()
    assert decay_exponent(eigenvalues) == pytest.approx(expected)
    others = eigenvalues * np.where((np.arange(41) < 2) | (np.arange(41) > 19), 0.5, 1.0)
    assert decay_exponent(others) == decay_exponent(eigenvalues)
    assert decay_exponent(np.append(eigenvalues, np.zeros(30))) == decay_exponent(eigenvalues)


def test_ten_directions_are_the_fewest_that_have_an_exponent():
    values = {rank: decay_exponent(np.arange(1, rank + 1.0) ** -1.5) for rank in (9, 10)}
    assert np.isnan(values[9])
    assert values[10] == pytest.approx(1.5)


@pytest.mark.parametrize(("N", "D"), [(2500, 200), (400, 800)])
@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_the_exponent_of_a_sample_is_near_the_laws(N, D, exponent):
    X = np.random.default_rng(0).normal(size=(N, D)) * np.arange(1, D + 1) ** (-exponent / 2)
    found = LAYER_SCORES["alpha_req"].score(embedded(X.astype(np.float32), np.arange(N) % 3)).value
    assert found == pytest.approx(exponent, abs=0.1)
