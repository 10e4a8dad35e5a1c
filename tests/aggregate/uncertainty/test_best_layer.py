import numpy as np
import pytest

from stages.aggregate.metric_info import Width
from stages.aggregate.uncertainty.best_layer import (
    best_layers,
    best_set,
    selection_frequency,
    split_half_lead,
    stratified_halves,
)
from stages.aggregate.uncertainty.bootstrap import START_FACTOR, stratified_weights
from stages.aggregate.uncertainty.resampled_scores import ClusterScorer, MeanScorer

Y = np.arange(200) % 4


def correct(rng, chances, count=200):
    """0 or 1 of every layer and image, (1, L, N); images are as easy or hard for one layer as for another by half."""
    common = rng.normal(size=count)
    latent = (common + rng.normal(size=(len(chances), count))) / np.sqrt(2)
    thresholds = np.quantile(np.random.default_rng(0).normal(size=100_000), chances)
    return (latent < thresholds[:, None]).astype(np.float32)[None]


def compared(rng, chances, better="higher"):
    scorer = MeanScorer(Y, correct(rng, chances))
    replicates = scorer.replicates(stratified_weights(Y, 200, rng), rng).mean(axis=1)
    return best_set(scorer(np.ones((1, len(Y)), np.float32))[0], replicates, better)


def test_the_best_set_holds_the_true_best_layer_and_leaves_out_worse_ones():
    """Of 150 data sets, 95 % should hold it: 90 % is 2.8 standard errors away."""
    chances = [0.5, 0.68, 0.7, 0.66, 0.55]
    kept = np.array([compared(np.random.default_rng(i), chances) for i in range(150)])
    assert kept[:, 2].mean() >= 0.9
    assert kept[:, 0].mean() <= 0.05
    assert kept.sum(axis=1).mean() < 4


def test_of_equal_layers_each_is_in_the_set_as_often_as_said():
    kept = np.array([compared(np.random.default_rng(i), [0.7] * 5) for i in range(150)])
    assert kept.mean() == pytest.approx(0.95, abs=0.04)


def test_pairwise_comparison_would_hold_equal_layers_less_often():
    """Layers compared one by one with the best, at 95 % each: what the largest lead's quantile guards against."""
    held = []
    for i in range(150):
        rng = np.random.default_rng(i)
        scorer = MeanScorer(Y, correct(rng, [0.7] * 8))
        values = scorer(np.ones((1, len(Y)), np.float32))[0]
        replicates = scorer.replicates(stratified_weights(Y, 200, rng), rng).mean(axis=1)
        leads = replicates[:, [values.argmax()]] - replicates
        held.append(np.quantile(leads, 0.05, axis=0)[0] <= 0)
    assert np.mean(held) < 0.88


def test_lower_scores_can_be_better():
    rng = np.random.default_rng(0)
    assert compared(rng, [0.2, 0.5, 0.9], "lower").tolist() == [True, False, False]


def test_layers_without_scores_never_stay_and_copies_of_the_best_do():
    rng = np.random.default_rng(0)
    replicates = rng.normal(0.5, 0.01, (100, 4))
    replicates[:, 1], replicates[:, 2], replicates[:, 3] = replicates[:, 0], np.nan, 0.4
    assert best_set(np.array([0.5, 0.5, np.nan, 0.4]), replicates, "higher").tolist() == [True, True, False, False]


def test_a_single_layer_is_the_best():
    assert best_set(np.array([0.3]), np.full((5, 1), 0.3), "higher").tolist() == [True]


def test_a_constant_lead_is_no_chance():
    replicates = np.repeat(np.linspace(0, 1, 50)[:, None], 2, axis=1) + np.array([0, 0.1])
    assert best_set(np.array([0.5, 0.6]), replicates, "higher").tolist() == [False, True]


def test_selection_frequency_counts_resamples():
    replicates = np.array([[1, 2, np.nan], [3, 3, np.nan], [0, 1, np.nan], [5, 1, np.nan]], float)
    assert selection_frequency(replicates, "higher").tolist() == [0.5, 0.5, 0]
    assert selection_frequency(replicates, "lower").tolist() == [0.75, 0.25, 0]
    assert selection_frequency(np.full((3, 2), np.nan), "lower").tolist() == [0, 0]


def test_the_first_of_equal_layers_is_the_best():
    assert best_layers(np.array([[2.0, 2.0], [np.nan, 1.0]]), "higher").tolist() == [0, 1]


def test_halves_are_halves_of_every_class():
    y = np.repeat([3, 1], [7, 6])
    halves = stratified_halves(y, 400, np.random.default_rng(0))
    assert (halves[:, y == 1].sum(axis=1) == 3).all()
    assert set(halves[:, y == 3].sum(axis=1)) == {3, 4}
    assert halves.mean(axis=0) == pytest.approx(np.full(13, 0.5), abs=0.1)


