import json
from pathlib import Path

import torch
from safetensors import safe_open

from stages.shared.networks.weights import CheckpointInfo, read_info, read_state, write_checkpoint

NETWORK = {"library": "timm", "name": "lite0", "weights": {"source": "none", "name": None}, "image_size": 64}
INFO = CheckpointInfo(100, ("ash", "birch"), NETWORK, {"degrees": 10.0, "padding": 20})


def state() -> dict[str, torch.Tensor]:
    weight = torch.arange(24.0).reshape(2, 3, 2, 2)
    return {
        "weight": weight.to(memory_format=torch.channels_last),
        "tied": weight,
        "count": torch.tensor(3),
        "half": weight.half(),
    }


def test_tensors_and_info_come_back(tmp_path: Path):
    path = write_checkpoint(tmp_path / "new", state(), INFO)
    assert path.name == "step_000100.safetensors"
    assert read_info(path) == INFO
    found = read_state(path)
    assert found.keys() == state().keys()
    for name, tensor in state().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_equal_checkpoints_are_byte_identical_whatever_the_order_of_keys(tmp_path: Path):
    a = write_checkpoint(tmp_path / "a", state(), INFO)
    turned = CheckpointInfo(100, INFO.classes, dict(reversed(NETWORK.items())), dict(reversed(INFO.augment.items())))
    b = write_checkpoint(tmp_path / "b", dict(reversed(state().items())), turned)
    assert a.read_bytes() == b.read_bytes()


def test_the_metadata_is_one_key(tmp_path: Path):
    with safe_open(write_checkpoint(tmp_path, state(), INFO), framework="pt") as file:
        assert list(file.metadata()) == ["whichlayer"]
        assert json.loads(file.metadata()["whichlayer"])["format"] == "whichlayer.checkpoint/1"


def test_names_of_files_sort_by_step(tmp_path: Path):
    for step in (1000, 0, 200):
        write_checkpoint(tmp_path, state(), CheckpointInfo(step, (), {}, {}))
    assert [read_info(path).step for path in sorted(tmp_path.iterdir())] == [0, 200, 1000]
