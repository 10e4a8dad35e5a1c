import numpy as np
import pytest

from stages.aggregate.recommend.criteria import all_criteria, criterion_of
from tests.aggregate.recommend.made import known

TWO_FOLDS = [[[0.1, 0.9, 0.2], [0.6, 0.1, 0.3]], [[0.1, 0.1, 0.2], [0.6, 0.1, 0.5]]]  # means .1 .5 .2; .6 .1 .4


def choose(name, given):
    return criterion_of(name).choose(given)


def test_the_other_folds_choose_layer_and_checkpoint_by_their_mean():
    assert choose("other_folds", known(TWO_FOLDS)) == [(1, 0)]
    assert choose("other_folds", known(TWO_FOLDS[:1])) == [(0, 1)]
    assert choose("other_folds", known(TWO_FOLDS[:1]).at_last_step()) == [(0, 0)]
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


def test_label_free_scores_choose_by_either_end():
    given = known(rankme=[3, np.nan, 8, 1, 8], alpha_req=[0.4, 1.3, 1.1, 2.0, 0.8])
    assert choose("highest_rankme", given) == [(-1, 2)]
    assert choose("lowest_rankme", given) == [(-1, 3)]
    assert choose("nearest_to_one_alpha_req", given) == [(-1, 2)]
    assert choose("highest_rankme", known(rankme=[np.nan] * 5)) is None
    assert choose("lowest_rankme", known(rankme=[np.nan] * 5)) is None


def test_every_label_free_score_has_its_criteria_between_the_others():
    names = list(all_criteria(["rankme", "alpha_req"]))
    rules = ["highest_rankme", "lowest_rankme", "highest_alpha_req", "lowest_alpha_req", "nearest_to_one_alpha_req"]
    assert names[-7:] == [*rules, "seen_score", "tunnel"]
    with pytest.raises(KeyError):
        criterion_of("fastest")


def test_controls_choose_by_seen_classes():
    assert choose("seen_score", known(seen=[0.1, 0.3, 0.2, 0.9, 0.8])) == [(-1, 3)]
    assert choose("tunnel", known(probe=[0.1, 0.759, 0.761, 0.8, 0.7])) == [(-1, 2)]  # from 0.95 x 0.8 = 0.76
    assert choose("seen_score", known()) is None
    assert choose("tunnel", known()) is None