def test_without_a_difference_the_lead_is_zero_where_the_largest_score_says_more():
    leads, naive, holds = [], [], []
    for i in range(100):
        rng = np.random.default_rng(i)
        contributions = correct(rng, [0.6] * 6)
        lead = split_half_lead(MeanScorer(Y, contributions), "higher", rng, splits=20)
        values = contributions[0].mean(axis=1)
        leads.append(lead.value)
        naive.append(values.max() - values[-1])
        holds.append(lead.low <= 0 <= lead.high)
    error = np.std(leads) / 10
    assert abs(np.mean(leads)) < 3 * error
    assert np.mean(naive) > 5 * error
    assert min(leads) < 0
    assert np.mean(holds) >= 0.88


def test_a_true_lead_is_found_in_either_direction():
    rng = np.random.default_rng(1)
    scorer = MeanScorer(Y, correct(rng, [0.6, 0.9, 0.5]))
    expected = (lambda v: v[1] - v[2])(scorer(np.ones((1, len(Y)), np.float32))[0])
    lead = split_half_lead(scorer, "higher", rng)
    assert lead.value == pytest.approx(expected, abs=1e-6)  # chosen on every half
    assert 0.2 < lead.low < lead.value < lead.high < 0.6
    lower = split_half_lead(MeanScorer(Y, correct(rng, [0.2, 0.5, 0.6])), "lower", rng)
    assert lower.value == pytest.approx(0.4, abs=0.1)


def test_the_lead_of_clusters_holds_the_spread_of_starts():
    rng = np.random.default_rng(2)
    shares = np.array([0.9, 0.5, 0.4])[:, None]
    clusters = np.where(rng.random((1, 3, 200)) < shares, Y, rng.integers(0, 4, (3, 200)))
    widths = []
    for sd in (0.0, 0.1):
        scorer = ClusterScorer(Y, clusters, "nmi", np.full((1, 3), sd))
        lead = split_half_lead(scorer, "higher", np.random.default_rng(3))
        widths.append(lead.high - lead.low)
    assert widths[1] == pytest.approx(np.hypot(widths[0], 2 * 1.96 * START_FACTOR * np.hypot(0.1, 0.1)), rel=0.2)


@pytest.mark.parametrize("hidden", ["width", "starts"])
def test_what_images_do_not_show_sets_the_halves_apart(hidden):
    """Scores whose errors are twice what contributions show, or that come from starts: chosen alike on both halves."""
    leads, naive = [], []
    for i in range(150):
        rng = np.random.default_rng(i)
        error = rng.normal(0, 0.05, (1, 6))
        contributions = 0.5 + error[..., None] + rng.normal(0, 1e-6, (1, 6, 200))
        if hidden == "width":  # all of the error is in the contributions, and half of its spread shows in them
            contributions = 0.5 + (lambda c: c + c.mean(axis=-1, keepdims=True))(rng.normal(size=(1, 6, 200)))
        scorer = MeanScorer(Y, contributions, Width(2), None if hidden == "width" else np.full((1, 6), 0.05))
        leads.append(split_half_lead(scorer, "higher", rng, splits=20).value)
        values = contributions[0].mean(axis=-1)
        naive.append(values.max() - values[-1])
    error = np.std(leads) / np.sqrt(len(leads))
    assert abs(np.mean(leads)) < 3 * error
    assert np.mean(naive) > 8 * error


def test_a_last_layer_without_a_score_gives_no_lead():
    contributions = correct(np.random.default_rng(0), [0.6, 0.7])
    contributions[0, 1] = np.nan
    lead = split_half_lead(MeanScorer(Y, contributions), "higher", np.random.default_rng(0))
    assert np.isnan([lead.value, lead.low, lead.high]).all()


def test_a_layer_that_is_never_better_is_never_selected():
    """All right against one wrong: on a resample without that image both are right, and the first of equals counts."""
    contributions = np.ones((1, 2, len(Y)), np.float32)
    contributions[0, 1, 0] = 0
    scorer = MeanScorer(Y, contributions, Width(1.25, 0, 1))
    rng = np.random.default_rng(0)
    replicates = scorer.replicates(stratified_weights(Y, 500, rng), rng).mean(axis=1)
    assert selection_frequency(np.clip(replicates, 0, 1), "higher").tolist() == [1.0, 0.0]


def test_differences_of_rounding_choose_the_first():
    assert best_layers(np.array([[0.5, 0.5 + 1e-8, 0.4]]), "higher").tolist() == [0]
    assert best_layers(np.array([[900.0001, 900.0, 901.0]]), "lower").tolist() == [0]


@pytest.mark.parametrize("score", ["nmi", "ami", "ari"])
def test_halves_that_hold_a_single_class_leave_a_lead(score):
    y = np.repeat([0, 1], [1, 30])
    rng = np.random.default_rng(0)
    scorer = ClusterScorer(y, rng.integers(0, 2, (1, 3, 31)), score)
    lead = split_half_lead(scorer, "higher", rng)
    assert -1 <= lead.low <= lead.value <= lead.high <= 1


def test_a_lead_is_within_what_the_score_allows():
    rng = np.random.default_rng(0)
    contributions = np.stack([np.ones(len(Y)), rng.random(len(Y)) < 0.02]).astype(np.float32)[None]
    lead = split_half_lead(MeanScorer(Y, contributions, Width(40, 0, 1)), "higher", rng)
    assert lead.high == 1.0
