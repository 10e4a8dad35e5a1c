import numpy as np
import pytest

from stages.aggregate.metric_info import PROPORTION, UNLIMITED, Width
from stages.aggregate.uncertainty.bootstrap import interval, stratified_weights, stretch


def test_resamples_keep_every_class_at_its_size():
    y = np.array([2, 0, 2, 2, 0, 5])
    weights = stratified_weights(y, 50, np.random.default_rng(0))
    for label in (0, 2, 5):
        assert (weights[:, y == label].sum(axis=1) == (y == label).sum()).all()


def test_images_are_drawn_multinomially_within_their_class():
    y = np.repeat([0, 1], [4, 10])
    weights = stratified_weights(y, 20_000, np.random.default_rng(1)).astype(float)
    assert weights.mean(axis=0) == pytest.approx(np.ones(14), abs=0.03)
    covariance = np.cov(weights.T)
    assert np.diag(covariance) == pytest.approx(np.repeat([1 - 1 / 4, 1 - 1 / 10], [4, 10]), abs=0.05)
    assert covariance[0, 1] == pytest.approx(-1 / 4, abs=0.03)
    assert covariance[0, 5] == pytest.approx(0, abs=0.03)


def test_the_same_source_gives_the_same_draws():
    y = np.arange(30) % 3
    one, same, other = (stratified_weights(y, 5, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (one == same).all()
    assert (one != other).any()


def test_replicates_are_centred_at_the_score_and_stretched():
    resampled = np.random.default_rng(0).normal(0.9, 0.1, (500, 2))
    replicates = stretch(np.array([0.3, 0.6]), resampled, Width(2))
    assert replicates.mean(axis=0) == pytest.approx([0.3, 0.6])
    assert replicates.std(axis=0) == pytest.approx(2 * resampled.std(axis=0))


def test_an_interval_leaves_two_and_a_half_percent_on_either_side():
    replicates = np.arange(1001.0)[:, None] / 1000
    low, high = interval(replicates, UNLIMITED)
    assert (low[0], high[0]) == pytest.approx((0.025, 0.975))


def test_an_interval_ends_at_the_scores_limits():
    replicates = np.linspace(-0.5, 1.5, 101)
    assert np.array(interval(replicates, PROPORTION)).tolist() == [0, 1]


def test_a_layer_without_a_score_has_no_interval():
    replicates = np.stack([np.linspace(0, 1, 21), np.full(21, np.nan)], axis=1)
    low, high = interval(replicates, PROPORTION)
    assert np.isnan([low[1], high[1]]).all()
    assert np.isfinite([low[0], high[0]]).all()
