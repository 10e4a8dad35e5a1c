"""All that a training run is at one moment, written to a file and read back: its continuation gives the same bits.

It is kept at every checkpoint and, between checkpoints, as often as is cheap.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
import xxhash
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from stages.shared.core.stage_run import StageRun
from stages.finetune.history import History
from stages.shared.core.kept_work import KeptWork, claim_work
from stages.shared.networks.network import Network, computing
from stages.shared.runtime.console import Stopwatch

EVERY_SECONDS = 30.0
"""Least time between two resume points that are not at checkpoints."""

SHARE_OF_TIME = 0.02
"""Most of the training time that these may take."""


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
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_global_generators(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the states that `global_generators` got."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type], device)


@dataclass
class ResumePoints:
    """Keeps a training run in its work folder and brings it back.

    Attributes:
        work: the folder.
        weights: where checkpoints are written, in it.
        say: prints one line.
    """

    work: KeptWork
    weights: Path
    say: Callable[[str], None]
    _cost: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    @classmethod
    def claim(cls, run: StageRun, watch: Stopwatch, network: Network, accelerator: Accelerator, weights: Path) -> Self:
        """Take over an earlier run's work if it is of the same cell, code, parameters, inputs, machine and weights."""
        facts = {"cell": watch.cell, "machine": computing(accelerator), "weights": weights_hash(network.module)}
        return cls(claim_work(run, facts, watch.say), weights, watch.say)

    def restore(self, state: TrainingState) -> int:
        """Bring a run to where an earlier one was kept.

        Args:
            state: the run, before its first step.

        Returns:
            The number of steps taken; 0: nothing was kept.
        """
        if self.work.progress is None:
            return 0
        step = int(self.work.progress["step"])
        if not state.read(self._path(step)):
            self.say("starts anew: this network adds tensors to itself in training, which cannot be brought back")
            return 0
        self.say(f"goes on after {self.work.progress['done']}, where an earlier run was stopped")
        return step

    def after_step(self, step: int, state: TrainingState, *, last: int, checkpoint: bool) -> None:
        """Keep the run if this is a checkpoint, or if keeping it is due.

        Args:
            step: optimizer steps taken.
            state: the run.
            last: the step at which it ends, for messages.
            checkpoint: whether a checkpoint of this step was just written.
        """
        began = time.monotonic()
        if not checkpoint and began - self._last < max(EVERY_SECONDS, self._cost / SHARE_OF_TIME):
            return
        self.work.folder.mkdir(parents=True, exist_ok=True)
        state.write(self._path(step))
        progress = {"step": step, "done": f"optimizer step {step} of {last}"}
        self.work.keep(progress, [self._path(step), *sorted(self.weights.glob("*.safetensors"))])
        self._last = time.monotonic()
        self._cost = self._last - began

    def _path(self, step: int) -> Path:
        return self.work.folder / f"training_{step:06d}.pt"
