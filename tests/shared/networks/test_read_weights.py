"""Files of weights that are damaged, or made to do harm: tensors or one message."""

import errno
import hashlib
import json
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from stages.shared.networks.params import WeightsParams
from stages.shared.networks.weights import read_file
from stages.shared.runtime.errors import UserError, explain_system_error, printable
from tests.faults.archives import damaged
from tests.faults.pickles import Evil

STATE = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3)}


def read(path: Path) -> dict[str, Tensor]:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return read_file(WeightsParams(source="file", path=str(path), sha256=sha256))


def write(path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=path.suffix == ".pth")
    return path


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(suffix=st.sampled_from([".safetensors", ".pth", ".pt"]), seed=st.integers(0, 2**32))
def test_a_damaged_file_is_tensors_or_one_message(tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int):
    path = write(tmp_path_factory.getbasetemp() / f"weights{suffix}")
    path.write_bytes(damaged(path.read_bytes(), seed))
    try:
        state = read(path)
    except UserError as error:
        said = printable(str(error))
        assert "weights.path" in said
        assert "weights_only" not in said
        return
    assert all(isinstance(tensor, Tensor) for tensor in state.values())


@pytest.mark.parametrize(
    "header",
    [
        "{}" * 30,
        "[1]",
        '{"a": 1}',
        '{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4000000000000]}}',
        '{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}',
        '{"a": ' * 5000,
    ],
)
def test_a_header_that_lies_is_one_message(tmp_path: Path, header: str):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(4))
    with pytest.raises(UserError, match=r"weights\.path: .*w\.safetensors: must be a (whole )?safetensors"):
        read(path)


def test_a_header_of_more_bytes_than_there_are_is_not_believed(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + json.dumps({"a": 1}).encode())
    with pytest.raises(UserError, match="must be a whole safetensors file"):
        read(path)


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle"])
def test_no_object_is_made(tmp_path: Path, how: str):
    content: Any = {"state_dict": STATE, "epoch": Evil(tmp_path / "executed")}
    path = tmp_path / "w.pth"
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(UserError, match=r"weights\.path: .* must (hold only tensors|be a whole torch file)"):
        read(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("w.pth", MemoryError(), r"^weights\.path: .*w\.pth: not enough memory"),
        ("w.pth", RuntimeError("can't allocate memory: you tried to allocate 9 bytes"), "not enough memory"),
        ("w.pth", OSError(errno.EMFILE, "x", "w.pth"), r"^w\.pth: too many files are open"),
        ("w.safetensors", SafetensorError("x (os error 12)"), r"^weights\.path: .*w\.safetensors: not enough memory"),
        ("w.safetensors", SafetensorError("x (os error 24)"), r"w\.safetensors: too many files are open"),
    ],
)
def test_what_the_machine_lacks_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, said: str
):
    def fail(*_: object, **__: object) -> None:
        raise error

    path = write(tmp_path / name)
    monkeypatch.setattr(torch, "load", fail)
    monkeypatch.setattr("stages.shared.networks.weights.load_file", fail)
    with pytest.raises(type(error)) as caught:
        read(path)
    assert re.search(said, explain_system_error(caught.value) or "")
