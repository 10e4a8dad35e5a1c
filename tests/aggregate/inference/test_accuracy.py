import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.inference.accuracy import accuracy_intervals, difference_over_folds, difference_over_images
from stages.aggregate.inference.network_data import NetworkData
from stages.aggregate.inference.per_image_scores import ImageScores
from stages.measure.metrics import SCORES
from stages.shared.settings.params import RunParams

FOLDS = ("0", "1", "2")


def test_over_folds_it_is_a_paired_t_of_seed_means():
    first, second = np.array([[0.8, 0.9], [0.7, 0.7], [0.9, 0.9]]), np.array([[0.8], [0.6], [0.7]])
    found = difference_over_folds(first, second)
    each = np.array([0.05, 0.1, 0.2])
    assert found.value == pytest.approx(each.mean())
    assert found.standard_error == pytest.approx(each.std(ddof=1) / np.sqrt(3))
    assert found.df == 2
    assert difference_over_folds(first[:1], second[:1]) is None


def test_over_images_of_one_fold_it_is_a_paired_t():
    each = pd.Series([1.0, 0.0, 0.0, -1.0, 0.5], index=list("abcde"))
    found = difference_over_images([each])
    assert found.value == pytest.approx(0.1)
    assert found.standard_error == pytest.approx(each.std(ddof=1) / np.sqrt(5))
    assert found.df == 4


def test_an_image_in_several_folds_counts_once():
    rng = np.random.default_rng(0)
    each = pd.Series(rng.choice([-1.0, 0.0, 1.0], 200, p=[0.1, 0.7, 0.2]), index=[str(i) for i in range(200)])
    once, thrice = difference_over_images([each]), difference_over_images([each] * 3)
    assert thrice.value == pytest.approx(once.value)
    assert thrice.standard_error == pytest.approx(once.standard_error)
    others = each.rename(lambda name: f"other {name}")
    two = difference_over_images([each, others])
    assert two.standard_error == pytest.approx(once.standard_error / np.sqrt(2), rel=0.01)


def right(seed, images=50):
    random = np.random.default_rng(seed)
    return pd.Series(random.integers(2, size=images).astype(float), index=[f"{seed}/{i}" for i in range(images)])


def scores(folds):
    rows = [
        {"dataset": "d", "model": "m", "fold": fold, "step": step, "value": 0.5, "sd": 0.0}
        for fold in (*folds, MEAN)
        for step in (50, 100)
    ]
    return Scores(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows), tuple(folds), 2, SCORES)


def network(folds, table):
    """A network with these accuracies of its head, (J, S), and random images; the rows in any order."""
    run = RunParams(datasets=["d"], models=["m"], folds=list(range(len(folds))), seeds=[7, 8])
    rows = [
        {"layer": "head", "depth": None, "metric": "accuracy", "step": 100, "fold": fold, "seed": seed, "value": value}
        for fold, values in zip(folds, table, strict=True)
        for seed, value in zip((7, 8), values, strict=True)
    ]
    images = ImageScores({fold: right(int(fold)) for fold in folds}, {}, [])
    return NetworkData(pd.DataFrame(rows)[::-1], pd.DataFrame(), run, SCORES, images)


def intervals(table, folds=FOLDS):
    return accuracy_intervals(scores(folds), {("d", "m"): network(folds, table)}).set_index("fold")


TABLE = np.array([[0.7, 0.72], [0.8, 0.8], [0.75, 0.71]])


def test_one_folds_interval_is_students_over_its_images():
    found, values = intervals(TABLE), right(1)
    low, high = stats.t.interval(0.95, 49, values.mean(), values.std(ddof=1) / np.sqrt(50))
    assert found.loc["1", ["ci_images_low", "ci_images_high"]].tolist() == pytest.approx([low, high])
    assert found["step"].unique().tolist() == [100]
    assert found.loc["0"].isna()["ci_classes_low"]


def test_over_folds_it_is_students_over_their_means():
    low, high = stats.t.interval(0.95, 2, TABLE.mean(), TABLE.mean(axis=1).std(ddof=1) / np.sqrt(3))
    found = intervals(TABLE).loc[MEAN, ["ci_classes_low", "ci_classes_high"]]
    assert found.tolist() == pytest.approx(list(np.clip([low, high], 0, 1)))


def test_two_folds_say_nothing_about_other_classes():
    found = intervals(TABLE[:2], FOLDS[:2])
    assert found["ci_classes_low"].isna().all()
    assert found["ci_images_low"].notna().all()


def test_accuracies_are_arranged_by_fold_and_seed():
    np.testing.assert_array_equal(network(FOLDS, TABLE).accuracies, TABLE)
    incomplete = network(FOLDS, TABLE)
    assert NetworkData(incomplete.layers[1:], incomplete.refits, incomplete.run, SCORES, None).accuracies is None
