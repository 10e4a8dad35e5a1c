"""Compute one cell in a workspace of its own: the exact code and parameters, and DVC's cache, which is shared.

It imports nothing of the project but `task`: Ray sends both as they are to machines that have the project's packages,
but not this checkout.
"""

import configparser
import contextlib
import ctypes
import fcntl
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from stages.commands.fleet.task import RECORD_FOLDER, RUNNING_FILE, Outcome, Source, Task

LOG_LINES = 2000
"""What is kept of a cell's output, from its end."""

PREFIX = "whichlayer-fleet-"
"""Of the names of workspaces, in the temporary folder of a machine."""

HELD = ".held"
"""The file in a workspace that its worker keeps locked."""

FAILED = re.compile(r"failed to reproduce '([^']+)'")
"""How DVC names a stage that failed."""


def run_cell(source: Source, task: Task) -> Outcome:
    """Run the stages of one cell; what they write lands in the cache.

    A cell that fails is an outcome, not an error: the other cells go on.
    """
    began = time.monotonic()
    mark_running(source, task)
    with own_workspace() as workspace:
        fill_workspace(workspace, source, task)
        failed, log = run_commands(workspace, commands(source, task), environment(source))
        computed, locked = read_durations(workspace / task.durations), read_locked(workspace, done(task, failed))
    seconds = time.monotonic() - began
    return Outcome(task.name, failed, computed, locked, log, socket.gethostname(), seconds)


def mark_running(source: Source, task: Task) -> None:
    """Tell `whichlayer fleet status` where a cell is at work and since when, where a cache is shared."""
    with contextlib.suppress(OSError):  # told for convenience: a full disk stops the stages, with their sentence
        if source.cache:
            started = {"host": socket.gethostname(), "time": time.time()}
            Path(source.cache, RECORD_FOLDER, f"{task.name}{RUNNING_FILE}").write_text(json.dumps(started))


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
        while not removed(folder) and time.monotonic() < until:
            time.sleep(0.1)


def removed(folder: Path) -> bool:
    """Remove a workspace, unless it is another user's, or a worker is at work there.

    Returns:
        Whether it is gone; a stage that outlives its killed worker for a moment may write what was removed again.
    """
    with contextlib.suppress(OSError), (folder / HELD).open("a") as held:  # made anew where only that is left
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
    yaml.dump({"schema": "2.0", "stages": task.locked}, workspace / "dvc.lock")
    point_dvc_at(source, workspace)


def point_dvc_at(source: Source, workspace: Path) -> None:
    """Write the settings by which DVC finds the cache that all share, or the remote."""
    name, address = source.remote
    own = workspace / ".dvc"
    wanted = {
        "core": {"no_scm": "true", "site_cache_dir": str(own / "tmp" / "site")},
        "cache": {"dir": source.cache or str(own / "cache"), "type": "reflink,hardlink,symlink,copy"},
        **({f"'remote \"{name}\"'": {"url": address}} if name else {}),
    }
    settings = configparser.RawConfigParser()
    settings.read(own / "config.local")
    for section, values in wanted.items():
        settings.read_dict({section: values})
    with (own / "config.local").open("w", encoding="utf-8") as file:
        settings.write(file)


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
            return next(iter(FAILED.findall(done.stdout)), name), "\n".join(log[-LOG_LINES:])
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


def read_locked(workspace: Path, stages: Sequence[str]) -> dict[str, Any]:
    """Read what dvc.lock says of some stages; nothing if DVC was killed while it wrote the file."""
    try:
        content = YAML(typ="safe", pure=True).load(workspace / "dvc.lock") or {}
    except YAMLError:
        return {}
    return {name: content["stages"][name] for name in stages if name in content.get("stages", {})}


def read_durations(log: Path) -> tuple[dict[str, Any], ...]:
    """Read the durations that the stages logged; one that came from the cache has none.

    A line that a full disk cut is left out.
    """
    rows = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return tuple(rows)
