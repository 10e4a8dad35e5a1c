import numpy as np
import pytest
from scipy.stats import ttest_1samp

from stages.aggregate.inference.layer_comparison import best_against
from stages.aggregate.inference.other_classes import FoldScores, class_inference
from stages.aggregate.inference.power import power_of


def study(rng, mean, J=4, S=1, K=5, trained=0.0):
    """Scores that are means over classes, which layers have half in common, and of training."""
    of_classes = mean + rng.normal(size=(J, 1, K, 1)) + rng.normal(size=(J, 1, K, len(mean)))
    scores = of_classes + trained * rng.normal(size=(J, S, 1, len(mean)))
    without = np.stack([np.delete(scores, c, axis=2).mean(axis=2) for c in range(K)], axis=2)
    return FoldScores(scores.mean(axis=2), without)


def test_the_difference_is_what_a_paired_t_test_over_folds_shows():
    rng = np.random.default_rng(0)
    scores = study(rng, np.zeros(2), J=5)
    found = power_of(scores)
    of_folds = (scores.values[:, 0, 0] - scores.values[:, 0, 1]).std(ddof=1)
    again = rng.normal(found.difference, of_folds, size=(20_000, 5))
    shown = ttest_1samp(again, 0, axis=1, alternative="greater").pvalue < 0.05
    assert shown.mean() == pytest.approx(0.8, abs=0.01)
    assert found.lead == pytest.approx(found.difference)  # of one earlier layer


def test_a_lead_is_shown_about_as_often_as_it_says():
    rng, flat = np.random.default_rng(1), np.zeros(6)
    lead = np.median([power_of(study(rng, flat)).lead for _ in range(40)])
    studies = [class_inference(study(rng, np.array([0, 0, lead, 0, 0, 0]))) for _ in range(200)]
    assert np.mean([best_against(each).low > 0 for each in studies]) == pytest.approx(0.8, abs=0.1)


def test_a_smaller_lead_takes_more_folds_seeds_or_classes():
    scores = study(np.random.default_rng(2), np.zeros(5), S=2, trained=2.0)
    lead = power_of(scores).lead
    as_is, smaller, hopeless = (power_of(scores, wanted=share * lead).needed for share in (1.0, 0.7, 0.01))
    assert (as_is.folds, as_is.seeds, as_is.classes) == (4, 2, 5)
    assert smaller.folds > 4
    assert smaller.seeds > 2
    assert smaller.classes is None or smaller.classes > 5
    assert (hopeless.folds, hopeless.seeds, hopeless.classes) == (None, None, None)


def test_what_one_seed_or_few_folds_cannot_tell():
    rng = np.random.default_rng(3)
    of_one = power_of(study(rng, np.zeros(3)), wanted=0.1).needed
    assert (of_one.seeds, of_one.classes) == (None, None)
    assert power_of(study(rng, np.zeros(3), J=2)) is None
    assert power_of(study(rng, np.zeros(1))) is None
