"""This machine, and how the cells would run on it: by `dvc repro` one after another, or side by side in a fleet."""

import os
from dataclasses import dataclass
from typing import Self

import psutil
import torch

from stages.measure.run import worker_count
from stages.shared.networks.devices import choose_device


@dataclass(frozen=True)
class Machine:
    """What there is to compute with.

    Attributes:
        processors: that this process may use.
        memory: bytes.
        device: on which networks run: `cpu`, `cuda`, ...
        gpus: of kind `cuda`, each with a memory of its own; gpu_memory: bytes of one.
    """

    processors: int
    memory: int
    device: str = "cpu"
    gpus: int = 0
    gpu_memory: int = 0

    @classmethod
    def this(cls) -> Self:
        """Look at this machine."""
        device, memory = choose_device().device, psutil.virtual_memory().total
        if device.type != "cuda":
            return cls(processors(), memory, device.type)
        own = torch.cuda.get_device_properties(device).total_memory
        return cls(processors(), memory, device.type, torch.cuda.device_count(), own)

    def __str__(self) -> str:
        return f"{self.processors} processors, {'no GPU' if self.device == 'cpu' else f'a GPU ({self.device})'}"


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
    def is_fleet(self) -> bool:
        """Whether cells run side by side."""
        return self.workers > 0

    @property
    def limit(self) -> int | None:
        """Threads that a cell is limited to; None: as many as the stages take by themselves."""
        return self.threads if self.is_fleet else None

    @property
    def processes(self) -> int:
        """Processes in which one cell is measured."""
        return self.threads if self.is_fleet else worker_count(None)

    def at_once(self, machine: Machine) -> int:
        """Count the cells at once; in a fleet each has a GPU to itself where there are any."""
        return max(1, min(self.workers, machine.gpus) if machine.gpus else self.workers)

    def slowdown(self, machine: Machine) -> float:
        """Say how many times slower cells are at once than one alone, for want of processors."""
        busy = self.at_once(machine) * min(self.threads, machine.processors)
        return max(1.0, busy / machine.processors) if self.is_fleet else 1.0

    def __str__(self) -> str:
        threads = f" --threads {self.threads}" if self.threads > 1 else ""
        return f"whichlayer fleet run --workers {self.workers}{threads}" if self.is_fleet else "dvc repro"


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
