"""Two networks by a score that was not fitted again: a paired t test over folds."""

import numpy as np
import pytest
from scipy import stats

from stages.core.inference.layer_comparison import best_of_two
from stages.core.inference.scopes import fold_inference, over_classes
from stages.core.scores.catalogue import SCORES
from tests.aggregate.refit_frames import random_refits


@pytest.mark.parametrize("folds", [3, 5])
def test_the_best_layers_of_two_networks_are_compared_by_a_paired_t_over_folds(folds):
    shapes = ({"S": 2, "E": 4}, {"S": 3, "E": 6, "seed": 1})
    first, second = (random_refits(J=folds, K=0, B=0, score=SCORES["probe_accuracy"], **shape) for shape in shapes)
    means = [made.values.mean(axis=1) for made in (first, second)]  # (J, E)
    paired = stats.ttest_rel(*(table[:, table.mean(axis=0).argmax()] for table in means))
    for inference in (over_classes(first, second), fold_inference(first.values, second.values)):
        found = best_of_two(inference, 4)
        plain = paired.confidence_interval(0.95)
        assert found.df == paired.df == folds - 1
        assert np.diff(found.interval()) >= plain.high - plain.low  # what is taken off the maxima is not known exactly
        assert plain.low < found.value < plain.high
        np.testing.assert_allclose(inference.mean, np.concatenate([table.mean(axis=0) for table in means]))
