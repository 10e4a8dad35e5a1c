"""Intervals of accuracies, held against Student's t of SciPy and a least-squares fit by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.core.inference.accuracy import mean_over_classes, mean_over_images

FOLDS = ("0", "1", "2")


def images(values, labels, ids=None, groups=""):
    ids = [f"image {i}" for i in range(len(values))] if ids is None else ids
    table = pd.DataFrame({"sample_id": ids, "label": labels, "group": groups})
    return pd.Series(np.asarray(values, float), index=pd.MultiIndex.from_frame(table))


def folds_of(C=8, J=4, each=5, seed=0, effects=(0, 0, 0, 0)):
    """Every class stands in all folds but one, with as many images and the same accuracy but for the fold's effect."""
    level = np.random.default_rng(seed).uniform(size=C)
    seen = [[c for c in range(C) if c % J != j] for j in range(J)]
    return level, [
        images(np.repeat(level[classes] + effect, each), np.repeat([f"c{c}" for c in classes], each))
        for classes, effect in zip(seen, effects, strict=False)
    ]


def test_over_classes_it_is_students_t_of_their_means():
    level, folds = folds_of()
    found = mean_over_classes(folds)
    expected = stats.ttest_1samp(level, 0).confidence_interval()
    assert found.interval() == pytest.approx((expected.low, expected.high))


def test_what_moves_all_classes_of_a_fold_is_added():
    effects = np.array([0.3, 0.0, -0.1, 0.1])
    alone, moved = (mean_over_classes(folds_of(effects=each)[1]) for each in (np.zeros(4), effects))
    assert moved.value == pytest.approx(alone.value + effects.mean())
    of_folds = effects.var(ddof=1) / 4
    assert moved.standard_error**2 >= alone.standard_error**2 * 0.5 + of_folds
    assert 3 < moved.df < 3 + 7


def test_other_classes_take_three_folds():
    assert mean_over_classes(folds_of()[1][:2]) is None
    assert mean_over_classes([]) is None


def test_over_classes_it_holds_as_often_as_it_says():
    """Twenty classes, five unseen in each of four folds, whose training moves all classes of a fold alike."""
    rng, held, over_folds = np.random.default_rng(0), [], []
    for _ in range(300):
        level, folds = rng.normal(size=20), []
        for j in range(4):
            classes = [c for c in range(20) if c % 4 != j]
            values = level[classes] + rng.normal() / np.sqrt(15) + 0.3 * rng.normal(size=15)
            folds.append(images(values, [f"c{c}" for c in classes]))
        low, high = mean_over_classes(folds).interval()
        held.append(low <= 0 <= high)
        low, high = stats.ttest_1samp([fold.mean() for fold in folds], 0).confidence_interval()
        over_folds.append(low <= 0 <= high)
    assert np.mean(held) > 0.92
    assert np.mean(over_folds) < 0.88  # which share most of their classes


def test_over_images_of_one_fold_it_is_students_t():
    each = images([1.0, 0.0, 0.0, -1.0, 0.5], list("aabbb"))
    expected = stats.ttest_1samp(each, 0).confidence_interval()
    assert mean_over_images([each]).interval() == pytest.approx((expected.low, expected.high))


def test_an_image_in_several_folds_counts_once():
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 0.0, 1.0], 200, p=[0.1, 0.7, 0.2])
    each, others = images(values, "a"), images(values, "a", ids=[f"other {i}" for i in range(200)])
    once, thrice, two = mean_over_images([each]), mean_over_images([each] * 3), mean_over_images([each, others])
    assert (thrice.value, thrice.standard_error, thrice.df) == pytest.approx((once.value, once.standard_error, 199))
    assert two.standard_error == pytest.approx(once.standard_error / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize(("nested", "df"), [(False, 9), (True, 8)])
def test_images_of_one_group_are_one_unit(nested, df):
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(10), 20)
    labels = np.where(groups < 5, "a", "b") if nested else np.tile(["a", "b"], 100)
    values = rng.normal(size=10)[groups] + 0.1 * rng.normal(size=200)
    found = mean_over_images([images(values, labels, groups=groups.astype(str))])
    of_groups = [values[groups == g].mean() for g in range(10)]
    assert found.standard_error == pytest.approx(stats.sem(of_groups))
    assert found.df == df


def test_few_groups_say_nothing():
    assert mean_over_images([images(np.arange(50.0), "a", groups=np.tile(list("vwxyz"), 10))]) is None
    assert mean_over_images([images(np.arange(60.0), "a", groups=np.tile(list("uvwxyz"), 10))]) is not None
    assert mean_over_images([]) is None
