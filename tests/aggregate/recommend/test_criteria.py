import numpy as np
import pytest

from stages.aggregate.recommend.criteria import CRITERIA
from tests.aggregate.recommend.made import known

TWO_FOLDS = [[[0.1, 0.9, 0.2], [0.6, 0.1, 0.3]], [[0.1, 0.1, 0.2], [0.6, 0.1, 0.5]]]  # means .1 .5 .2; .6 .1 .4


def choose(name, given):
    return CRITERIA[name].choose(given)


def test_the_other_folds_choose_layer_and_checkpoint_by_their_mean():
    assert choose("other_folds", known(TWO_FOLDS)) == [(1, 0)]
    assert choose("other_folds", known(TWO_FOLDS[:1])) == [(0, 1)]
    assert choose("other_folds", known(np.zeros((0, 2, 3)))) is None


def test_of_equally_good_candidates_the_shallowest_is_chosen_then_the_earliest():
    assert choose("other_folds", known([[[0.1, 0.2, 0.5], [0.1, 0.5 - 1e-9, 0.5]]])) == [(1, 1)]
    assert choose("other_folds", known([[[0.1, 0.5, 0.5], [0.1, 0.5, 0.5]]])) == [(0, 1)]
    assert choose("other_folds", known([[[np.nan, 0.2]], [[0.9, 0.2]]])) == [(0, 1)]


@pytest.mark.parametrize(
    ("n_layers", "last", "penultimate", "two_thirds"), [(1, 0, 0, 0), (2, 1, 0, 1), (4, 3, 2, 2), (9, 8, 7, 5)]
)
def test_baselines_choose_by_depth_at_the_last_step(n_layers, last, penultimate, two_thirds):
    given = known(np.zeros((2, 3, n_layers)))
    assert choose("last_layer", given) == [(-1, last)]
    assert choose("penultimate", given) == [(-1, penultimate)]
    assert choose("two_thirds", given) == [(-1, two_thirds)]
    assert choose("random_layer", given) == [(-1, layer) for layer in range(n_layers)]


def test_other_datasets_choose_by_their_median_relative_depth():
    assert choose("other_datasets", known(depths=(0.2, 0.8, 1.0))) == [(-1, 3)]  # 0.8 of 4
    assert choose("other_datasets", known(depths=(0.0, 0.25))) == [(-1, 0)]  # 0.5 of 4 lies between: the shallower
    assert choose("other_datasets", known()) is None


def test_controls_choose_by_seen_classes():
    assert choose("seen_score", known(seen=[0.1, 0.3, 0.2, 0.9, 0.8])) == [(-1, 3)]
    assert choose("tunnel", known(probe=[0.1, 0.759, 0.761, 0.8, 0.7])) == [(-1, 2)]  # from 0.95 x 0.8 = 0.76
    assert choose("seen_score", known()) is None
    assert choose("tunnel", known()) is None
