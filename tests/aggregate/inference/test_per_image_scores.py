import numpy as np
import pandas as pd
import pytest

from stages.aggregate.inference.network_data import CLASS_KEYS, class_scores, last_rows, read_contributions
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import HEAD, typed
from tests.aggregate.test_curves import point


def block(layer, values, *, step=9, split="unseen", ids=("p", "q"), **columns):
    keys = {
        "step": step,
        "split": split,
        "layer": layer,
        "pooling": "mean",
        "label": ["a", "b"][: len(ids)],
        "group": "",
    }
    return pd.DataFrame({**keys, "sample_id": list(ids), "nn1_accuracy": values, **columns})


@pytest.fixture
def paths(tmp_path):
    """Two seeds, two layers, two steps; the second seed's rows in another order of layers."""
    seeds = [
        [block("x", [0.0, 0.0], step=0), block("x", [1.0, 0.0]), block("y", [1.0, 1.0]), block("y", [1, 1], split="t")],
        [block("y", [0.0, 0.25]), block("x", [0.0, 1.0])],
    ]
    for seed, blocks in enumerate(seeds):
        pd.concat(blocks).to_parquet(tmp_path / f"{seed}.parquet")
    return {5: tmp_path / "0.parquet", 3: tmp_path / "1.parquet"}


def test_every_seeds_rows_are_read_with_the_columns_that_all_have(paths):
    found = read_contributions(paths, [9], ["nn1_accuracy", "nmi"])
    assert "nmi" not in found
    shown = found[["layer", "sample_id", "label", "nn1_accuracy"]].to_numpy().tolist()
    x, y = [["x", "p", "a"], ["x", "q", "b"]], [["y", "p", "a"], ["y", "q", "b"]]
    values = [1, 0, 1, 1, 0, 0.25, 0, 1]
    assert shown == [[*place, value] for place, value in zip([*x, *y, *y, *x], values, strict=True)]
    assert found["nn1_accuracy"].dtype == np.float64


def test_a_column_that_a_seed_lacks_is_left_out(paths):
    pd.read_parquet(paths[3]).drop(columns="nn1_accuracy").to_parquet(paths[3])
    assert "nn1_accuracy" not in read_contributions(paths, [9], ["nn1_accuracy"])


def test_other_steps_and_splits_are_not_read(paths):
    found = read_contributions({5: paths[5]}, [9], ["nn1_accuracy"])
    assert set(zip(found["step"], found["split"], strict=True)) == {(9, "unseen")}


def test_without_a_seeds_table_there_are_no_images(paths):
    paths[3].unlink()
    assert read_contributions(paths, [9], ["nn1_accuracy"]) is None


@pytest.mark.parametrize("ids", [("p", "r"), ("q", "p"), ("p",)])
def test_seeds_with_other_images_are_an_error(paths, ids):
    block("x", np.ones(len(ids)), ids=ids).to_parquet(paths[3])
    with pytest.raises(UserError, match=r"1\.parquet: layer x must hold the same 2 unseen images"):
        read_contributions(paths, [9], ["nn1_accuracy"])


def test_a_table_of_another_version_is_an_error(paths):
    pd.read_parquet(paths[3]).drop(columns="group").to_parquet(paths[3])
    with pytest.raises(UserError, match=r"1.parquet: must have .*lacks group: it was written by another version; run"):
        read_contributions(paths, [9], ["nn1_accuracy"])


def test_scores_of_each_class_are_means_over_its_images_and_the_seeds():
    images = []
    for values in ([1, 0, 0.5], [1, 1, 0]):
        place = {"step": 4, "split": "unseen", "layer": "x", "pooling": "mean", "group": ""}
        images += [place | {"sample_id": str(i), "label": "bab"[i], "nn1_accuracy": v} for i, v in enumerate(values)]
        place |= {"split": "test", "layer": HEAD, "pooling": ""}
        images += [place | {"sample_id": str(i), "label": "c", "accuracy": v} for i, v in enumerate((1.0, 0.5))]
    places = [("x", 0, "mean", "unseen", "nn1_accuracy"), (HEAD, None, "", "test", "accuracy")]
    places += [("x", 0, "mean", "unseen", "knn_purity")]  # whose contributions were not kept
    rows = [
        point(layer, depth, pooling, 0.5, seed=seed, step=4, split=split, metric=metric)
        for layer, depth, pooling, split, metric in places
        for seed in (0, 1)
    ]
    table = pd.concat(class_scores(typed(pd.DataFrame(rows)), pd.DataFrame(images)))
    assert list(table.columns) == [*CLASS_KEYS, "label", "n_images", "value"]
    shown = table[["layer", "metric", "label", "n_images", "value"]].to_numpy().tolist()
    assert shown == [
        ["x", "nn1_accuracy", "a", 1, 0.5],
        ["x", "nn1_accuracy", "b", 2, 0.625],
        [HEAD, "accuracy", "c", 2, 0.75],
    ]


def test_the_last_rows_of_a_score_are_those_of_seen_and_unseen_images():
    rows = [point("a", 0, "mean", 0.1, split=split, step=step) for split in ("unseen", "test") for step in (0, 5)]
    rows += [point("a", 0, "mean", 0.2, split=split, step=9) for split in ("unseen_matched", "blur_1")]
    rows += [point("a", 0, "mean", 0.3, metric="ami")]
    found = last_rows(typed(pd.DataFrame(rows)))
    assert found[["metric", "split", "step"]].to_numpy().tolist() == [
        ["nmi", "unseen", 5],
        ["nmi", "test", 5],
        ["ami", "unseen", 0],
    ]
