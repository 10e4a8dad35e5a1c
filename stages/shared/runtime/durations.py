"""The log of how long stages took, a line of JSON for each run: the one module that writes and reads it.

A line says `stage`, `cell` and `seconds`, and what the run can be compared by: `cpu` (seconds of all processors),
`memory` (bytes at its peak), `machine`, and of its work the `parameters` that it read and counts such as `images`.
Lines of earlier versions lack some of it, and say nothing of another run. A stage that came from DVC's cache adds none.
"""

import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .processors import processors

DECIDING = ("OMP_NUM_THREADS", "WHICHLAYER_WORKERS", "CUDA_VISIBLE_DEVICES", "WHICHLAYER_DEVICE")
"""Environment variables by which the same machine is faster or slower."""


def machine(environment: Mapping[str, str]) -> str:
    """Return what two runs must have in common to take equally long: the host, its processors, limits on these."""
    limits = [f"{name}={environment[name]}" for name in DECIDING if name in environment]
    return ", ".join([socket.gethostname(), f"{processors()} processors", *limits])


def peak_memory() -> int:
    """Return the bytes that this process had to hold at once; on a GPU, if it used one, those there."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    return process_peak()


def process_peak() -> int:
    """Return the bytes of memory that this process had to hold at once.

    On Linux `getrusage` has the peak of the process that started this one, where that is larger.
    """
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def processor_seconds() -> float:
    """Return the seconds of all processors that this process took, and those that it started and that it waited for."""
    import psutil

    own = psutil.Process()
    return float(sum(sum(each.cpu_times()[:4]) for each in [own, *own.children(recursive=True)]))


def log_duration(log: Path, stage: str, cell: str, seconds: float, work: Mapping[str, object]) -> None:
    """Add a line to the log.

    Args:
        log: the file; made if missing.
        stage, cell: what ran.
        seconds: how long.
        work: `parameters` and counts.

    Raises:
        OSError: it cannot be written.
    """
    row = {"stage": stage, "cell": cell, "seconds": round(seconds, 2)}
    row |= {"cpu": round(processor_seconds(), 2), "memory": peak_memory(), "machine": machine(os.environ), **work}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read_durations(log: Path) -> tuple[dict[str, Any], ...]:
    """Read the log, without lines that a full disk cut."""
    rows = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return tuple(rows)
