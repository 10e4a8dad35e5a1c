"""Compute stages of one cell in a workspace of its own: the code and parameters, and DVC's cache or remote, are shared.

Ray sends this module, which uses nothing else of the project, to machines that have its packages, but no checkout.
"""

import ctypes
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

LONG = 1e9
"""Seconds. With a limit Python looks whether a command has ended, and meanwhile sees that Ray cancels its task."""


@dataclass(frozen=True)
class Source:
    """Contents of every workspace.

    Attributes:
        files: a tar archive of the code and the parameters.
        settings: of DVC: the cache or the remote that all share.
        remote: whether it is a remote.
        threads: of one cell.
    """

    files: bytes
    settings: str
    remote: bool
    threads: int


@dataclass(frozen=True)
class Task:
    """Stages of one cell that run in one go.

    Attributes:
        name: of the cell, `handwriting-efficientnet_lite0-0-0`.
        stages: to run, in order, as DVC names them.
        grid: the lists of `run` that make a grid of this cell only, since DVC's work grows with the grid.
        locked: entries of dvc.lock, of the cell's stages and of the one that prepares its images.
        log: path in the workspace of the log of durations.
        gpus: that it holds; may be a fraction. Without one the stages see none.
        memory: bytes that it asks for; 0: none.
    """

    name: str
    stages: Sequence[str]
    grid: Mapping[str, Sequence[object]]
    locked: Mapping[str, Any]
    log: str
    gpus: float = 0
    memory: int = 0


@dataclass(frozen=True)
class Done:
    """Stages that are done: their entries of dvc.lock, their lines of the log of durations, where and how long."""

    locked: Mapping[str, Any]
    durations: str
    host: str
    seconds: float


def run_task(source: Source, task: Task, before: Done | None = None) -> Done:
    """Run stages of a cell; their results land in the cache or the remote.

    Args:
        source, task: what to run.
        before: earlier stages of the same cell.

    Raises:
        subprocess.CalledProcessError: DVC or a stage failed; its output says why.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="whichlayer-") as folder:
        workspace, yaml = Path(folder), YAML()
        with tarfile.open(fileobj=io.BytesIO(source.files)) as archive:
            archive.extractall(workspace, filter="data")
        (workspace / ".dvc" / "config.local").write_text(source.settings, encoding="utf-8")
        params, lock = workspace / "params.yaml", workspace / "dvc.lock"
        content = yaml.load(params)
        content["run"].update(task.grid)
        yaml.dump(content, params)
        yaml.dump({"schema": "2.0", "stages": {**task.locked, **(before.locked if before else {})}}, lock)
        environment = threads_environment(source.threads) | {"DVC_SITE_CACHE_DIR": str(workspace / ".dvc" / "site")}
        environment |= {} if task.gpus else {"CUDA_VISIBLE_DEVICES": ""}
        for words in commands(source, task, [*(before.locked if before else ())]):
            subprocess.run(
                [sys.executable, "-m", "dvc", *words],
                cwd=workspace, env=environment, preexec_fn=end_with_parent, timeout=LONG, check=True,
            )  # fmt: skip
        stages = YAML(typ="safe").load(lock)["stages"]
        log = workspace / task.log
        rows = log.read_text(encoding="utf-8") if log.is_file() else ""  # none if all came from the cache
    known = {**(before.locked if before else {}), **{name: stages[name] for name in task.stages}}
    rows = before.durations + rows if before else rows
    return Done(known, rows, socket.gethostname(), time.monotonic() - began)


def commands(source: Source, task: Task, earlier: Sequence[str]) -> list[list[str]]:
    """Return DVC's commands: get the inputs, run the stages. Results go to a remote stage by stage."""
    inputs = [name for name in task.locked if name.startswith("prepare@")] + [*earlier]
    if not source.remote:
        return [["checkout", *inputs], ["repro", "-s", *task.stages]]
    runs = [[["repro", "--pull", "-s", stage], ["push", "--run-cache", stage]] for stage in task.stages]
    return [["pull", *inputs], *(words for run in runs for words in run)]


def threads_environment(threads: int) -> dict[str, str]:
    """Return the environment of a cell's processes: this one, the interpreter of the stages, the number of threads."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "WHICHLAYER_WORKERS")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    fixed = {"WHICHLAYER_NO_VERDICT": "1", "DVC_NO_ANALYTICS": "1", "PATH": path}
    return {**os.environ, **dict.fromkeys(counts, str(threads)), **fixed}


def end_with_parent() -> None:
    """Have Linux end this process, DVC, with the one that started it; the stage that DVC runs then ends by itself."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
