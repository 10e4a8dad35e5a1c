"""Collecting a study: finished cells are copied, others are named."""

from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from docs.tools import collect
from stages.shared.tables.metric_table import COLUMNS, read_layer_scores, write_layer_scores
from tests.sealed import seal

ROOT = Path(__file__).parents[2]


def test_finished_cells_are_collected_and_missing_ones_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    params = YAML().load(ROOT / "params.yaml")
    params["run"] |= {"folds": [0], "seeds": [0, 1]}
    YAML().dump(params, tmp_path / "params.yaml")
    cell = tmp_path / "measures" / "handwriting" / "efficientnet_lite0" / "0" / "1"
    row = {"dataset": "handwriting", "model": "efficientnet_lite0", "fold": "0", "seed": 1, "step": 9,
           "split": "unseen", "layer": "l", "depth": 0, "pooling": "mean", "metric": "nmi", "value": 0.25}  # fmt: skip
    write_layer_scores(cell / "layers.csv", pd.DataFrame([row]).reindex(columns=list(COLUMNS)))
    pd.DataFrame({"step": [0, 9, 9], "sample_id": ["a", "a", "b"], "nn1_accuracy": [0.0, 1.0, 0.0]}).to_parquet(
        cell / "images.parquet"
    )
    (cell / "k_sensitivity.csv").write_text("left_out,value\na;b,0.5\n")
    (cell / "refits.parquet").write_bytes(b"fitted again")
    seal(cell)
    outdated = tmp_path / "study/layer_pairs/handwriting-efficientnet_lite0-0-1.csv"
    outdated.parent.mkdir(parents=True)
    outdated.write_text("cka\n1.0\n")
    monkeypatch.setattr(collect, "stage_path", lambda stage, option: tmp_path / "measures")
    collect.main([str(tmp_path / "study"), "--params", str(tmp_path / "params.yaml")])
    printed = capsys.readouterr().out
    assert "1 of 2 cells" in printed
    assert "missing: handwriting-efficientnet_lite0-0-0\n" in printed
    assert read_layer_scores(tmp_path / "study/cells/handwriting-efficientnet_lite0-0-1.csv")["value"].tolist() == [
        0.25
    ]
    images = pd.read_parquet(tmp_path / "study/images/handwriting-efficientnet_lite0-0-1.parquet")
    assert images.to_dict("list") == {"sample_id": ["a", "b"], "nn1_accuracy": [1.0, 0.0]}
    collected = tmp_path / "study/k_sensitivity/handwriting-efficientnet_lite0-0-1.csv"
    assert collected.read_text() == "left_out,value\na;b,0.5\n"
    assert (tmp_path / "study/refits/handwriting-efficientnet_lite0-0-1.parquet").read_bytes() == b"fitted again"
    assert not outdated.exists()
