import pandas as pd
import pytest

from stages.aggregate.inputs import read_analyses, read_curves, read_layers
from stages.shared.console import UserError
from stages.shared.metric_table import ANALYSIS_TABLES
from stages.shared.params import RunParams


def test_tables_are_stacked_in_the_order_of_the_grid(grid):
    run = RunParams(datasets=["handwriting"], models=["small_scratch", "small"], seeds=[1, 0])
    layers = read_layers(grid / "measures", run)
    order = list(dict.fromkeys(zip(layers["model"], layers["seed"], strict=True)))
    assert order == [("small_scratch", 1), ("small_scratch", 0), ("small", 1), ("small", 0)]


def test_a_model_taken_out_of_the_grid_leaves_no_trace(grid):
    run = RunParams(datasets=["handwriting"], models=["small"], seeds=[0])
    assert set(read_layers(grid / "measures", run)["model"]) == {"small"}
    assert set(read_curves(grid / "training", run)["cell"]) == {"handwriting/small/0"}


def test_training_curves_carry_their_cell(grid, run):
    training = read_curves(grid / "training", run)
    assert list(training["cell"].unique()) == [
        "handwriting/small/0",
        "handwriting/small/1",
        "handwriting/small_scratch/0",
        "handwriting/small_scratch/1",
    ]
    assert training["loss"].notna().all()


def test_networks_that_were_not_trained_have_no_curve(grid, run):
    for path in (grid / "training").rglob("training.csv"):
        pd.read_csv(path).head(0).to_csv(path, index=False)
    training = read_curves(grid / "training", run)
    assert len(training) == 0
    assert list(training.columns[:3]) == ["cell", "dataset", "model"]


@pytest.mark.parametrize(
    ("read", "file", "stage"),
    [
        (read_layers, "measures/handwriting/small/1/layers.csv", "measure"),
        (read_curves, "training/handwriting/small/1/training.csv", "finetune"),
    ],
)
def test_a_cell_without_results_is_named_with_the_remedy(grid, run, read, file, stage):
    (grid / file).unlink()
    with pytest.raises(UserError, match=rf"handwriting, small, seed 1: .*dvc repro {stage}@handwriting-small-1"):
        read((grid / file).parents[3], run)


@pytest.mark.parametrize(
    ("read", "file", "column"),
    [
        (read_layers, "measures/handwriting/small/1/layers.csv", "chance"),
        (read_curves, "training/handwriting/small/1/training.csv", "loss"),
    ],
)
def test_a_table_of_another_version_is_named(grid, run, read, file, column):
    pd.read_csv(grid / file).drop(columns=column).to_csv(grid / file, index=False)
    with pytest.raises(UserError, match=rf"lacks {column}: it was written by another version; run the .* stage again"):
        read((grid / file).parents[3], run)


def test_a_table_of_another_cell_is_named(grid, run):
    cells = grid / "measures/handwriting/small"
    (cells / "1/layers.csv").write_bytes((cells / "0/layers.csv").read_bytes())
    with pytest.raises(UserError, match="must hold the cell handwriting/small/1, found rows of handwriting/small/0"):
        read_layers(grid / "measures", run)


def test_cells_that_do_not_say_what_is_better_mean_the_higher(grid, run):
    path = grid / "measures/handwriting/small/1/layers.csv"
    pd.read_csv(path).assign(better="lower", relative=0.5).to_csv(path, index=False)
    layers = read_layers(grid / "measures", run)
    own = (layers["model"] == "small") & (layers["seed"] == 1)
    assert set(layers.loc[own, "better"]) == {"lower"}
    assert set(layers.loc[~own, "better"]) == {"higher"}
    assert layers.loc[~own, "relative"].isna().all()


def test_further_tables_are_stacked_where_they_are_and_named_by_their_cell(grid, run):
    folder = grid / "measures/handwriting/small"
    columns = "step,split,layer,depth,pooling,metric,left_out,n_classes,value\n"
    (folder / "0/class_subsets.csv").write_text(columns + "9,unseen,a,0,mean,nmi,,5,0.5\n")
    (folder / "1/class_subsets.csv").write_text(columns + "9,unseen,a,0,mean,nmi,NA;x,3,0.25\n")
    subsets = read_analyses(grid / "measures", run, "class_subsets")
    assert subsets[["model", "seed", "left_out", "value"]].to_numpy().tolist() == [
        ["small", 0, "", 0.5],
        ["small", 1, "NA;x", 0.25],
    ]


def test_classes_named_by_numbers_keep_their_names(grid, run):
    columns = "step,split,layer,depth,pooling,metric,left_out,n_classes,value\n"
    rows = "9,unseen,a,0,mean,nmi,,3,0.5\n9,unseen,a,0,mean,nmi,007,2,0.4\n"
    (grid / "measures/handwriting/small/0/class_subsets.csv").write_text(columns + rows)
    assert read_analyses(grid / "measures", run, "class_subsets")["left_out"].tolist() == ["", "007"]


@pytest.mark.parametrize("analysis", ANALYSIS_TABLES)
def test_without_a_further_table_there_are_its_columns(grid, run, analysis):
    table = read_analyses(grid / "measures", run, analysis)
    assert (len(table), tuple(table.columns)) == (0, ("dataset", "model", "seed", *ANALYSIS_TABLES[analysis]))


def test_a_further_table_of_another_version_is_named(grid, run):
    (grid / "measures/handwriting/small/0/layer_pairs.csv").write_text("step,split\n")
    with pytest.raises(UserError, match=r"layer_pairs\.csv: must have .*lacks layer_a, .*measure stage again"):
        read_analyses(grid / "measures", run, "layer_pairs")
