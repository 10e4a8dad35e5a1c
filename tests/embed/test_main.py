import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from ruamel.yaml import YAML

from stages.embed.__main__ import main
from stages.shared.checkpoints import CheckpointInfo, write_checkpoint
from stages.shared.console import UserError
from stages.shared.embedding_store import open_embeddings
from stages.shared.networks.build import build_network
from stages.shared.networks.params import NetworkParams
from tests.packed import SEEN, pack

ROOT = Path(__file__).parents[2]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
TINY = {"library": "timm", "name": "test_vit.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
EMBED = {
    "splits": ["test", "unseen"], "pooling": ["auto", "mean"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 5, "train_per_class": 3,
    "corruptions": {"kinds": ["blur", "contrast"], "severities": [2], "per_class": 2},
}  # fmt: skip


def setup(folder: Path, *, layers: Any = "default", **changes: Any) -> list[str]:
    """Write params, images and two checkpoints; return the entry point's arguments."""
    params: dict[str, Any] = {key: {} for key in ("run", "datasets", "prepare", "finetune", "measure", "aggregate")}
    params["embed"] = {**EMBED, **changes}
    params["models"] = {"tiny": {"network": TINY, "taps": {"layers": layers}}}
    YAML(typ="safe").dump(params, folder / "params.yaml")
    pack(folder / "prepared")
    network = NetworkParams.model_validate(TINY)
    for step in (0, 50):
        info = CheckpointInfo(step, SEEN, network.model_dump(), {"degrees": 10.0, "padding": 20})
        write_checkpoint(folder / "weights", build_network(network, 3, seed=step).module.state_dict(), info)
    cell = ["--dataset", "trees", "--model", "tiny", "--seed", "3", "--params", str(folder / "params.yaml")]
    paths = {"prepared": "prepared", "weights": "weights", "out": "embeddings"}
    return cell + [part for flag, name in paths.items() for part in (f"--{flag}", str(folder / name))]


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["embed", *arguments])
    main()


def test_a_cell_is_embedded(tmp_path: Path):
    command = [sys.executable, "-m", "stages.embed", *setup(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True, check=True).stdout
    store = open_embeddings(tmp_path / "embeddings")
    assert said.startswith(
        f"embed trees-tiny-3: 22 images at {len(store.layers)} layers and 2 checkpoints, 21 more at the last, "
    )
    assert store.last_step is not None
    assert store.last_step.samples.split.value_counts().to_dict() == {"train": 9, "blur_2": 6, "contrast_2": 6}
    assert [layer.depth for layer in store.layers] == sorted(layer.depth for layer in store.layers)
    assert {layer.pooling for layer in store.layers} == {"none", "class_token", "mean"}
    assert store.layers[1].parameters < store.layers[-1].parameters
    for layer in store.layers[1:]:
        first, second = (store.features(layer, step, "unseen") for step in (0, 50))
        assert first.shape == (10, layer.width)
        assert not np.allclose(first, second)
        assert first.std(axis=0).max() > 0
    with xarray.open_zarr(tmp_path / "embeddings", consolidated=False) as data:
        assert data[store.layers[-1].name].sizes["step"] == 2
        assert data.logits.sizes == {"step": 2, "sample": 22, "class": 3}
    with xarray.open_zarr(tmp_path / "embeddings", group="last_step", consolidated=False) as data:
        assert data.logits.sizes == {"step": 1, "sample": 21, "class": 3}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"splits": ["test", "unseeen"]},
            r"embed\.splits\.1: Input should be 'train', 'test' or 'unseen'; found 'unseeen'",
        ),
        ({"layers": ["blocks.O"]}, r"blocks\.O"),
        ({"baseline": 3}, r"embed\.baseline is not a parameter: did you mean 'baseline_size'"),
    ],
)
def test_wrong_params_leave_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: str
):
    with pytest.raises(UserError, match=expected):
        run(setup(tmp_path, **changes), monkeypatch)
    assert not (tmp_path / "embeddings").exists()


def test_a_split_without_images_and_missing_inputs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = setup(tmp_path)
    pack(tmp_path / "few", unseen=0)
    few = [str(tmp_path / "few") if part.endswith("prepared") and part != "--prepared" else part for part in arguments]
    with pytest.raises(UserError, match=r"embed\.splits asks for 'unseen', of which this dataset has no images"):
        run(few, monkeypatch)
    pack(tmp_path / "untrained", train=0)
    untrained = [str(tmp_path / "untrained") if p.endswith("prepared") and p != "--prepared" else p for p in arguments]
    with pytest.raises(UserError, match=r"embed\.train_per_class asks for 'train', of which this dataset has no"):
        run(untrained, monkeypatch)
    nowhere = [str(tmp_path / "nowhere") if part == str(tmp_path / "weights") else part for part in arguments]
    with pytest.raises(UserError, match=r"must hold step_\*\.safetensors, found none; run the finetune stage"):
        run(nowhere, monkeypatch)


def test_an_existing_store_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = setup(tmp_path)
    (tmp_path / "embeddings" / "other").mkdir(parents=True)
    with pytest.raises(UserError, match="embeddings: must not exist before the stage has run; remove it"):
        run(arguments, monkeypatch)
