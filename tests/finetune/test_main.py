import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML

from stages.finetune import cell
from stages.finetune.__main__ import main
from stages.shared.images.image_store import open_images, write_fold
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import read_info, read_state
from stages.shared.runtime.errors import UserError
from tests.packed import SEEN, pack, write_fold_all

ROOT = Path(__file__).parents[2]
TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
FINETUNE = {
    "steps": [0, 2, 5], "keep": "all", "schedule_epochs": 4, "schedule_steps": None, "learning_rate": 0.002,
    "batch_size": 7, "weight_decay": 0.0, "clip_norm": 1.0, "augment": {"degrees": 10.0, "padding": 20},
}  # fmt: skip


def written(folder: Path) -> list[Path]:
    """Checkpoints in a folder, by step."""
    return sorted(folder.glob("step_*.safetensors"))


def setup(folder: Path, model: dict[str, Any] | None = None, /, **changes: Any) -> list[str]:
    """Write params and images; return the entry point's arguments."""
    params: dict[str, Any] = {key: {} for key in ("run", "datasets", "prepare", "embed", "measure", "aggregate")}
    params["finetune"] = {**FINETUNE, **changes}
    params["models"] = {"tiny": {"network": {**TINY, **(model or {})}, "taps": {"layers": "default"}}}
    YAML(typ="safe").dump(params, folder / "params.yaml")
    if not (folder / "prepared").exists():
        pack(folder / "prepared")
    cell = ["--dataset", "trees", "--model", "tiny", "--fold", "0", "--seed", "3"]
    cell += ["--params", str(folder / "params.yaml")]
    return [*cell, "--prepared", str(folder / "prepared"), *outputs(folder, "out")]


def outputs(folder: Path, name: str) -> list[str]:
    return ["--weights", str(folder / name / "weights"), "--history", str(folder / name / "training" / "training.csv")]


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["finetune", *arguments])
    main()


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path: Path):
    arguments = setup(tmp_path)[:-4]
    command = [sys.executable, "-m", "stages.finetune", *arguments]
    processes = [
        subprocess.Popen([*command, *outputs(tmp_path, name)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    files = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab"
    ]
    assert files[0] == files[1]
    assert sorted(map(str, files[0])) == [
        "training/digests.json",
        "training/training.csv",
        "weights/digests.json",
        *(f"weights/step_{step:06}.safetensors" for step in (0, 2, 5)),
    ]
    assert said[0].startswith("finetune trees-tiny-0-3: 3 checkpoints, 5 optimizer steps, test accuracy ")


def test_checkpoints_say_what_is_needed_to_build_and_feed_their_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run([*setup(tmp_path), "--log", str(tmp_path / "log.jsonl")], monkeypatch)
    paths = written(tmp_path / "out" / "weights")
    infos = [read_info(path) for path in paths]
    assert [info.step for info in infos] == [0, 2, 5]
    assert infos[1].classes == SEEN
    assert infos[1].augment == {"degrees": 10.0, "padding": 20}
    assert infos[1].versions == {name: version(name).partition("+")[0] for name in ("timm", "torch")}
    params = NetworkParams.model_validate(infos[1].network)
    network = build_network(params, len(SEEN), seed=3, load_weights=False)
    first = read_state(paths[0])
    assert all(torch.equal(tensor, first[name]) for name, tensor in network.module.state_dict().items())
    assert network.module.load_state_dict(read_state(paths[2]))
    table = pd.read_csv(tmp_path / "out" / "training" / "training.csv")
    assert table.step.tolist() == [0, 2, 5]
    assert set(table.seed) == {3}
    assert table.accuracy.between(0, 1).all()
    assert json.loads((tmp_path / "log.jsonl").read_text())["cell"] == "trees-tiny-0-3"


def test_keeping_the_last_checkpoint_keeps_all_accuracies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(setup(tmp_path, keep="last"), monkeypatch)
    assert [read_info(p).step for p in written(tmp_path / "out" / "weights")] == [5]
    assert pd.read_csv(tmp_path / "out" / "training" / "training.csv").accuracy.notna().tolist() == [True, True, True]


def test_another_fold_is_another_network_of_its_own_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = setup(tmp_path, steps=[0])
    run(arguments, monkeypatch)
    write_fold(tmp_path / "prepared", "1", open_images(tmp_path / "prepared", "0").manifest)
    write_fold_all(tmp_path / "prepared")
    for fold in ("1", "all"):
        other = [*arguments[:-4], *outputs(tmp_path, fold)]
        other[other.index("--fold") + 1] = fold
        run(other, monkeypatch)
        assert set(pd.read_csv(tmp_path / fold / "training" / "training.csv", dtype=str).fold) == {fold}
    same, one, whole = (written(tmp_path / name / "weights")[0] for name in ("out", "1", "all"))
    assert (read_info(one).classes, len(read_info(whole).classes)) == (SEEN, 5)
    assert not torch.equal(read_state(same)["fc.weight"], read_state(one)["fc.weight"])


@pytest.mark.parametrize(
    ("model", "changes", "expected"),
    [
        (
            {},
            {"steps": [0, 17]},
            r"schedule's length of 16 optimizer steps \(4 epochs of 4 batches, from 24 train images by 7\)",
        ),
        ({"epochs": 1}, {}, r"schedule's length of 4 optimizer steps .* found 5"),
        ({}, {"stepz": [0]}, r"finetune\.stepz is not a parameter: did you mean 'steps'"),
        ({"image_size": 3}, {}, r"models\.tiny\.network\.image_size: Input should be greater than or equal to 8"),
    ],
)
def test_wrong_params_fail_before_a_network_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], changes: dict[str, Any], expected: str
):
    monkeypatch.setattr(cell, "build_network", lambda *_, **__: pytest.fail("a network was built"))
    with pytest.raises(UserError, match=expected):
        run(setup(tmp_path, model, **changes), monkeypatch)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_images_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str):
    pack(tmp_path / "prepared", **{split: 0})
    with pytest.raises(UserError, match=f"fine-tuning needs {split} images, found none"):
        run(setup(tmp_path), monkeypatch)


