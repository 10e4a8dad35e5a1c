"""Kill a running command at a chosen moment, in the ways in which that happens, and compare what comes of it."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from stages.shared.runtime.processes import is_running
from stages.shared.workflow.kept_work import read_record
from tests.faults.bases import WRITTEN
from tests.workflow import Workflow

Killer = Callable[["subprocess.Popen[str]"], None]


def kill_group(dvc: "subprocess.Popen[str]") -> None:
    """All at once, as a job's time limit or lost power does."""
    for process in [psutil.Process(dvc.pid), *psutil.Process(dvc.pid).children(recursive=True)]:
        kill(process)


def kill_dvc(dvc: "subprocess.Popen[str]") -> None:
    """DVC alone, as `kill` and the killer of processes that take too much memory may do."""
    dvc.kill()


def kill_stage(dvc: "subprocess.Popen[str]") -> None:
    """The first process of a stage alone, as soon as there is one."""
    while dvc.poll() is None:
        stages = [each for each in psutil.Process(dvc.pid).children(recursive=True) if is_stage(each)]
        if stages:
            kill(stages[0])
            return
        time.sleep(0.01)


KILLERS: dict[str, Killer] = {"group": kill_group, "dvc": kill_dvc, "stage": kill_stage}


def send_to_all(number: signal.Signals) -> Killer:
    """A signal to all at once, as Ctrl-C in a terminal sends it."""

    def send(dvc: "subprocess.Popen[str]") -> None:
        for process in [psutil.Process(dvc.pid), *psutil.Process(dvc.pid).children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    return send


def kill(process: psutil.Process) -> None:
    """Kill one process that may have ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def is_stage(process: psutil.Process) -> bool:
    """Tell whether a process runs a stage; one that has ended does not."""
    try:
        return "python" in process.name() and any(part.startswith("stages.") for part in process.cmdline())
    except psutil.Error:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something holds, at most so long."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)


def kill_when(project: Workflow, killer: Killer, moment: Callable[[], object], *command: str) -> tuple[bool, str]:
    """Start a command, kill it at a moment and wait until all its processes have ended.

    Args:
        project: where.
        killer: one of `KILLERS`.
        moment: true from that moment on.
        command: with its options.

    Returns:
        Whether it was killed before it ended by itself, and what it printed.
    """
    dvc = project.start(*command)
    wait_for(lambda: moment() or dvc.poll() is not None, 600)
    killed = dvc.poll() is None
    below = psutil.Process(dvc.pid).children(recursive=True) if killed else []
    if killed:
        killer(dvc)
    printed = "".join(dvc.communicate(timeout=300))
    wait_for(lambda: not any(is_running(process.pid) for process in below), 30)
    return killed, printed


def kept_progress(project: Workflow, stage_folder: str) -> dict[str, object] | None:
    """What a running or killed stage has kept of its work, below `data/<stage_folder>`."""
    for record in (project.folder / "data" / stage_folder).rglob(".*.partial-*/resume.json"):
        content = read_record(record.parent)
        if content is not None:
            return dict(content["progress"])
    return None


def leftovers(project: Workflow) -> list[str]:
    """Scratch that nobody works on."""
    found = [path for name in (".*.partial-*", ".*.unfinished") for path in project.folder.rglob(name)]
    return sorted(str(path.relative_to(project.folder)) for path in found)


def artifacts(folder: Path) -> dict[str, bytes]:
    """All that DVC records of a project, and its lock file."""
    ignored = ("raw", "durations.jsonl")
    files = [p for p in (folder / "data").rglob("*") if p.is_file() and p.relative_to(folder).parts[1] not in ignored]
    return {str(p.relative_to(folder)): p.read_bytes() for p in [*sorted(files), folder / "dvc.lock"]}


def written(folder: Path) -> dict[str, bytes]:
    """What commands wrote in a project."""
    files = [path for path in (folder / WRITTEN).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
