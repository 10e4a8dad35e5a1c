from collections.abc import Iterator

import pytest
import torch
from accelerate.state import AcceleratorState

from stages.shared.networks import network
from stages.shared.networks.network import choose_device, computing
from stages.shared.runtime.errors import UserError


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    """Accelerate keeps one state per process: let each test choose anew, and leave none behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def dtype_under_autocast() -> torch.dtype:
    with choose_device().autocast():
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_a_cpu_computes_in_full_precision(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    assert choose_device().device.type == "cpu"
    assert dtype_under_autocast() == torch.float32


def test_the_environment_chooses_the_precision(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert dtype_under_autocast() == torch.bfloat16


def test_a_run_goes_on_only_under_the_same_versions_of_all_that_is_imported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    libraries = computing(choose_device())["libraries"]
    assert isinstance(libraries, dict)
    assert libraries.keys() >= {"torch", "accelerate", "numpy"}
    assert "sys" not in libraries


def test_a_precision_that_is_not_supported_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "float16")
    with pytest.raises(
        UserError,
        match=r"ACCELERATE_MIXED_PRECISION=float16 is not supported on this device .*; unset it",
    ):
        choose_device()


def test_processes_of_a_launcher_that_do_not_join_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(network, "LAUNCHED", True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)  # an MPS
    with pytest.raises(UserError, match=r"a launcher's 2 processes must join, .*; set ACCELERATE_USE_CPU=true, or"):
        choose_device(several=True)
