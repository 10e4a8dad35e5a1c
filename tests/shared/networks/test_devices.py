import pytest
import torch

from stages.shared.networks.device import DEVICE, PRECISION, choose_device
from stages.shared.runtime.errors import UserError


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVICE, "cpu")
    monkeypatch.delenv(PRECISION, raising=False)


def dtype_under_autocast() -> torch.dtype:
    with choose_device().autocast():
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_a_cpu_computes_in_full_precision():
    assert choose_device().device.type == "cpu"
    assert dtype_under_autocast() == torch.float32
    assert not choose_device().scaler().is_enabled()


def test_the_environment_chooses_the_precision(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PRECISION, "bf16")
    assert dtype_under_autocast() == torch.bfloat16


def test_a_gpu_computes_in_fp16_with_a_scaled_loss_unless_the_environment_says_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda", 0))
    assert choose_device().device.type == "cpu"
    monkeypatch.delenv(DEVICE)
    compute = choose_device()
    assert (compute.device.type, compute.precision) == ("cuda", "fp16")


def test_a_run_goes_on_only_under_the_same_versions_of_all_that_is_imported():
    libraries = choose_device().facts["libraries"]
    assert isinstance(libraries, dict)
    assert libraries.keys() >= {"torch", "numpy"}
    assert "sys" not in libraries


@pytest.mark.parametrize(("name", "value"), [(DEVICE, "gpu"), (PRECISION, "float16"), (PRECISION, "fp16")])
def test_what_the_machine_lacks_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"{name}: .* {value!r}"):
        choose_device()
