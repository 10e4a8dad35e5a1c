import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.aggregate.columns import stack
from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.inference.accuracy_intervals import accuracy_intervals, accuracy_table
from stages.aggregate.inference.image_scores import ImageScores
from stages.aggregate.tables.classes import CLASS_COLUMNS
from stages.shared.settings.params import RunParams

FOLDS = ("0", "1", "2")
RUN = RunParams(datasets=["d"], models=["m"], folds=[0, 1, 2], seeds=[7, 8])


def right(seed, images=50):
    random = np.random.default_rng(seed)
    return pd.Series(random.integers(2, size=images).astype(float), index=[f"{seed}/{i}" for i in range(images)])


def scores(folds=FOLDS):
    rows = [
        {"dataset": "d", "model": "m", "fold": fold, "step": step, "value": 0.5, "sd": 0.0}
        for fold in (*folds, MEAN)
        for step in (50, 100)
    ]
    return Scores(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows), tuple(folds), 2)


def images(folds=FOLDS):
    by_fold = {fold: right(int(fold)) for fold in folds}
    return {("d", "m"): ImageScores(by_fold, {}, stack([], CLASS_COLUMNS))}


def test_one_folds_interval_is_students_over_its_images():
    found = accuracy_intervals(scores(), {}, images()).set_index("fold")
    values = right(1)
    low, high = stats.t.interval(0.95, 49, values.mean(), values.std(ddof=1) / np.sqrt(50))
    assert found.loc["1", ["ci_images_low", "ci_images_high"]].tolist() == pytest.approx([low, high])
    assert found["step"].unique().tolist() == [100]


def test_over_folds_it_is_students_over_their_means():
    table = np.array([[0.7, 0.72], [0.8, 0.8], [0.75, 0.71]])
    found = accuracy_intervals(scores(), {("d", "m"): table}, images()).set_index("fold")
    low, high = stats.t.interval(0.95, 2, table.mean(), table.mean(axis=1).std(ddof=1) / np.sqrt(3))
    expected = np.clip([low, high], 0, 1)
    assert found.loc[MEAN, ["ci_classes_low", "ci_classes_high"]].tolist() == pytest.approx(list(expected))
    assert found.loc["0"].isna()["ci_classes_low"]


def test_two_folds_say_nothing_about_other_classes():
    found = accuracy_intervals(scores(FOLDS[:2]), {("d", "m"): np.array([[0.7], [0.8]])}, images(FOLDS[:2]))
    assert found["ci_classes_low"].isna().all()
    assert found["ci_images_low"].notna().all()


def test_accuracies_are_arranged_by_fold_and_seed():
    rows = [
        {"layer": "head", "depth": None, "metric": "accuracy", "step": 9, "fold": fold, "seed": seed, "value": value}
        for (fold, seed), value in zip([(f, s) for s in (8, 7) for f in FOLDS], range(6), strict=True)
    ]
    table = pd.DataFrame(rows)
    np.testing.assert_array_equal(accuracy_table(table, 9, RUN), [[3, 0], [4, 1], [5, 2]])
    assert accuracy_table(table[1:], 9, RUN) is None
    assert accuracy_table(table, 8, RUN) is None
