"""Inference about other classes, compared with a computation contrast by contrast (`independent`)."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from stages.core.inference.layer_comparison import best_against, best_of_two, ties
from stages.core.inference.scopes import class_inference, fold_inference
from stages.core.scores.refits import class_groups
from tests.aggregate.refit_frames import layer_estimates, refits_of
from tests.core.inference import independent

LAYERS, NETWORKS = independent.layer_cases(), independent.network_cases()
CASES = pytest.mark.parametrize("case", LAYERS, ids=lambda case: case["name"])


INTEGRATED = 0.005
"""Error of quantiles, which both sides integrate numerically."""


def scores(case):
    return refits_of(case["values"], case["without"])


def agree(found, expected, atol=1e-9):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def differences_from_last(L):
    return np.eye(L)[:-1] - np.eye(L)[-1]


@CASES
def test_covariances_agree(case):
    found = class_inference(scores(case))
    agree(found.mean, case["expected"]["mean"])
    agree(found.shape, case["expected"]["shape"])
    agree(found.between, case["expected"]["between"])


@CASES
def test_intervals_agree(case):
    found = class_inference(scores(case))
    agree([each.interval() for each in layer_estimates(found)], np.transpose(case["expected"]["ci"]))
    contrasts = found.contrasts(differences_from_last(len(found.mean)))
    agree(contrasts.df, case["expected"]["df"])
    agree(contrasts.quantile(), case["expected"]["quantile"], atol=INTEGRATED)
    alone = [contrasts.estimate(i) for i in range(len(contrasts.value))]
    agree([each.value for each in alone], case["expected"]["contrasts"][0])
    agree([each.interval()[1] - each.value for each in alone], case["expected"]["contrasts"][1])


@CASES
def test_best_against_last_and_ties_agree(case):
    found = class_inference(scores(case))
    lead = best_against(found)
    low, high, value = case["expected"]["lead"]
    error = np.sqrt(found.contrasts(differences_from_last(len(found.mean))).variance.max())
    agree([lead.low, lead.value], [low, value], atol=INTEGRATED * error)
    agree(lead.high, high)
    assert ties(found).tolist() == case["expected"]["ties"]


@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case["name"])
def test_two_networks_agree_whichever_comes_first(case):
    first, second = scores(case["first"]), scores(case["second"])
    value, error, df = case["expected"]
    found = best_of_two(class_inference(first, second), first.values.shape[2])
    agree([found.value, found.standard_error], [value, error], atol=2 * INTEGRATED * error)
    agree(found.df, df)
    mirrored = best_of_two(class_inference(second, first), second.values.shape[2])
    agree([mirrored.value, mirrored.standard_error], [-found.value, found.standard_error])


def test_one_fold_has_the_jackknife_alone():
    """Of a mean over classes the jackknife is Student's t over them."""
    rng = np.random.default_rng(0)
    of_classes = rng.normal(size=(12, 3))
    without = np.stack([np.delete(of_classes, c, axis=0).mean(axis=0) for c in range(12)])
    found = class_inference(refits_of(of_classes.mean(axis=0)[None, None], without[None, None]))
    for layer, each in enumerate(layer_estimates(found)):
        expected = ttest_1samp(of_classes[:, layer], 0).confidence_interval()
        agree(each.interval(), [expected.low, expected.high])


def test_of_two_folds_the_jackknife_has_the_classes_of_each_less_one():
    case = LAYERS[0]
    assert class_inference(refits_of(case["values"][:2], case["without"][:2])).df == 2 * (5 - 1)


def test_contrasts_that_never_vary_are_dropped():
    given = scores(LAYERS[0])
    repeat = [0, 1, 2, 3, 4, 4]  # the last layer twice
    doubled = class_inference(refits_of(given.values[..., repeat], given.without[..., repeat]))
    contrasts = doubled.contrasts(differences_from_last(6))
    assert contrasts.varying.tolist() == [True] * 4 + [False]
    lead, once = best_against(doubled), best_against(class_inference(given))
    agree([lead.low, lead.high], [once.low, once.high])
    assert class_inference(refits_of(np.ones((3, 1, 2)), np.ones((3, 1, 4, 2)))).contrasts(np.eye(2)) is None


def test_the_lead_of_a_copy_of_the_last_layer_is_zero():
    rng = np.random.default_rng(0)
    values, without = 0.5 + 0.01 * rng.normal(size=(4, 1, 2)), 0.5 + 0.01 * rng.normal(size=(4, 1, 5, 2))
    better = class_inference(refits_of(values[..., [0, 1, 1]] + [0, 0.4, 0.4], without[..., [0, 1, 1]]))
    lead = best_against(better)
    assert (lead.low, lead.value, lead.high) == (0, 0, 0)


def test_seeds_are_a_part_of_the_shape_where_there_are_several():
    given = scores(LAYERS[0])
    one = refits_of(given.values.mean(axis=1, keepdims=True), given.without.mean(axis=1, keepdims=True))
    added = np.diag(class_inference(given).shape) - np.diag(class_inference(one).shape)
    spread = given.values.var(axis=1, ddof=1) / 2  # of a fold's mean over two seeds
    agree(added, spread.sum(axis=0) / 4**2)


def test_folds_alone_are_students_t():
    values = scores(LAYERS[0]).values
    means = values.mean(axis=1)
    found = fold_inference(values)
    estimate = layer_estimates(found)[2]
    assert estimate.df == 3
    assert estimate.standard_error == pytest.approx(means[:, 2].std(ddof=1) / 2)
    contrasts = found.contrasts(differences_from_last(5))
    assert contrasts.quantile() == pytest.approx(4.1765, abs=1e-4)  # t of 3 degrees at 1 - 0.05 / 4


def test_leaving_out_groups_of_classes_gives_the_variance_over_classes():
    rng = np.random.default_rng(0)
    groups = class_groups([f"{number:02}" for number in range(60)])
    assert [len(group) for group in groups] == [3] * 20
    shapes = []
    for _ in range(200):
        of_classes = rng.normal(size=(3, 60, 1))  # a score that is a mean over the classes of a fold
        without = np.stack([np.delete(of_classes, group, axis=1).mean(axis=1) for group in groups], axis=1)
        values = of_classes.mean(axis=1)
        shapes.append(class_inference(refits_of(values[:, None], without[:, None])).shape.item())
    assert np.mean(shapes) == pytest.approx(1 / (3 * 60), rel=4 * np.sqrt(2 / (3 * 19 * 200)))


def test_frozen_networks_take_the_level_of_the_jackknife_at_any_number_of_folds():
    """Their folds differ in no training: all classes count, as in one fold of as many."""
    classes = np.random.default_rng(0).normal(0.5, 0.1, (3, 5, 2))
    without = (classes.sum(axis=1, keepdims=True) - classes) / 4
    found = class_inference(refits_of(classes.mean(axis=1)[:, None], without[:, None], frozen=True))
    assert found.between is None
    assert found.df == 12
    expected = classes.var(axis=1, ddof=1).mean(axis=0) / 15
    np.testing.assert_allclose(np.diag(found.shape), expected)
