"""Compute one cell in a workspace of its own: the exact code and parameters, and DVC's cache, which is shared.

It imports the standard library alone: Ray sends it as it is to machines that have the project's packages, but not this
checkout.
"""

import ctypes
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG_LINES = 2000
"""What is kept of a cell's output, from its end."""


@dataclass(frozen=True)
class Source:
    """What every worker begins with.

    Attributes:
        files: a tar archive of the code, the parameters and dvc.lock, as they are in the workspace that started it.
        cache: DVC's cache, seen by every worker under this path; empty if a remote takes its place.
        threads: of one cell.
    """

    files: bytes
    cache: str
    threads: int


@dataclass(frozen=True)
class Task:
    """One cell.

    Attributes:
        name: as DVC names it, `handwriting-efficientnet_lite0-0-0`.
        inputs: outputs of prepare that its stages read, as paths in the workspace.
        stages: the stages to run, in order, as DVC names them.
    """

    name: str
    inputs: tuple[str, ...]
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one cell.

    Attributes:
        name: of the cell.
        failed: the stage that failed; empty if none did.
        computed: lines of the log of durations, one for each stage that ran; what is missing came from the cache.
        log: the end of what DVC and the stages printed.
        host: where it ran.
        seconds: in all.
    """

    name: str
    failed: str
    computed: tuple[dict[str, Any], ...]
    log: str
    host: str
    seconds: float


def run_cell(source: Source, task: Task) -> Outcome:
    """Run the stages of one cell; what they write lands in the cache.

    A cell that fails is an outcome, not an error: the other cells go on.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="whichlayer-fleet-") as folder:
        workspace = Path(folder)
        make_workspace(workspace, source)
        failed, log = run_commands(workspace, commands(source, task), source.threads)
        computed = read_durations(workspace / "data" / "durations.jsonl")
    seconds = time.monotonic() - began
    return Outcome(task.name, failed, computed, log, socket.gethostname(), seconds)


def make_workspace(workspace: Path, source: Source) -> None:
    """Unpack the code into an empty folder, and point DVC at the cache that all share."""
    with tarfile.open(fileobj=io.BytesIO(source.files)) as archive:
        archive.extractall(workspace, filter="data")
    settings = [("core.no_scm", "true"), ("cache.type", "reflink,hardlink,symlink,copy")]
    if source.cache:
        settings.append(("cache.dir", source.cache))
    for name, value in settings:
        dvc = [sys.executable, "-m", "dvc", "config", "--local", name, value]
        subprocess.run(dvc, cwd=workspace, env=environment(source.threads), check=True, capture_output=True)


def commands(source: Source, task: Task) -> list[tuple[str, list[str]]]:
    """List what is run: for each command, the name by which a failure is reported, and its words."""
    dvc = [sys.executable, "-m", "dvc"]
    if source.cache:
        get = [*dvc, "checkout", "--quiet", *task.inputs]
        return [("checkout of prepared images", get), *[(s, [*dvc, "repro", "-s", s]) for s in task.stages]]
    get = [*dvc, "pull", "--quiet", *task.inputs]
    runs = [(stage, [*dvc, "repro", "--pull", "-s", stage]) for stage in task.stages]
    return [("pull of prepared images", get), *runs, ("push", [*dvc, "push", "--quiet", "--run-cache", *task.stages])]


def run_commands(workspace: Path, wanted: Sequence[tuple[str, list[str]]], threads: int) -> tuple[str, str]:
    """Run commands until one fails.

    Returns:
        The name of the one that failed, or an empty string; and the end of what they printed.
    """
    log: list[str] = []
    for name, words in wanted:
        done = subprocess.run(
            words,
            cwd=workspace,
            env=environment(threads),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        log += done.stdout.splitlines()
        if done.returncode != 0:
            return name, "\n".join(log[-LOG_LINES:])
    return "", "\n".join(log[-LOG_LINES:])


def end_with_parent() -> None:
    """Have this process told to end when its worker is killed; the stage that DVC runs then ends by itself."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def environment(threads: int) -> dict[str, str]:
    """Set threads for all that a cell starts, and the interpreter that runs its stages."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    fixed = {"WHICHLAYER_WORKERS": str(threads), "WHICHLAYER_NO_VERDICT": "1", "DVC_NO_ANALYTICS": "1", "PATH": path}
    return {**os.environ, **counts, **fixed}


def read_durations(log: Path) -> tuple[dict[str, Any], ...]:
    """Read the durations that the stages logged; one that came from the cache has none."""
    if not log.is_file():
        return ()
    return tuple(json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
