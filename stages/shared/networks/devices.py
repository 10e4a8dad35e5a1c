"""The device and precision to compute with: from the machine and the environment, never from params.yaml.

They may move the last digits of a result, and nothing else; `ACCELERATE_MIXED_PRECISION` (no, fp16, bf16) and
`ACCELERATE_USE_CPU` (true) override what is chosen here. A launcher (`stages/shared/runtime/launch.py`) may start
several processes, each with a device of its own.
"""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, distributed

from stages.shared.runtime.errors import UserError

T = TypeVar("T")


def choose_device(*, several: bool = False) -> Accelerator:
    """Choose the device, with fp16 mixed precision on a CUDA device and full precision elsewhere.

    Args:
        several: whether the work can be shared by several processes.

    Raises:
        UserError: the environment asks for a precision that the device lacks, or for more processes than may be.
    """
    torch.backends.cudnn.deterministic = True
    wished = os.environ.get("ACCELERATE_MIXED_PRECISION", "")
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in {"1", "true", "yes"}
    precision = wished or ("fp16" if torch.cuda.is_available() and not on_cpu else "no")
    try:
        accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)
    except ValueError as error:
        raise UserError(
            f"ACCELERATE_MIXED_PRECISION={precision} is not supported on this device ({error}); unset it, or set it "
            "to `no`"
        ) from None
    if accelerator.num_processes > 1 and not several:
        raise UserError(f"this runs in one process, found a launcher with {accelerator.num_processes}; start it alone")
    return accelerator


def gather(accelerator: Accelerator, mine: T) -> list[T]:
    """Bring what every process has to the first one, in their order; the others get an empty list."""
    if accelerator.num_processes == 1:
        return [mine]
    gathered = [mine] * accelerator.num_processes if accelerator.is_main_process else None
    distributed.gather_object(mine, gathered)
    return gathered or []


def add_up(accelerator: Accelerator, tensors: Sequence[Tensor]) -> None:
    """Replace tensors, of the same shapes in every process, by their sums over the processes, in one transfer."""
    if accelerator.num_processes > 1:
        joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(joined)
        for tensor, total in zip(tensors, torch.split(joined, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))


def computing(accelerator: Accelerator) -> dict[str, object]:
    """List what of a machine and its installation may decide the last digits of a result, in plain values."""
    device = accelerator.device
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": accelerator.mixed_precision,
        "threads": torch.get_num_threads(),
        "processor": [platform.machine(), processor_name(), torch.backends.cpu.get_cpu_capability()],
        "libraries": library_versions(*{name.partition(".")[0] for name in sys.modules}),
    }


def processor_name() -> str:
    """Return the CPU's name, as far as the system knows it."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.is_file() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


def library_versions(*modules: str, builds: bool = True) -> dict[str, str]:
    """Return the versions of the packages that these top-level modules come from, by module; of others nothing.

    Args:
        modules: their names.
        builds: whether to tell builds apart: 2.13.0+cpu, not 2.13.0.
    """
    packages = packages_distributions()
    found = {name: version(packages[name][0]) for name in sorted(modules) if name in packages}
    return found if builds else {name: number.partition("+")[0] for name, number in found.items()}
