"""The device and precision to compute with: from the machine and the environment, never from params.yaml.

They may move the last digits of a result, and nothing else; `ACCELERATE_MIXED_PRECISION` (no, fp16, bf16) and
`ACCELERATE_USE_CPU` (true) override what is chosen here.
"""

import os

import torch
from accelerate import Accelerator

from stages.shared.console import UserError


def choose_device() -> Accelerator:
    """Choose the device, with fp16 mixed precision on a CUDA device and full precision elsewhere.

    Raises:
        UserError: the environment asks for a precision that the device lacks, or for several processes.
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
    if accelerator.num_processes > 1:
        raise UserError(
            f"a cell runs in one process, found a launcher with {accelerator.num_processes}; start the stage without "
            "it, and run several cells side by side"
        )
    return accelerator
