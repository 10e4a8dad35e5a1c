"""Compute stages of a cell in a workspace of its own: the exact code and parameters, and DVC's cache, which is shared.

Ray sends this module and `SENT`, of which it uses nothing that needs the rest of the project, to machines that have the
project's packages, but not this checkout.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import io
import json
import os
import re
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
from stages.commands.dvc_project.workspace import FAILED as OF_DVC
from stages.commands.dvc_project.workspace import failed_stage, point_at_cache, read_lock, write_lock
from stages.shared.runtime import durations as durations_log
from stages.shared.runtime.durations import read_durations

SENT = (dvc_workspace, durations_log)
"""Modules of which this one uses functions that use nothing else of the project."""

RECORD_FOLDER = "fleet"
"""Below the cache that is shared: locks, logs, what became of each cell, and what unfinished trainings go on from."""

OPEN, RUNNING = "open", "running"
"""States of a cell before it has an outcome."""

LOG_LINES = 2000
"""What an outcome has of a cell's output, from its end."""

KILLED = re.compile(rf"^ERROR: {OF_DVC}.*(exited with (?:-\d+|137))$", re.MULTILINE)
"""What DVC says of a stage that a signal ended, and that said nothing itself; of SIGKILL some shells make 137."""

KEPT = "kept"
"""The folder, below that of the record, of what unfinished trainings go on from."""

PREFIX = "whichlayer-fleet-"
"""Of the names of workspaces, in the temporary folder of a machine."""

HELD = ".held"
"""The file in a workspace that its worker keeps locked."""

