"""Compute one cell in a workspace of its own: the exact code and parameters, and DVC's cache, which is shared.

Ray sends this module and `SENT`, of which it uses nothing that needs the rest of the project, to machines that have the
project's packages, but not this checkout.
"""

import contextlib
import ctypes
import fcntl
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.dvc_project import workspace as dvc_workspace
from stages.commands.dvc_project.workspace import failed_stage, point_at_cache, read_lock, write_lock
from stages.shared.runtime import durations as durations_log
from stages.shared.runtime.durations import read_durations

SENT = (dvc_workspace, durations_log)
"""Modules of which this one uses functions that use nothing else of the project."""

RECORD_FOLDER = "fleet"
"""Below the cache that is shared: locks, logs, and what became of each cell."""

OPEN, RUNNING = "open", "running"
"""States of a cell before it has an outcome."""

LOG_LINES = 2000
"""What is kept of a cell's output, from its end."""

PREFIX = "whichlayer-fleet-"
"""Of the names of workspaces, in the temporary folder of a machine."""

HELD = ".held"
"""The file in a workspace that its worker keeps locked."""


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


def run_cell(source: Source, task: Task) -> Outcome:
    """Run the stages of one cell; what they write lands in the cache.

    A cell that fails is an outcome, not an error: the other cells go on.
    """
    began, host = time.monotonic(), socket.gethostname()
    if source.cache:
        with contextlib.suppress(OSError):  # written for convenience: a full disk stops the stages, with their message
            write_state(Path(source.cache, RECORD_FOLDER), task.name, RUNNING, f"{task.name}: runs on {host}")
    with own_workspace() as workspace:
        fill_workspace(workspace, source, task)
        failed, log = run_commands(workspace, commands(source, task), environment(source))
        computed, lock = read_durations(workspace / task.durations), read_lock(workspace)
    locked = {name: lock[name] for name in done(task, failed) if name in lock}
    return Outcome(task.name, failed, computed, locked, log, host, time.monotonic() - began)


def write_state(folder: Path, name: str, state: str, line: str) -> None:
    """Write a cell's state, the line that says more, and the time, for `whichlayer fleet status`."""
    beside = folder / f".{name}-{socket.gethostname()}-{os.getpid()}.json"
    beside.write_text(json.dumps({"state": state, "line": line, "time": time.time()}), encoding="utf-8")
    beside.replace(folder / f"{name}.json")


@contextlib.contextmanager
def own_workspace() -> Iterator[Path]:
    """Make a folder that is removed at the end; what killed workers left on this machine is removed first."""
    remove_left_workspaces()
    made = Path(tempfile.mkdtemp(prefix="whichlayer-"))
    workspace = made.with_name(made.name.replace("whichlayer-", PREFIX, 1))
    try:
        with (made / HELD).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            made.rename(workspace)  # others see it when it is locked
            yield workspace
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def remove_left_workspaces(patience: float = 0) -> None:
    """Remove the workspaces on this machine whose workers were killed.

    Args:
        patience: seconds to wait in all for workers that are about to end.
    """
    until = time.monotonic() + patience
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        while is_own(folder) and not removed(folder) and time.monotonic() < until:
            time.sleep(0.1)


def is_own(folder: Path) -> bool:
    """Return whether it is a folder, and no link, of this user, in which nobody else can have made links."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022


def open_held(path: str, flags: int) -> int:
    """Open what a worker keeps locked; a link or FIFO in its place is an error, and neither followed nor waited for."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is no regular file")
    return file


def removed(folder: Path) -> bool:
    """Remove a workspace of this user, unless a worker is at work there.

    Returns:
        Whether it is gone; a stage that outlives its killed worker for a moment may write what was removed again,
        but for the file that is held.
    """
    with contextlib.suppress(OSError), open(folder / HELD, "a", opener=open_held) as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def fill_workspace(workspace: Path, source: Source, task: Task) -> None:
    """Unpack the code into a folder, with a grid of one cell, and point DVC at the cache or the remote."""
    with tarfile.open(fileobj=io.BytesIO(source.files)) as archive:
        archive.extractall(workspace, filter="data")
    yaml = YAML()
    params = yaml.load(workspace / "params.yaml")
    params["run"].update(task.grid)
    yaml.dump(params, workspace / "params.yaml")
    write_lock(workspace, task.locked)
    point_at_cache(workspace, source.cache, source.remote)


def commands(source: Source, task: Task) -> list[tuple[str, list[str]]]:
    """List what is run: for each command, the name by which a failure is reported, and its words.

    With a remote, the results of a stage are sent before the next begins: a machine may be lost.
    """
    dvc = [sys.executable, "-m", "dvc"]
    if source.cache:
        get = [*dvc, "checkout", *task.inputs]
        return [("checkout of prepared images", get), (task.stages[0], [*dvc, "repro", "-s", *task.stages])]
    wanted = [("pull of prepared images", [*dvc, "pull", *task.inputs])]
    for stage in task.stages:
        wanted.append((stage, [*dvc, "repro", "--pull", "-s", stage]))
        wanted.append((f"push of {stage}", [*dvc, "push", "--run-cache", stage]))
    return wanted


def run_commands(
    workspace: Path, wanted: Sequence[tuple[str, list[str]]], environment: dict[str, str]
) -> tuple[str, str]:
    """Run commands until one fails.

    Returns:
        The name of the one that failed, or of the stage that DVC says failed, or an empty string; and the end of what
        they printed.
    """
    log: list[str] = []
    for name, words in wanted:
        done = subprocess.run(
            words,
            cwd=workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        log += done.stdout.splitlines()
        if done.returncode != 0:
            return failed_stage(done.stdout) or name, "\n".join(log[-LOG_LINES:])
    return "", "\n".join(log[-LOG_LINES:])


def end_with_parent() -> None:
    """Have this process told to end when its worker is killed; the stage that DVC runs then ends by itself."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def environment(source: Source) -> dict[str, str]:
    """Set threads for all that a cell starts and the interpreter of its stages, and hide GPUs that it must not use."""
    threads = source.threads
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    fixed = {"WHICHLAYER_WORKERS": str(threads), "WHICHLAYER_NO_VERDICT": "1", "DVC_NO_ANALYTICS": "1", "PATH": path}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if source.without_gpu else {}
    return {**os.environ, **counts, **fixed, **hidden}


def done(task: Task, failed: str) -> tuple[str, ...]:
    """List the stages of a cell that are done, and sent to the remote where there is one.

    Args:
        task: the cell.
        failed: the command that failed, or an empty string; it ends with the stage that it is about.
    """
    if not failed:
        return task.stages
    about = [number for number, stage in enumerate(task.stages) if failed.endswith(stage)]
    return task.stages[: about[0] if about else 0]
