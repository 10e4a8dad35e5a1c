import numpy as np
import pandas as pd
import pytest

from stages.aggregate.inference.per_image_scores import CLASS_KEYS, Contributions, class_scores, read_contributions
from stages.measure.metrics import SCORES
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


def test_a_column_is_stacked_by_seed_layer_and_image(paths):
    found = read_contributions(paths, [9], ["nn1_accuracy", "nmi"])
    stacked = found.stack("nn1_accuracy", 9, "unseen", [("x", "mean"), ("y", "mean")])
    assert stacked.tolist() == [[[1, 0], [1, 1]], [[0, 1], [0, 0.25]]]
    assert found.labels["unseen"].tolist() == ["a", "b"]
    assert list(found.blocks) == [5, 3]


def test_what_a_seed_or_layer_lacks_is_not_stacked(paths):
    found = read_contributions(paths, [0, 9], ["nn1_accuracy", "probe_accuracy"])
    assert found.stack("probe_accuracy", 9, "unseen", [("x", "mean")]) is None
    assert found.stack("nn1_accuracy", 0, "unseen", [("x", "mean")]) is None  # the first seed alone has it
    assert found.stack("nn1_accuracy", 9, "unseen", [("x", "max")]) is None
    assert found.stack("nn1_accuracy", 9, "unseen", []) is None


def test_other_steps_and_splits_are_not_read(paths):
    found = read_contributions({5: paths[5]}, [9], ["nn1_accuracy"])
    assert sorted(found.blocks[5]) == [(9, "unseen", "x", "mean"), (9, "unseen", "y", "mean")]


def test_without_a_seeds_table_there_are_no_images(paths):
    paths[3].unlink()
    assert read_contributions(paths, [9], ["nn1_accuracy"]) is None


@pytest.mark.parametrize("ids", [("p", "r"), ("q", "p"), ("p",)])
def test_seeds_with_other_images_are_an_error(paths, ids):
    block("x", np.ones(len(ids)), ids=ids).to_parquet(paths[3])
    with pytest.raises(UserError, match=r"1\.parquet: layer x must hold the same 2 unseen images"):
        read_contributions(paths, [9], ["nn1_accuracy"])


def test_a_cut_table_is_an_error(paths):
    paths[3].write_bytes(paths[3].read_bytes()[:-20])
    with pytest.raises(UserError, match=r"1.parquet: must be a Parquet table, found it damaged"):
        read_contributions(paths, [9], ["nn1_accuracy"])


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
    tables = class_scores(typed(pd.DataFrame(rows)), Contributions(labels, {}, {}, dict(enumerate(blocks))), SCORES)
    table = pd.concat(tables)
    assert list(table.columns) == [*CLASS_KEYS, "label", "n_images", "value"]
    shown = table[["layer", "metric", "label", "n_images", "value"]].to_numpy().tolist()
    assert shown == [
        ["x", "nn1_accuracy", "a", 1, 0.5],
        ["x", "nn1_accuracy", "b", 2, 0.625],
        [HEAD, "accuracy", "c", 2, 0.75],
    ]
