import numpy as np
import pandas as pd
import pytest

from stages.aggregate.contributions import Images
from stages.aggregate.tables.classes import CLASS_COLUMNS, ROBUSTNESS_COLUMNS, class_scores, robustness
from stages.shared.metric_table import HEAD, typed
from tests.aggregate.test_curves import point


def test_scores_of_each_class_are_means_over_its_images_and_the_seeds():
    labels = {"unseen": np.array(["b", "a", "b"]), "test": np.array(["c", "c"])}
    columns = [{"nn1_accuracy": [1, 0, 0.5], "collapse": [1, 2, 3]}, {"nn1_accuracy": [1, 1, 0], "collapse": [1, 2, 3]}]
    blocks = [
        {
            (4, "unseen", "x", "mean"): {name: np.array(values) for name, values in seed.items()},
            (4, "test", HEAD, ""): {"accuracy": np.array([1.0, 0.5])},
        }
        for seed in columns
    ]
    rows = [
        point("x", 0, "mean", 0.5, seed=seed, step=step, metric=metric)
        for metric in ("nn1_accuracy", "collapse", "nmi")
        for step in (0, 4)
        for seed in (0, 1)
    ]
    rows += [point(HEAD, None, "", 0.75, seed=seed, step=4, split="test", metric="accuracy") for seed in (0, 1)]
    table = class_scores(typed(pd.DataFrame(rows)), Images(labels, blocks))
    assert tuple(table.columns) == CLASS_COLUMNS
    shown = table[["layer", "metric", "label", "n_images", "value"]].to_numpy().tolist()
    assert shown == [
        ["x", "nn1_accuracy", "a", 1, 0.5],
        ["x", "nn1_accuracy", "b", 2, 0.625],
        [HEAD, "accuracy", "c", 2, 0.75],
    ]


def test_corrupted_copies_are_averaged_over_seeds_and_named_by_kind_and_severity():
    rows = [
        point("x", 0, "mean", value, seed=seed, split=split) | {"relative": value / 0.8}
        for split, values in (("motion_blur_2", (0.4, 0.6)), ("noise_1", (0.8, 0.8)))
        for seed, value in enumerate(values)
    ]
    rows += [point(HEAD, None, "", 0.3, split="noise_1", metric="accuracy") | {"relative": 0.5}]
    rows += [
        point("x", 0, "mean", 0.8, split=split) | {"relative": np.nan}
        for split in ("test", "unseen", "seen_matched", "unseen_matched")
    ]
    table = robustness(typed(pd.DataFrame(rows)))
    assert tuple(table.columns) == ROBUSTNESS_COLUMNS
    assert table[["layer", "corruption", "severity", "value"]].to_numpy().tolist() == [
        ["x", "motion_blur", 2, 0.5],
        ["x", "noise", 1, 0.8],
        [HEAD, "noise", 1, 0.3],
    ]
    assert table["relative"].tolist() == pytest.approx([0.625, 1.0, 0.5])


def test_without_corruptions_the_table_has_its_columns_alone():
    table = robustness(typed(pd.DataFrame([point("x", 0, "mean", 0.8)])).assign(relative=np.nan))
    assert (len(table), tuple(table.columns)) == (0, ROBUSTNESS_COLUMNS)
