import numpy as np
import pandas as pd
import pytest

from stages.aggregate.tables.robustness import ROBUSTNESS_COLUMNS, robustness_table
from stages.shared.tables.metric_table import HEAD, typed
from tests.aggregate.test_curves import point


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
    table = robustness_table(typed(pd.DataFrame(rows)))
    assert tuple(table.columns) == tuple(ROBUSTNESS_COLUMNS)
    assert table[["layer", "corruption", "severity", "value"]].to_numpy().tolist() == [
        ["x", "motion_blur", 2, 0.5],
        ["x", "noise", 1, 0.8],
        [HEAD, "noise", 1, 0.3],
    ]
    assert table["relative"].tolist() == pytest.approx([0.625, 1.0, 0.5])
    assert table["clean"].tolist() == pytest.approx([0.8, 0.8, 0.6])


def test_clean_scores_are_known_from_any_corruption_that_leaves_something():
    splits = {"noise_1": (0.4, 0.5), "noise_2": (0.0, 0.0), "blur_1": (0.8, 1.0)}
    rows = [point("x", 0, "mean", value, split=split) | {"relative": share} for split, (value, share) in splits.items()]
    rows += [point("y", 1, "mean", 0.0, split="noise_1") | {"relative": np.nan}]  # a share of nothing
    table = robustness_table(typed(pd.DataFrame(rows)))
    assert table.set_index(["layer", "severity"])["clean"].groupby(level=0).agg(list).to_dict() == {
        "x": pytest.approx([0.8, 0.8, 0.8]),
        "y": [0.0],
    }


def test_without_corruptions_the_table_has_its_columns_alone():
    table = robustness_table(typed(pd.DataFrame([point("x", 0, "mean", 0.8)])).assign(relative=np.nan))
    assert (len(table), tuple(table.columns)) == (0, tuple(ROBUSTNESS_COLUMNS))
