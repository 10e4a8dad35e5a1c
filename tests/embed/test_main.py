import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from ruamel.yaml import YAML

from stages.embed.__main__ import main
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint
from stages.shared.runtime.errors import UserError
from tests.entry_point import run_stage
from tests.packed import SEEN, UNSEEN, pack, write_fold_all

TINY = {"library": "timm", "name": "test_vit.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
EMBED = {
    "splits": ["test", "unseen"], "pooling": ["auto", "mean"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 5, "train_per_class": 3,
}  # fmt: skip


def setup(folder: Path, *, layers: Any = "default", frozen: bool = False, **changes: Any) -> list[str]:
    """Write params, images and two checkpoints; return the entry point's arguments."""
    params: dict[str, Any] = {key: {} for key in ("run", "datasets", "prepare", "measure", "aggregate")}
    params["embed"] = {**EMBED, **changes}
    params["finetune"] = {"steps": [0, 50], "keep": "all", "learning_rate": 0.1}
    entry = {**TINY, "frozen": frozen}
    params["models"] = {"tiny": {"network": entry, "taps": {"layers": layers}}}
    folder.mkdir(exist_ok=True)
    YAML(typ="safe").dump(params, folder / "params.yaml")
    pack(folder / "prepared")
    network = NetworkParams.model_validate(entry)
    for step in (0,) if frozen else (0, 50):
        augment = {"degrees": 10.0, "padding": 20}
        info = CheckpointInfo(step, () if frozen else SEEN, network.model_dump(), augment, {"timm": "0.1"})
        built = build_network(network, 3, seed=step)
        write_checkpoint(folder / "weights", built.body_state() if frozen else built.module.state_dict(), info)
    finish_checkpoints(folder / "weights", ("trees", "tiny", "0", 3))
    cell = ["--dataset", "trees", "--model", "tiny", "--fold", "0", "--seed", "3"]
    cell += ["--params", str(folder / "params.yaml")]
    paths = {"prepared": "prepared", "weights": "weights", "out": "embeddings"}
    return cell + [part for flag, name in paths.items() for part in (f"--{flag}", str(folder / name))]


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["embed", *arguments])
    main()


def test_a_cell_is_embedded(tmp_path: Path):
    said = run_stage("embed", *setup(tmp_path)).stdout
    store = open_embeddings(tmp_path / "embeddings")
    assert said.startswith(
        f"embed trees-tiny-0-3: 22 images at {len(store.layers)} layers and 2 checkpoints, 9 more at the last, "
    )
    assert store.last_step is not None
    assert store.last_step.samples.split.value_counts().to_dict() == {"train": 9}
    assert [layer.depth for layer in store.layers] == sorted(layer.depth for layer in store.layers)
    assert {layer.pooling for layer in store.layers} == {"none", "class_token", "mean"}
    assert store.layers[1].parameters < store.layers[-1].parameters
    assert 0 == store.layers[0].operations < store.layers[1].operations < store.layers[-1].operations
    for layer in store.layers[1:]:
        first, second = (store.features(layer, step, "unseen") for step in (0, 50))
        assert first.shape == (10, layer.width)
        assert not np.allclose(first, second)
        assert first.std(axis=0).max() > 0
    with xarray.open_zarr(tmp_path / "embeddings", consolidated=False) as data:
        assert data[store.layers[-1].name].sizes["step"] == 2
        assert data.logits.sizes == {"step": 2, "sample": 22, "class": 3}
    with xarray.open_zarr(tmp_path / "embeddings", group="last_step", consolidated=False) as data:
        assert data.logits.sizes == {"step": 1, "sample": 9, "class": 3}


def test_fold_all_is_embedded_without_unseen_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    arguments = setup(tmp_path)
    write_fold_all(tmp_path / "prepared")
    network, everything = NetworkParams.model_validate(TINY), tuple(sorted((*SEEN, *UNSEEN)))
    for step in (0, 50):
        info = CheckpointInfo(step, everything, network.model_dump(), {"degrees": 10.0, "padding": 20})
        write_checkpoint(tmp_path / "weights", build_network(network, 5, seed=step).module.state_dict(), info)
    finish_checkpoints(tmp_path / "weights", ("trees", "tiny", "all", 3))
    arguments[arguments.index("--fold") + 1] = "all"
    run(arguments, monkeypatch)
    store = open_embeddings(tmp_path / "embeddings")
    assert (store.cell, store.splits) == (("trees", "tiny", "all", 3), ("test",))
    assert sorted(set(store.labels("test"))) == list(everything)
    assert store.last_step is not None
    assert store.last_step.splits == ("train",)
    assert "left out: embed.splits, since fold all has no unseen images" in capsys.readouterr().out


def test_the_store_says_with_which_libraries_its_images_were_decoded_and_its_network_was_trained_and_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(setup(tmp_path), monkeypatch)
    now = {name: version(name).partition("+")[0] for name in ("timm", "torch")}
    made_with = {"prepare": {"pillow": version("pillow")}, "finetune": {"timm": "0.1"}, "embed": now}
    assert open_embeddings(tmp_path / "embeddings").made_with == made_with


def test_checkpoints_that_changed_places_or_are_of_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = setup(tmp_path)
    first, last = (tmp_path / "weights" / f"step_0000{step}.safetensors" for step in ("00", "50"))
    shutil.copy(first, last)
    with pytest.raises(UserError, match=r"step_000050\.safetensors: must be as the finetune stage wrote it, found"):
        run(arguments, monkeypatch)
    finish_checkpoints(tmp_path / "weights", ("trees", "tiny", "0", 4))
    with pytest.raises(UserError, match=r"digests\.json: must be of dataset trees, .* seed 3, found .* seed 4;"):
        run(arguments, monkeypatch)


def test_a_frozen_network_has_no_logits_and_step_0_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(setup(tmp_path / "frozen", frozen=True), monkeypatch)
    run(setup(tmp_path / "tuned"), monkeypatch)
    frozen, tuned = (open_embeddings(tmp_path / name / "embeddings") for name in ("frozen", "tuned"))
    assert (frozen.steps, frozen.classes, frozen.layers) == ((0,), (), tuned.layers)
    assert frozen.last_step is not None
    assert (frozen.last_step.classes, frozen.last_step.splits) == ((), ("train",))
    for layer in frozen.layers:
        for split in ("test", "unseen"):
            np.testing.assert_array_equal(frozen.features(layer, 0, split), tuned.features(layer, 0, split))
    with xarray.open_zarr(tmp_path / "frozen" / "embeddings", consolidated=False) as data:
        assert "logits" not in data
        assert data.attrs["frozen"] is True


def test_a_frozen_network_is_embedded_on_unseen_classes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    arguments = setup(tmp_path, frozen=True)
    shutil.rmtree(tmp_path / "prepared")
    pack(tmp_path / "prepared", train=0, test=0)
    run(arguments, monkeypatch)
    store = open_embeddings(tmp_path / "embeddings")
    assert (store.splits, store.last_step) == (("unseen",), None)
    said = capsys.readouterr().out
    for phrase in (
        "embed.splits, since fold 0 has no test images",
        "embed.train_per_class, since fold 0 has no train",
    ):
        assert f"left out: {phrase}" in said


def test_the_head_of_a_frozen_network_is_no_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match=r"'head' is or holds the classification head \(head\), which a frozen"):
        run(setup(tmp_path, frozen=True, layers=["blocks.0", "head"]), monkeypatch)
