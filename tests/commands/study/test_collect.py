"""Collecting a study: finished cells are copied, others are named."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from stages.commands.study.collect import collect, collect_cell
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import COLUMNS, read_records, write_records
from tests.sealed import seal

ROOT = Path(__file__).parents[3]


def test_finished_cells_are_collected_and_missing_ones_named(tmp_path: Path):
    params = YAML().load(ROOT / "params.yaml")
    params["run"] |= {"folds": [0], "seeds": [0, 1]}
    YAML().dump(params, tmp_path / "params.yaml")
    cell = tmp_path / "measures" / "handwriting" / "efficientnet_lite0" / "0" / "1"
    row = {"dataset": "handwriting", "model": "efficientnet_lite0", "fold": "0", "seed": 1, "step": 9,
           "split": "unseen", "layer": "l", "depth": 0, "pooling": "mean", "metric": "nmi", "value": 0.25}  # fmt: skip
    write_records(cell / "layers.csv", pd.DataFrame([row]).reindex(columns=list(COLUMNS)))
    pd.DataFrame({"step": [0, 9, 9], "sample_id": ["a", "a", "b"], "nn1_accuracy": [0.0, 1.0, 0.0]}).to_parquet(
        cell / "images.parquet"
    )
    (cell / "class_subsets.csv").write_text("left_out,value\na;b,0.5\n")
    (cell / "refits.parquet").write_bytes(b"fitted again")
    seal(cell)
    outdated = tmp_path / "study/layer_pairs/handwriting-efficientnet_lite0-0-1.csv"
    outdated.parent.mkdir(parents=True)
    outdated.write_text("cka\n1.0\n")
    paths = ["study", "--measures", "measures", "--params", "params.yaml"]
    args = [word if word.startswith("--") else str(tmp_path / word) for word in paths]
    printed = CliRunner().invoke(collect, args, catch_exceptions=False).output
    assert "1 of 2 cells" in printed
    assert "missing: handwriting-efficientnet_lite0-0-0\n" in printed
    assert read_records(tmp_path / "study/cells/handwriting-efficientnet_lite0-0-1.csv")["value"].tolist() == [0.25]
    images = pd.read_parquet(tmp_path / "study/images/handwriting-efficientnet_lite0-0-1.parquet")
    assert images.to_dict("list") == {"sample_id": ["a", "b"], "nn1_accuracy": [1.0, 0.0]}
    collected = tmp_path / "study/class_subsets/handwriting-efficientnet_lite0-0-1.csv"
    assert collected.read_text() == "left_out,value\na;b,0.5\n"
    assert (tmp_path / "study/refits/handwriting-efficientnet_lite0-0-1.parquet").read_bytes() == b"fitted again"
    assert not (tmp_path / "study/k_sensitivity").exists()
    assert not outdated.exists()


def test_a_cell_without_its_images_is_an_error(tmp_path: Path):
    write_records(tmp_path / "layers.csv", pd.DataFrame(columns=list(COLUMNS)))
    with pytest.raises(UserError, match=r"images.parquet: must be a Parquet table, .* run the measure stage again"):
        collect_cell(tmp_path, tmp_path / "study", "a-b-0")
    assert not (tmp_path / "study").exists()