def test_weights_that_are_nan_stop_before_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def poisoned(*args: Any, **kwargs: Any) -> Network:
        network = build_network(*args, **kwargs)
        next(network.module.parameters()).data.fill_(float("nan"))
        return network

    monkeypatch.setattr(cell, "build_network", poisoned)
    with pytest.raises(UserError, match="training diverged: the network's logits of test images are NaN"):
        run(setup(tmp_path), monkeypatch)
    assert not (tmp_path / "out").exists()


def test_a_frozen_network_is_written_as_it_is_without_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    run(setup(tmp_path, {"frozen": True}), monkeypatch)
    assert "finetune trees-tiny-0-3: 1 checkpoint, measured as it is (frozen), " in capsys.readouterr().out
    [path] = written(tmp_path / "out" / "weights")
    info, state = read_info(path), read_state(path)
    assert (info.step, info.classes, info.network["frozen"]) == (0, (), True)
    table = pd.read_csv(tmp_path / "out" / "training" / "training.csv")
    assert table.step.tolist() == [0]
    assert table[["loss", "accuracy", "learning_rate"]].isna().all(axis=None)
    tuned = setup(tmp_path, steps=[0])[:-4]
    run([*tuned, *outputs(tmp_path, "tuned")], monkeypatch)
    other = read_state(written(tmp_path / "tuned" / "weights")[0])
    assert sorted(other.keys() - state.keys()) == ["fc.bias", "fc.weight"]
    assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())


def test_unseen_classes_alone_suffice_for_a_frozen_network_and_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pack(tmp_path / "prepared", train=0, test=0)
    with pytest.raises(UserError, match=r"at least 2 seen classes, found none; .* models\.tiny\.network\.frozen: true"):
        run(setup(tmp_path), monkeypatch)
    run(setup(tmp_path, {"frozen": True}), monkeypatch)
    assert len(written(tmp_path / "out" / "weights")) == 1
