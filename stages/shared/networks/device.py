"""Where a network runs, and how exactly: chosen by the machine and the environment, never by params.yaml.

Both may move the last digits of a result, and nothing else. `WHICHLAYER_DEVICE` (cpu) and `WHICHLAYER_PRECISION` (no,
fp16, bf16) override what is chosen here.
"""

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from ..runtime.errors import check_known
from ..workflow.versions import library_versions

DEVICE, PRECISION = "WHICHLAYER_DEVICE", "WHICHLAYER_PRECISION"

FULL = "no"
MIXED = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: where tensors lie.
        precision: `no` mixed precision, `fp16` or `bf16`.
    """

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a network's forward pass."""
        return nullcontext() if self.precision == FULL else torch.autocast(self.device.type, MIXED[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        """Return what scales a loss whose gradients would underflow in fp16; it does nothing in another precision."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    @property
    def facts(self) -> dict[str, object]:
        """What of a machine and its installation may decide the last digits of a result, in plain values."""
        return {
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "processor": [platform.machine(), processor_name(), torch.backends.cpu.get_cpu_capability()],
            "libraries": library_versions(*{name.partition(".")[0] for name in sys.modules}),
        }


def choose_device() -> Compute:
    """Choose the device, with fp16 mixed precision on a CUDA device and full precision elsewhere.

    Raises:
        UserError: the environment asks for a device that the machine lacks, or for a precision that the device lacks.
    """
    torch.backends.cudnn.deterministic = True
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    best = found.type if found else "cpu"
    device = os.environ.get(DEVICE) or best
    check_known(device, dict.fromkeys([best, "cpu"]), f"{DEVICE}: this machine has no device {device!r}")
    precision = os.environ.get(PRECISION) or ("fp16" if device == "cuda" else FULL)
    choices = [FULL, "bf16"] if device == "cpu" else [FULL, *MIXED]
    check_known(precision, choices, f"{PRECISION}: {device} has no mixed precision {precision!r}")
    return Compute(torch.device(device), precision)


def processor_name() -> str:
    """Return the CPU's name, as far as the system knows it."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.is_file() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())
