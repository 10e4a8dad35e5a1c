"""What a worker begins with, what one cell is, and what became of it."""

from dataclasses import dataclass
from typing import Any

RECORD_FOLDER = "fleet"
"""Below the cache that is shared: locks, logs, and what became of each cell."""

RUNNING_FILE = ".running"
"""With what the name of the file ends that a cell's worker writes when it begins."""


@dataclass(frozen=True)
class Source:
    """What every worker begins with.

    Attributes:
        files: a tar archive of the code and the parameters, as they are in the workspace that started it.
        cache: DVC's cache, seen by every worker under this path; empty if a remote takes its place.
        threads: of one cell.
        remote: name and address of the remote that takes the cache's place.
        without_gpu: cells must not see one, though there may be one.
    """

    files: bytes
    cache: str
    threads: int
    remote: tuple[str, str] = ("", "")
    without_gpu: bool = False


@dataclass(frozen=True)
class Task:
    """One cell.

    Attributes:
        name: as DVC names it, `handwriting-efficientnet_lite0-0-0`.
        inputs: outputs of prepare that its stages read, as paths in the workspace.
        stages: the stages to run, in order, as DVC names them.
        durations: the file to which the stages log how long they took, as a path in the workspace.
        grid: the lists of `run` in params.yaml that make a grid of this cell alone: DVC's work grows with the grid.
        locked: what dvc.lock says of these stages and of prepare, by their names.
    """

    name: str
    inputs: tuple[str, ...]
    stages: tuple[str, ...]
    durations: str
    grid: dict[str, list[Any]]
    locked: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of one cell.

    Attributes:
        name: of the cell.
        failed: the stage that failed; empty if none did.
        computed: lines of the log of durations, one for each stage that ran; what is missing came from the cache.
        locked: what dvc.lock says of the stages that are done, by their names.
        log: the end of what DVC and the stages printed.
        host: where it ran.
        seconds: in all.
    """

    name: str
    failed: str
    computed: tuple[dict[str, Any], ...]
    locked: dict[str, Any]
    log: str
    host: str
    seconds: float
