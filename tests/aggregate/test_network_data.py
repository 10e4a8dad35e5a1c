from dataclasses import replace

import numpy as np
import pytest

from stages.aggregate.network_data import arrange
from stages.core.inference.scopes import lacks_groups, over_classes, over_images
from stages.core.scores.catalogue import SCORES
from tests.aggregate.refit_frames import as_frames, layer_estimates, random_refits

FOLDS, SEEDS = ["0", "1", "2", "3"], [10, 11]


def test_tables_in_any_order_become_the_arrays_they_hold():
    made = random_refits(B=12)  # more than ten halves: `10` comes after `2`
    found = arrange(*as_frames(made), FOLDS, SEEDS, SCORES["nmi"]).take(made.keys)
    np.testing.assert_array_equal(found.values, made.values)
    np.testing.assert_array_equal(found.without, made.without)
    np.testing.assert_array_equal(found.halves, made.halves)


def test_a_layer_that_is_taken_keeps_its_scores():
    made = random_refits()
    taken = made.take([made.keys[2], made.keys[0]])
    np.testing.assert_array_equal(taken.halves, made.halves[..., [2, 0]])
    np.testing.assert_array_equal(made.of_fold(3).without, made.without[3:])


def test_without_refits_there_are_values_alone():
    layers, refits = as_frames(random_refits())
    found = arrange(layers, refits.head(0), FOLDS, SEEDS, SCORES["nmi"])
    assert (found.without.shape, found.halves.shape) == ((4, 2, 0, 4), (4, 2, 0, 4))
    assert over_images(found) is None


@pytest.mark.parametrize("kind", ["class", "half"])
def test_a_cell_that_lacks_a_part_leaves_that_scope_out(kind):
    layers, refits = as_frames(random_refits())
    lost = refits[(refits["kind"] == kind) & (refits["fold"] == "2") & (refits["seed"] == 11)]
    found = arrange(layers, refits.drop(lost.index), FOLDS, SEEDS, SCORES["nmi"])
    assert (found.without.size == 0, found.halves.size == 0) == (kind == "class", kind == "half")


def test_a_score_that_is_not_finite_has_no_replicates():
    layers, refits = as_frames(random_refits())
    assert (
        arrange(layers.assign(value=layers["value"].where(layers["depth"] != 1)), refits, FOLDS, SEEDS, SCORES["nmi"])
        is None
    )
    assert arrange(layers, refits.assign(value=np.nan), FOLDS, SEEDS, SCORES["nmi"]).halves.size == 0


@pytest.mark.parametrize(("folds", "said"), [(1, False), (2, False), (3, True), (4, True)])
def test_other_classes_take_three_folds(folds, said):
    assert (over_classes(random_refits(J=folds)) is not None) == said
    assert over_images(random_refits(J=folds)) is not None
    assert over_images(random_refits(J=folds), random_refits(J=folds, B=10)) is None


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (random_refits(J=1, K=12), False),
        (random_refits(J=1, K=9, frozen=True), False),
        (random_refits(J=1, K=10, frozen=True), True),
        (random_refits(J=1, K=0, frozen=True), False),
        (random_refits(J=4, K=0), False),
        (random_refits(J=3), True),
    ],
)
def test_other_classes_take_folds_or_ten_classes_of_a_frozen_network(made, said):
    assert (over_classes(made) is not None) == said


def test_other_images_take_six_groups():
    made = random_refits(J=1)
    few, enough = ((frozenset((name, label) for name in names for label in "xy"),) for names in ("abcde", "abcdef"))
    assert over_images(replace(made, groups=few)) is None
    assert lacks_groups(replace(made, groups=few))
    assert over_images(replace(made, groups=enough)).df == 5
    assert not lacks_groups(replace(made, groups=enough))
    assert not lacks_groups(replace(made, groups=few, halves=made.halves[:, :, :0]))


def test_a_score_that_was_not_fitted_again_goes_by_folds_alone_where_they_may_stand_in():
    made = random_refits()
    alone = random_refits(K=0, B=0, score=SCORES["probe_accuracy"])
    assert over_classes(replace(alone, score=SCORES["nmi"])) is None
    found = over_classes(alone)
    assert over_classes(made).correlated
    assert not found.correlated
    means = made.values.mean(axis=1)
    expected = means.std(axis=0, ddof=1) / np.sqrt(4)
    np.testing.assert_allclose([each.standard_error for each in layer_estimates(found)], expected, rtol=1e-12)
