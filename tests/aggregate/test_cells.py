import pandas as pd
import pytest

from stages.aggregate.cells import read_layers, read_training
from stages.shared.console import UserError
from stages.shared.params import RunParams


def test_tables_are_stacked_in_the_order_of_the_grid(grid):
    run = RunParams(datasets=["hands"], models=["small_scratch", "small"], seeds=[1, 0])
    layers = read_layers(grid / "measures", run)
    order = list(dict.fromkeys(zip(layers["model"], layers["seed"], strict=True)))
    assert order == [("small_scratch", 1), ("small_scratch", 0), ("small", 1), ("small", 0)]


def test_a_model_taken_out_of_the_grid_leaves_no_trace(grid):
    run = RunParams(datasets=["hands"], models=["small"], seeds=[0])
    assert set(read_layers(grid / "measures", run)["model"]) == {"small"}
    assert set(read_training(grid / "training", run)["cell"]) == {"hands/small/0"}


def test_training_curves_carry_their_cell(grid, run):
    training = read_training(grid / "training", run)
    assert list(training["cell"].unique()) == [
        "hands/small/0",
        "hands/small/1",
        "hands/small_scratch/0",
        "hands/small_scratch/1",
    ]
    assert training["loss"].notna().all()


def test_networks_that_were_not_trained_have_no_curve(grid, run):
    for path in (grid / "training").rglob("training.csv"):
        pd.read_csv(path).head(0).to_csv(path, index=False)
    training = read_training(grid / "training", run)
    assert len(training) == 0
    assert list(training.columns[:3]) == ["cell", "dataset", "model"]


@pytest.mark.parametrize(
    ("read", "file", "stage"),
    [
        (read_layers, "measures/hands/small/1/layers.csv", "measure"),
        (read_training, "training/hands/small/1/training.csv", "finetune"),
    ],
)
def test_a_cell_without_results_is_named_with_the_remedy(grid, run, read, file, stage):
    (grid / file).unlink()
    with pytest.raises(UserError, match=rf"hands, small, seed 1: .*dvc repro {stage}@hands-small-1"):
        read((grid / file).parents[3], run)


@pytest.mark.parametrize(
    ("read", "file", "column"),
    [
        (read_layers, "measures/hands/small/1/layers.csv", "chance"),
        (read_training, "training/hands/small/1/training.csv", "loss"),
    ],
)
def test_a_table_of_another_version_is_named(grid, run, read, file, column):
    pd.read_csv(grid / file).drop(columns=column).to_csv(grid / file, index=False)
    with pytest.raises(UserError, match=rf"lacks {column}: it was written by another version; run the .* stage again"):
        read((grid / file).parents[3], run)


def test_a_table_of_another_cell_is_named(grid, run):
    cells = grid / "measures/hands/small"
    (cells / "1/layers.csv").write_bytes((cells / "0/layers.csv").read_bytes())
    with pytest.raises(UserError, match="must hold the cell hands/small/1, found rows of hands/small/0"):
        read_layers(grid / "measures", run)
