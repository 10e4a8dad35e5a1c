"""Campaign: a stage finds no room, no permission or no memory, or is told to end; then it runs again as if never.

A limit on the size of files stands for a full disk: the same call fails, with another number.
"""

import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.faults.campaign import Campaign, Place, shuffled
from tests.faults.kills import kill, wait_for
from tests.faults.outcomes import ENDED, ERROR, FAILURE, SAME, SENTENCE, Outcome, failure, same_or_failure, sentence
from tests.faults.stage_commands import command, files_of, finish, outputs, remove_outputs, run_stage, start

STAGES = ("prepare", "finetune", "embed", "measure", "aggregate")
ROOM = (1, 1_000, 30_000, 300_000)
ADDRESS_SPACE = (300, 2_000, 4_200)
MEMORY = (100, 500, 1_100)
"""Megabytes that may be reserved, and that may be allocated; stages refuse all but the last, aggregate all."""

SECONDS = (0.4, 0.7, 1, 1.5, 2, 2.5, 3, 4)
"""Of processor time, after which a signal is sent: Python itself has started before, most stages end after these."""

WITHOUT_ROOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Takes from root the right to write where it is forbidden."""

STOPPED = "stopped by "

Fault = Callable[[Path, str, str], tuple[int, str, str]]
"""Runs a stage of a project with something wanting; gives its status and what it printed to stdout and stderr."""


def names() -> list[str]:
    """`room STAGE BYTES`, `address STAGE MB`, `memory STAGE MB`, `permission STAGE`, `SIGINT STAGE SECONDS`, ..."""
    found = [f"room {stage} {size}" for stage in STAGES for size in ROOM]
    found += [f"address {stage} {size}" for stage in STAGES for size in ADDRESS_SPACE]
    found += [f"memory {stage} {size}" for stage in STAGES for size in MEMORY]
    found += [f"permission {stage}" for stage in STAGES]
    found += [f"{name} {stage} {at}" for name in ("SIGINT", "SIGTERM") for stage in STAGES for at in SECONDS]
    return shuffled([*found, *(f"worker {number}" for number in range(4))])


def run(trial: str, place: Place) -> Outcome:
    """Make a stage fail, judge what it says, run it again and compare."""
    kind, *rest = trial.split()
    project = place.copy("grid").folder
    stage = "measure" if kind == "worker" else rest[0]
    status, printed, errors = FAULTS[kind](project, stage, rest[-1])
    expected, found = files_of(place.base("grid"), stage), files_of(project, stage)
    outcome = _judge(kind, status, errors, whole=found == expected)
    if status and outcome.kind == FAILURE:
        return outcome
    if status and not found.items() <= expected.items():  # a signal may come when whole files are there already
        return failure(f"it fails and leaves {', '.join(found)}", errors)
    if status:
        status, printed, errors = run_stage(project, stage)
    again = same_or_failure(files_of(project, stage), expected, printed + errors)
    return again if status or again.kind == FAILURE else outcome


def _judge(kind: str, status: int, errors: str, *, whole: bool) -> Outcome:
    """What it says; a signal also has its exit status, as in a shell.

    It says nothing of a signal that comes before it works, or when its work is whole and Python comes to its end. When
    its work is whole, want of room does not fail it: DVC would have it done again.
    """
    if status == 0:
        return Outcome(SAME)
    if whole and kind == "room":
        return failure(f"status {status} when its work is whole", errors)
    if not kind.startswith("SIG"):
        return sentence(errors) if status > 0 else _ended(kind, signal.Signals(-status), errors)
    number = signal.Signals[kind]
    if status not in (128 + number, -number):
        return failure(f"status {status} after {kind}", errors)
    if whole and not any(sign in errors for sign in (STOPPED, ERROR, "Traceback")):
        return Outcome(SENTENCE, f"status {status}, when its work is whole")
    return sentence(errors, marks=[STOPPED]) if errors.strip() else Outcome(SENTENCE, f"status {status}")


def _ended(kind: str, number: signal.Signals, errors: str) -> Outcome:
    """A library without memory may end the process; nothing else may."""
    said = f"it ends by {number.name}"
    by_library = kind == "memory" and number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
    return Outcome(ENDED, said) if by_library and "Traceback" not in errors else failure(said, errors)


def _without_room(project: Path, stage: str, size: str) -> tuple[int, str, str]:
    limit = (int(size), resource.RLIM_INFINITY)
    return run_stage(project, stage, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))


def _limited(kind: int) -> Fault:
    def run(project: Path, stage: str, size: str) -> tuple[int, str, str]:
        limit = (int(size) << 20, resource.RLIM_INFINITY)
        return run_stage(project, stage, before=lambda: resource.setrlimit(kind, limit))

    return run


def _without_permission(project: Path, stage: str, _: str) -> tuple[int, str, str]:
    remove_outputs(project, stage)
    folders = {(project / out).parent for out in outputs(stage)}
    if stage == "aggregate":
        folders = {project / "data" / "results"}
    for folder in folders:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o555)
    prefix = WITHOUT_ROOT if os.geteuid() == 0 else ()
    done = finish(start(project, command(stage), prefix=prefix))
    for folder in folders:
        folder.chmod(0o755)
    return done


def _signalled(name: str) -> Fault:
    def send(project: Path, stage: str, seconds: str) -> tuple[int, str, str]:
        remove_outputs(project, stage)
        process = start(project, command(stage))
        wait_for(lambda: process.poll() is not None or _processor_time(process.pid) >= float(seconds), 300)
        process.send_signal(signal.Signals[name])
        return finish(process)

    return send


def _processor_time(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _without_worker(project: Path, stage: str, number: str) -> tuple[int, str, str]:
    remove_outputs(project, stage)
    process = start(project, command(stage), environment={"WHICHLAYER_WORKERS": "2"})
    wait_for(lambda: _workers(process.pid) or process.poll() is not None)
    time.sleep(random.Random(int(number)).uniform(0, 1))
    for worker in _workers(process.pid)[:1]:
        kill(worker if int(number) % 2 else worker.parent())
    return finish(process)


def _workers(pid: int) -> list[psutil.Process]:
    """Processes that measure, below the one that forks them."""
    try:
        return [worker for child in psutil.Process(pid).children() for worker in child.children()]
    except psutil.Error:
        return []


FAULTS: dict[str, Fault] = {
    "room": _without_room,
    "address": _limited(resource.RLIMIT_AS),
    "memory": _limited(resource.RLIMIT_DATA),
    "permission": _without_permission,
    "SIGINT": _signalled("SIGINT"),
    "SIGTERM": _signalled("SIGTERM"),
    "worker": _without_worker,
}
"""What is wanting, or who is told to end: runs a stage so."""


CAMPAIGN = Campaign("no room, memory, permission; signals; killed workers", names(), run, ("grid",), seconds=600)