INPUTS_SECONDS = 86400.0
"""How long prepared images stay on a machine after a worker has used them, where no cache is shared."""


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
    """Stages of one cell that run in one go.

    Attributes:
        name: of the cell, as DVC names it, `handwriting-efficientnet_lite0-0-0`.
        inputs: what its stages read of earlier ones, as paths in the workspace.
        stages: the stages to run, in order, as DVC names them.
        durations: the file to which the stages log how long they took, as a path in the workspace.
        grid: the lists of `run` in params.yaml that make a grid of this cell alone: DVC's work grows with the grid.
        locked: what dvc.lock says of these stages and of those before them, by their names.
        training: the folder, a path in the workspace, in which the training keeps what it has; empty: none trains.
        gpus: that it holds; may be a fraction.
        memory: bytes that it asks for; 0: none.
    """

    name: str
    inputs: tuple[str, ...]
    stages: tuple[str, ...]
    durations: str
    grid: dict[str, list[Any]]
    locked: dict[str, Any]
    training: str = ""
    gpus: float = 0.0
    memory: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of stages of one cell.

    Attributes:
        name: of the cell.
        failed: the stage that failed; empty if none did.
        computed: lines of the log of durations, one for each stage that ran; what is missing came from the cache.
        locked: what dvc.lock says of the stages that are done, by their names.
        log: the end of what DVC and the stages printed.
        host: where it ran.
        seconds: in all.
        killed: whether the system ended the stage that failed (SIGKILL), as it does where memory runs out.
    """

    name: str
    failed: str
    computed: tuple[dict[str, Any], ...]
    locked: dict[str, Any]
    log: str
    host: str
    seconds: float
    killed: bool = False


def run_task(source: Source, task: Task) -> Outcome:
    """Run some stages of one cell; what they write lands in the cache.

    A stage that fails is an outcome, not an error: the other cells go on.
    """
    began, host = time.monotonic(), socket.gethostname()
    with own_workspace() as workspace, at_work(source, task, host, workspace) as log:
        fill_workspace(workspace, source, task)
        kept = Path(source.cache, RECORD_FOLDER, KEPT, task.stages[0]) if source.cache and task.training else None
        if kept:  # the training lies there, from where another worker goes on with it
            kept.mkdir(parents=True, exist_ok=True)
            (workspace / task.training).parent.mkdir(parents=True, exist_ok=True)
            (workspace / task.training).symlink_to(kept)
        get, *others = commands(source, task)
        with contextlib.ExitStack() as stack:
            if source.remote[0] and task.training:  # else they are of this cell alone
                prepared = next(entry for name, entry in task.locked.items() if name.startswith("prepare@"))
                point_at_cache(workspace, stack.enter_context(inputs_of_machine(prepared)), source.remote)
            failed, killed, said = run_commands(workspace, [get], environment(source), log)
        point_at_cache(workspace, source.cache, source.remote)
        if not failed:
            failed, killed, said = run_commands(workspace, others, environment(source), log)
        computed, lock = read_durations(workspace / task.durations), read_lock(workspace)
    locked = {name: lock[name] for name in done(task, failed) if name in lock}
    if kept and task.stages[0] in locked:
        shutil.rmtree(kept, ignore_errors=True)
    return Outcome(task.name, failed, computed, locked, said, host, time.monotonic() - began, killed)


@contextlib.contextmanager
def at_work(source: Source, task: Task, host: str, workspace: Path) -> Iterator[Path]:
    """Within, `whichlayer fleet status` says that the cell runs, however this process ends.

    Yields:
        The log of the cell, which everyone who sees the cache can read meanwhile; else one in the workspace.
    """
    log = workspace / ".log"
    with contextlib.ExitStack() as stack:
        if source.cache:
            folder, stages = Path(source.cache, RECORD_FOLDER), ", ".join(name.split("@")[0] for name in task.stages)
            with contextlib.suppress(OSError):  # for convenience: a full disk stops the stages, with their message
                held = stack.enter_context((folder / f"{task.name}.log").open("a", encoding="utf-8"))
                log = Path(held.name)
                fcntl.flock(held, fcntl.LOCK_SH)
                write_state(folder, task.name, RUNNING, f"{task.name}: {stages} on {host}, see {log}")
        yield log


def write_state(folder: Path, name: str, state: str, line: str, locked: dict[str, Any] | None = None) -> None:
    """Write a cell's state for other commands.

    Args:
        folder: of the record.
        name: of the cell.
        state: what became of it.
        line: says more.
        locked: what dvc.lock says of its stages that are done.
    """
    beside = folder / f".{name}-{socket.gethostname()}-{os.getpid()}.json"
    content = {"state": state, "line": line, "time": time.time(), "locked": locked or {}}
    beside.write_text(json.dumps(content), encoding="utf-8")
    beside.replace(folder / f"{name}.json")


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
    workspace: Path, wanted: Sequence[tuple[str, list[str]]], environment: dict[str, str], log: Path
) -> tuple[str, bool, str]:
    """Run commands until one fails.

    Args:
        workspace: where they run.
        wanted: the name by which a failure is reported, and the words, of each.
        environment: of all.
        log: to which what they print is added as they print it.

    Returns:
        The name of the one that failed, or of the stage that DVC says failed, or an empty string; whether the system
        ended it; and the end of what they printed.
    """
    log.touch()
    began, failed, killed = log.stat().st_size, "", False
    for name, words in wanted:
        start = log.stat().st_size
        with log.open("ab") as file:
            on_linux = end_with_parent if sys.platform == "linux" else None
            process = subprocess.run(
                words, cwd=workspace, env=environment, stdout=file, stderr=subprocess.STDOUT, preexec_fn=on_linux,
                check=False,
            )  # fmt: skip
        if process.returncode != 0:
            said = read_from(log, start)
            failed, by_signal = failed_stage(said) or name, KILLED.search(said)
            killed = process.returncode == -signal.SIGKILL or bool(by_signal and by_signal[1].endswith(("-9", "137")))
            break
    return failed, killed, "\n".join(read_from(log, began).splitlines()[-LOG_LINES:])


def read_from(log: Path, start: int) -> str:
    """Read a log from a byte on."""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


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
        task: some stages of the cell.
        failed: the command that failed, or an empty string; it ends with the stage that it is about.
    """
    if not failed:
        return task.stages
    about = [number for number, stage in enumerate(task.stages) if failed.endswith(stage)]
    return task.stages[: about[0] if about else 0]


@contextlib.contextmanager
def own_workspace() -> Iterator[Path]:
    """Make a folder that is removed at the end; what killed workers left on this machine is removed first."""
    remove_left_workspaces()
    made = Path(tempfile.mkdtemp(prefix="whichlayer-"))
    workspace = made.with_name(made.name.replace("whichlayer-", PREFIX, 1))
    try:
        with (made / HELD).open("w", encoding="utf-8") as held:
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
    with contextlib.suppress(OSError), open(folder / HELD, "a", encoding="utf-8", opener=open_held) as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@contextlib.contextmanager
def inputs_of_machine(entry: object) -> Iterator[str]:
    """Give one worker at a time the cache for images that it pulls, so that no other on this machine pulls them again.

    It is a folder of this user that goes when nobody has used it for a day.

    Args:
        entry: what dvc.lock says of the stage that prepared them.

    Yields:
        Its path; empty where other users may have made what is there.
    """
    content = json.dumps(entry, sort_keys=True).encode()
    prefix = Path(tempfile.gettempdir(), f"whichlayer-inputs-{os.getuid()}-")
    folder = Path(f"{prefix}{hashlib.md5(content, usedforsecurity=False).hexdigest()}")
    for other in prefix.parent.glob(f"{prefix.name}*"):
        if is_own(other) and time.time() - other.stat().st_mtime > INPUTS_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not is_own(folder):
        yield ""
        return
    with open(folder / HELD, "a", encoding="utf-8", opener=open_held) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.utime(folder)
        yield str(folder)
