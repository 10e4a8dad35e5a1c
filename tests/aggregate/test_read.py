import shutil

import pandas as pd
import pytest

from stages.aggregate.read import read_all_thumbnails, read_galleries, read_tables
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import ANALYSIS_TABLES, HEAD
from stages.shared.workflow.params import RunParams
from tests.aggregate.synthetic import freeze, write_cells
from tests.sealed import seal, seal_all, seal_training

SMALL = "handwriting/small/0"
CLUSTERS = "step,split,layer,depth,pooling,clusters,nmi,ami\n"


def tables_of(grid, run, analyses=()):
    return read_tables(grid / "measures", grid / "training", run, analyses)


def curves_of(grid, run):
    return tables_of(grid, run).courses


def layers_of(grid, run):
    return tables_of(grid, run).layers


def analyses_of(grid, run, *names):
    return tables_of(grid, run, names).analyses


def test_tables_are_stacked_in_the_order_of_the_grid(grid):
    run = RunParams(datasets=["handwriting"], models=["small_scratch", "small"], folds=[0], seeds=[1, 0])
    layers = layers_of(grid, run)
    order = list(dict.fromkeys(zip(layers["model"], layers["seed"], strict=True)))
    assert order == [("small_scratch", 1), ("small_scratch", 0), ("small", 1), ("small", 0)]


def test_a_fold_keeps_its_name_and_has_its_place_in_the_order(tmp_path):
    write_cells(tmp_path, ["handwriting"], ["small"], [0, 1], folds=["1", "all"])
    run = RunParams(datasets=["handwriting"], models=["small"], folds=["all", 1], seeds=[0, 1])
    layers, curves = layers_of(tmp_path, run), curves_of(tmp_path, run)
    order = [("all", 0), ("all", 1), ("1", 0), ("1", 1)]
    assert list(dict.fromkeys(zip(layers["fold"], layers["seed"], strict=True))) == order
    assert list(dict.fromkeys(zip(curves["fold"], curves["seed"], strict=True))) == order
    assert set(layers[layers["fold"] == "all"]["split"]) == {"test"}


def test_a_model_taken_out_of_the_grid_leaves_no_trace(grid):
    run = RunParams(datasets=["handwriting"], models=["small"], folds=[0], seeds=[0])
    assert set(layers_of(grid, run)["model"]) == {"small"}
    assert set(curves_of(grid, run)["cell"]) == {f"{SMALL}/0"}


def test_training_curves_carry_their_cell(grid, run):
    training = curves_of(grid, run)
    assert list(training.columns[:5]) == ["cell", "dataset", "model", "fold", "seed"]
    assert list(training["cell"].unique()) == [
        "handwriting/small/0/0",
        "handwriting/small/0/1",
        "handwriting/small_scratch/0/0",
        "handwriting/small_scratch/0/1",
    ]
    assert training["loss"].notna().all()


def test_the_accuracy_of_a_random_head_is_nowhere(grid, run):
    training, layers = curves_of(grid, run), layers_of(grid, run)
    assert training[training["accuracy"].notna()]["step"].unique().tolist() == [50, 100]
    assert layers[layers["layer"] == HEAD]["step"].unique().tolist() == [50, 100]
    assert sorted(layers["step"].unique()) == [0, 50, 100]


def test_networks_measured_at_step_0_alone_have_no_accuracy(grid, run):
    for path in (grid / "training").rglob("training.csv"):
        pd.read_csv(path).head(1).to_csv(path, index=False)
        seal_training(path)
    for path in (grid / "measures").rglob("layers.csv"):
        table = pd.read_csv(path)
        table[table["step"] == 0].to_csv(path, index=False)
        seal(path.parent)
    assert curves_of(grid, run)["accuracy"].isna().all()
    assert HEAD not in set(layers_of(grid, run)["layer"])


def test_a_frozen_network_stands_beside_fine_tuned_ones(grid, run):
    freeze(grid, "small")
    steps = layers_of(grid, run).groupby("model")["step"].unique()
    assert {model: sorted(found) for model, found in steps.items()} == {"small": [0], "small_scratch": [0, 50, 100]}
    assert curves_of(grid, run).groupby("model")["accuracy"].count().to_dict() == {"small": 0, "small_scratch": 4}


@pytest.mark.parametrize(("folder", "stage"), [("measures", "measure"), ("training", "finetune")])
def test_a_cell_without_results_is_named_with_the_remedy(grid, run, folder, stage):
    shutil.rmtree(grid / folder / SMALL / "1")
    with pytest.raises(UserError, match=rf"small/0/1/digests.json: .*dvc repro .* {stage}@handwriting-small-0-1"):
        layers_of(grid, run)


def test_a_table_of_an_analysis_that_a_cell_lacks_is_named(grid, run):
    with pytest.raises(UserError, match=r"small/0/0/k_sensitivity\.csv: must be a table of k_sensitivity, found none"):
        analyses_of(grid, run, "k_sensitivity")


