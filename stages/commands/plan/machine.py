"""This machine, and how the cells would run on it: by `dvc repro` one after another, or side by side in a fleet."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import torch

from stages.commands.fleet.worker import Source, environment
from stages.measure.run import worker_count
from stages.shared.networks.devices import choose_device
from stages.shared.runtime.durations import processors


@dataclass(frozen=True)
class Machine:
    """What there is to compute with.

    Attributes:
        processors: that this process may use.
        memory: bytes.
        device: on which networks run: `cpu`, `cuda`, ...
        gpus: how many of kind `cuda`.
    """

    processors: int
    memory: int
    device: str = "cpu"
    gpus: int = 0

    def __str__(self) -> str:
        return f"{self.processors} processors, {'no GPU' if self.device == 'cpu' else f'a GPU ({self.device})'}"


def this_machine() -> Machine:
    """Return what this machine has."""
    device = choose_device().device.type
    gpus = torch.cuda.device_count() if device == "cuda" else 0
    return Machine(processors(), psutil.virtual_memory().total, device, gpus)


@dataclass(frozen=True)
class Engine:
    """What runs the cells.

    Attributes:
        workers: of a fleet, cells at once; 0: `dvc repro`, one stage after another.
        threads: of each cell in a fleet.
    """

    workers: int = 0
    threads: int = 1

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of the stages."""
        return environment(Source(b"", "", self.threads)) if self.workers else os.environ

    @property
    def processes(self) -> int:
        """Number of processes in which one cell is measured."""
        return worker_count(self.environment.get("WHICHLAYER_WORKERS"))

    def at_once(self, here: Machine) -> int:
        """Return how many cells run at once; in a fleet each has a GPU to itself where there are any."""
        return max(1, min(self.workers, here.gpus) if here.gpus else self.workers)

    def slowdown(self, here: Machine) -> float:
        """Return how many times slower cells are at once than one alone, for want of processors."""
        busy = self.at_once(here) * min(self.threads, here.processors)
        return max(1.0, busy / here.processors) if self.workers else 1.0

    def __str__(self) -> str:
        threads = f" --threads {self.threads}" if self.threads > 1 else ""
        return f"whichlayer fleet run --workers {self.workers}{threads}" if self.workers else "dvc repro"
