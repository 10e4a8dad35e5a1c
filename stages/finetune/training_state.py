"""All that a training run is at one moment, written to a file and read back: its continuation gives the same bits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from stages.finetune.history import History


@dataclass(frozen=True)
class TrainingState:
    """What changes from step to step. The order of images does not: it follows from the step's number.

    Attributes:
        module: its parameters and buffers.
        optimizer: its moments.
        angles: the generator of rotations; dropout draws from torch's own.
        accelerator: device, and in fp16 the loss scale.
        history: the rows so far, and the losses since the last.
    """

    module: nn.Module
    optimizer: Optimizer
    angles: torch.Generator
    accelerator: Accelerator
    history: History

    def write(self, path: Path) -> None:
        """Write it to a file that `torch.load(weights_only=True)` reads. Memory formats of tensors are kept."""
        scaler = self.accelerator.scaler
        content = {
            "module": {name: tensor.detach() for name, tensor in tensors_of(self.module).items()},
            "optimizer": self.optimizer.state_dict(),
            "generators": {**global_generators(self.accelerator.device), "angles": self.angles.get_state()},
            "scaler": scaler.state_dict() if scaler else {},
            "history": self.history.state(),
        }
        with path.open("wb") as file:  # whose errors say what the system says
            torch.save(content, file)

    def read(self, path: Path) -> bool:
        """Become what was written.

        Returns:
            False if that has other parameters or buffers, as of a network that adds some in training; nothing changes.
        """
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if _shapes(content["module"]) != _shapes(tensors_of(self.module)):
            return False
        with torch.no_grad():
            for name, tensor in tensors_of(self.module).items():
                tensor.copy_(content["module"][name])
        self.optimizer.load_state_dict(content["optimizer"])
        set_global_generators(content["generators"], self.accelerator.device)
        self.angles.set_state(content["generators"]["angles"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(content["scaler"])
        self.history.restore(content["history"], self.accelerator.device)
        return True


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """List a module's parameters and buffers, those too that are in no checkpoint; each once."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def weights_hash(module: nn.Module) -> str:
    """Hash a module's parameters and buffers."""
    hasher = xxhash.xxh3_128()
    for name, tensor in tensors_of(module).items():
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def global_generators(device: torch.device) -> dict[str, Tensor]:
    """Get the states of torch's own generators, by type of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_global_generators(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the states that `global_generators` got."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(states["mps"])
