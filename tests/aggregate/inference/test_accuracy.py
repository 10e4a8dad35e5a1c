"""Intervals of accuracies, held against Student's t of SciPy and a least-squares fit by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.inference.accuracy import accuracy_intervals, mean_over_classes, mean_over_images
from stages.aggregate.inference.network_data import ImageScores, NetworkData
from stages.measure.metrics import SCORES
from stages.shared.core.params import RunParams

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


def right(seed):
    random = np.random.default_rng(seed)
    ids = [f"{seed}/{i}" for i in range(60)]
    return images(random.integers(2, size=60), [f"c{i % 12}" for i in range(60)], ids=ids)


def scores(folds):
    rows = [
        {"dataset": "d", "model": "m", "fold": fold, "step": step, "accuracy": 0.5, "accuracy_sd": 0.0}
        for fold in (*folds, MEAN)
        for step in (50, 100)
    ]
    return Scores(pd.DataFrame(rows), tuple(folds), 2, SCORES)


def intervals(folds=FOLDS, right=right):
    run = RunParams(datasets=["d"], models=["m"], folds=list(range(len(folds))), seeds=[7, 8])
    of_images = ImageScores({fold: right(int(fold)) for fold in folds}, {}, [], {})
    network = NetworkData(pd.DataFrame(), pd.DataFrame(), run, SCORES, of_images)
    found = accuracy_intervals(scores(folds), {("d", "m"): network}).set_index("fold")
    return found.rename(columns=lambda name: name.removeprefix("accuracy_"))


def of_log_odds(estimate):
    """The ends of the interval of the log-odds, by the delta method, as accuracies."""
    share, ends = estimate.value, np.array(estimate.interval())
    return (1 / (1 + (1 - share) / share * np.exp((share - ends) / (share * (1 - share))))).tolist()


def test_the_table_has_every_fold_and_their_mean_at_the_last_step():
    found = intervals()
    expected = of_log_odds(mean_over_images([right(1)]))
    assert found.loc["1", ["ci_images_low", "ci_images_high"]].tolist() == pytest.approx(expected)
    expected = of_log_odds(mean_over_classes([right(fold) for fold in range(3)]))
    assert found.loc[MEAN, ["ci_classes_low", "ci_classes_high"]].tolist() == pytest.approx(expected)
    assert found["step"].unique().tolist() == [100]
    assert found.loc["0"].isna()["ci_classes_low"]


@pytest.mark.parametrize("values", [[1, 1, 1, 0], [0, 0, 0, 1]])
def test_intervals_end_within_zero_and_one_and_reach_farther_towards_the_middle(values):
    found = intervals(right=lambda fold: images(values, list("abcd"), ids=[f"{fold}/{i}" for i in range(4)])).loc["0"]
    low, high = found["ci_images_low"], found["ci_images_high"]
    assert 0 < low < np.mean(values) < high < 1
    assert (np.mean(values) - low > high - np.mean(values)) == (np.mean(values) > 0.5)


def test_where_all_are_right_no_interval_is_known():
    found = intervals(right=lambda fold: images(np.ones(60), [f"c{i % 12}" for i in range(60)], ids=list(range(60))))
    assert found.filter(like="ci_").isna().all(axis=None)


def test_two_folds_say_nothing_about_other_classes():
    found = intervals(FOLDS[:2])
    assert found["ci_classes_low"].isna().all()
    assert found["ci_images_low"].notna().all()