@pytest.mark.parametrize(
    ("file", "column"),
    [
        (f"measures/{SMALL}/1/layers.csv", "chance"),
        (f"measures/{SMALL}/1/layers.csv", "fold"),
        (f"training/{SMALL}/1/training.csv", "loss"),
        (f"training/{SMALL}/1/training.csv", "fold"),
    ],
)
def test_a_table_of_another_version_is_named(grid, run, file, column):
    pd.read_csv(grid / file).drop(columns=column).to_csv(grid / file, index=False)
    seal_training(grid / file) if "training" in file else seal((grid / file).parent)
    with pytest.raises(UserError, match=rf"lacks {column}: it was written by another version; rerun the .* stage"):
        layers_of(grid, run)


def test_a_table_of_another_cell_is_named(grid, run):
    cells = grid / f"measures/{SMALL}"
    (cells / "1/layers.csv").write_bytes((cells / "0/layers.csv").read_bytes())
    with pytest.raises(UserError, match=r"1/layers\.csv: must be as the measure stage wrote it, found .*; remove"):
        layers_of(grid, run)
    shutil.copytree(cells / "0", cells / "1", dirs_exist_ok=True)
    with pytest.raises(UserError, match=r"1/digests\.json: must be of .* seed 1, found .* seed 0; rerun the measure"):
        layers_of(grid, run)


ONE = RunParams(datasets=["handwriting"], models=["small"], folds=[0], seeds=[0, 1])


def test_tables_of_analyses_are_stacked_and_named_by_their_cell(grid):
    folder = grid / f"measures/{SMALL}"
    (folder / "0/k_sensitivity.csv").write_text(CLUSTERS + "9,unseen,a,0,mean,5,0.5,0.4\n")
    (folder / "1/k_sensitivity.csv").write_text(CLUSTERS + "9,unseen,NA,0,mean,3,0.25,0.2\n")
    seal_all(grid / "measures")
    table = analyses_of(grid, ONE, "k_sensitivity", "ood")["k_sensitivity"]
    assert table[["model", "seed", "layer", "nmi"]].to_numpy().tolist() == [
        ["small", 0, "a", 0.5],
        ["small", 1, "NA", 0.25],
    ]


def test_layers_named_by_numbers_keep_their_names(grid):
    rows = "9,unseen,,0,mean,3,0.5,0.4\n9,unseen,007,0,mean,2,0.4,0.3\n"
    for seed in (0, 1):
        (grid / f"measures/{SMALL}/{seed}/k_sensitivity.csv").write_text(CLUSTERS + rows)
    seal_all(grid / "measures")
    tables = analyses_of(grid, ONE, "k_sensitivity")
    assert tables["k_sensitivity"]["layer"].tolist() == ["", "007"] * 2


def test_a_table_that_was_not_asked_for_is_not_read(grid, run):
    """Not even if it is damaged: a stage that was killed left it."""
    for analysis in ANALYSIS_TABLES:
        (grid / f"measures/{SMALL}/0/{analysis}.csv").write_text("step,split\n")
    for analysis, table in analyses_of(grid, run).items():
        assert (len(table), tuple(table.columns)) == (
            0,
            ("dataset", "model", "fold", "seed", *ANALYSIS_TABLES[analysis]),
        )


def test_a_table_of_an_analysis_of_another_version_is_named(grid, run):
    (grid / f"measures/{SMALL}/0/layer_pairs.csv").write_text("step,split\n")
    seal_all(grid / "measures")
    with pytest.raises(UserError, match=r"layer_pairs\.csv: must have .*lacks layer_a, .*rerun the measure stage"):
        analyses_of(grid, run, "layer_pairs")


def test_galleries_are_those_of_the_grid_in_its_order(tmp_path):
    write_cells(tmp_path, ["handwriting", "digits"], ["small"], [0, 1], folds=["0", "all"], layers=("stem", "head"))
    run = RunParams(datasets=["digits"], models=["small"], folds=["all", 0], seeds=[1, 0])
    galleries = read_galleries(tmp_path / "measures", run)
    assert list(galleries) == [("digits", "small", fold, seed) for fold in ("all", "0") for seed in (1, 0)]
    assert [len(table) for table in galleries.values()] == [0, 0, 3 * 20, 3 * 20]  # the raw pixels are a layer, too
    first = galleries["digits", "small", "0", 1].iloc[0]
    assert (first["layer"], first["sample_id"], first["neighbours"][-1]) == ("pixels", "unseen/0", "unseen/9")
    assert list(read_all_thumbnails(tmp_path / "thumbnails", run)) == ["digits"]


def test_a_gallery_of_another_cell_is_named(grid, run):
    cells = grid / f"measures/{SMALL}"
    (cells / "1/gallery.parquet").write_bytes((cells / "0/gallery.parquet").read_bytes())
    with pytest.raises(UserError, match=r"1/gallery\.parquet: must be as the measure stage wrote it, found .*; remove"):
        read_galleries(grid / "measures", run)


def test_thumbnails_that_are_missing_are_named(grid, run):
    (grid / "thumbnails/handwriting/thumbnails.parquet").unlink()
    with pytest.raises(UserError, match=r"handwriting/thumbnails.parquet: .*found no file; .* rerun the prepare stage"):
        read_all_thumbnails(grid / "thumbnails", run)
