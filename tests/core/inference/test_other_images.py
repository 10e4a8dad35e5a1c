from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from stages.core.inference.layer_comparison import best_against, best_of_two
from stages.core.inference.refitted import degrees_of_freedom, find_groups
from stages.core.inference.scopes import over_images
from tests.aggregate.refit_frames import layer_estimates, refits_of


def half_scores(values, J=1, S=1, B=40, sd=0.02, seed=0, common=None):
    """Scores of layers, and halves whose pairs deviate in opposite directions."""
    rng = np.random.default_rng(seed)
    noise = sd * rng.normal(size=(J, B // 2, len(values))) if common is None else common
    pairs = np.stack([noise, -noise], axis=2).reshape(J, 1, B, len(values))
    values = np.broadcast_to(values, (J, S, len(values)))
    return refits_of(values, halves=values[:, :, None] - 0.01 + np.repeat(pairs, S, axis=1))


def test_an_interval_is_students_t_of_the_halves():
    given = half_scores([0.5, 0.7])
    first = layer_estimates(over_images(given))[0]
    sd = given.halves[0, 0, :, 0].std(ddof=1)
    assert first.value == pytest.approx(0.5)  # not the halves' mean, which is lower
    assert (first.standard_error, first.df) == (pytest.approx(sd), 20)
    assert first.interval()[1] == pytest.approx(0.5 + student.ppf(0.975, 20) * sd)


def test_folds_hold_different_images_and_seeds_the_same():
    one = over_images(half_scores([0.5, 0.7], J=4, B=20))
    assert one.df == 40
    expected = np.mean([np.cov(half.T) for half in half_scores([0.5, 0.7], J=4, B=20).halves[:, 0]], axis=0) / 4
    np.testing.assert_allclose(one.shape, expected)
    three = over_images(half_scores([0.5, 0.7], J=4, S=3, B=20))
    np.testing.assert_allclose(three.shape, one.shape)


def test_a_lead_over_the_last_layer_takes_what_halves_have_in_common():
    rng = np.random.default_rng(1)
    common = 0.05 * rng.normal(size=(1, 20, 1)) + 0.004 * rng.normal(size=(1, 20, 3))
    lead = best_against(over_images(half_scores([0.5, 0.55, 0.5], common=common)))
    assert 0.02 < lead.low < 0.05 < lead.high < 0.08
    assert lead.low > 0
    unclear = best_against(over_images(half_scores([0.5, 0.55, 0.5], sd=0.05)))
    assert unclear.low <= 0 < unclear.high
    assert best_against(over_images(half_scores([0.5, 0.55, 0.8], sd=0.01))).high <= 0


def test_two_networks_on_the_same_halves():
    rng = np.random.default_rng(2)
    common = 0.05 * rng.normal(size=(1, 20, 1))
    first = half_scores([0.5, 0.6], common=common + 0.004 * rng.normal(size=(1, 20, 2)))
    second = half_scores([0.57, 0.4, 0.5], common=common + 0.004 * rng.normal(size=(1, 20, 3)))
    found = best_of_two(over_images(first, second), 2)
    assert found.value == pytest.approx(0.03)
    assert found.standard_error == pytest.approx(0.004 * np.sqrt(2), rel=0.4)
    assert found.lower() > 0
    alone = layer_estimates(over_images(first))[1]
    assert alone.interval()[0] < 0.57  # two intervals overlap where the pair differs


def crossing(groups, labels="xyz"):
    """Groups of which each has images of every class."""
    return frozenset((group, label) for group in groups for label in labels)


def test_groups_limit_what_halves_can_tell():
    given = half_scores([0.5, 0.7], J=2, B=20)
    alone = over_images(given)
    apart = over_images(replace(given, groups=(crossing("abcd"), crossing("efgh", "uvw"))))
    assert (alone.df, apart.df) == (20, 6)
    np.testing.assert_array_equal(apart.shape, alone.shape)
    shared = over_images(replace(given, groups=(crossing("abcdefg"),) * 2))  # no more than one fold tells
    assert shared.df == 6
    np.testing.assert_allclose(shared.shape, 2 * alone.shape)
    assert over_images(replace(given, groups=(crossing("abcde"),) * 2)) is None


def test_groups_leave_free_what_classes_do_not_take():
    labels, groups = np.array(list("aabbab")), np.array(list("112233"))
    assert find_groups(labels, groups) == {("1", "a"), ("2", "b"), ("3", "a"), ("3", "b")}
    assert find_groups(labels, np.full(6, "")) is None
    nested = frozenset((f"{label}{number}", label) for label in "abc" for number in range(4))
    one_of_two_classes = nested - {("b0", "b")} | {("a0", "b")}
    assert degrees_of_freedom(crossing("12345678")) == (7, False)
    assert degrees_of_freedom(nested) == (9, False)
    assert 8 <= degrees_of_freedom(one_of_two_classes)[0] < 8.1
    assert degrees_of_freedom(nested, crossing("9", "d")) == (9, False)


def test_a_group_that_lacks_a_class_takes_little():
    one_less = crossing("abcdefgh") - {("a", "x")}
    assert 6.9 < degrees_of_freedom(one_less)[0] < 7
    random = np.random.default_rng(0)
    folds = [{pair for pair in crossing("abcdefghijkl", labels) if random.random() > 0.1} for labels in ("uvw", "xyz")]
    assert 10.7 < degrees_of_freedom(*map(frozenset, folds))[0] < 11


def test_two_groups_of_a_class_do_not_tell_how_far_its_groups_lie_apart():
    given = half_scores([0.5, 0.7])
    groups = frozenset((f"{label}{number}", label) for label in "abcd" for number in range(3))
    assert over_images(replace(given, groups=(groups,))).df == 8
    assert over_images(replace(given, groups=(groups - {("a0", "a")},))) is None


def test_one_pair_of_halves_is_the_least_that_says_something():
    assert over_images(half_scores([0.5, 0.7], B=2)).df == 1
    assert over_images(refits_of(np.ones((1, 1, 3)))) is None
