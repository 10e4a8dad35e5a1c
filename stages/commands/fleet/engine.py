"""Stages of cells as tasks of Ray, which decides where each runs, and runs it again when its machine is lost."""

import os
import secrets
import signal
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import FrameType, ModuleType
from typing import Any

from stages.commands.fleet import worker
from stages.commands.fleet.worker import Outcome, Source, Task
from stages.shared.runtime.console import Stopped
from stages.shared.runtime.errors import UserError

SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns that this will be its default
    "RAY_AUTH_MODE": "token",  # else Ray runs the code of whoever reaches one of its ports
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "0",  # what needs too much memory beside others runs again alone
}
"""What Ray reads from the environment when it is imported."""

LOOPBACK_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""The setting by which Ray gives the machine the address 127.0.0.1 and listens there alone, on Linux as well."""

FEW_TRIES = {"RAY_NUM_REDIS_GET_RETRIES": "3"}
"""The setting by which a cluster that does not answer is given up after 2 minutes; else it took 13."""

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}

PATIENCE = 60.0
"""Seconds in which a machine of a cluster must answer."""

TOKEN = secrets.token_hex(32)
"""Of Ray on this machine, which no file holds; Ray keeps the first that it finds."""

LONGEST_FOLDER = 26
"""Characters of a temporary folder in which the paths of Ray's sockets are no longer than Unix allows, 107 bytes."""


def import_ray(address: str) -> ModuleType:
    """Import Ray, with what it reads from the environment.

    Where it runs here, its token is a new one and it listens to this machine alone, whatever the environment says: a
    token that the user has set is a cluster's.

    Args:
        address: of a cluster; empty to start Ray on this machine.

    Raises:
        UserError: Ray is not installed, or would run code of other people on this machine, or the cluster's token is
            empty.
    """
    if not address:
        os.environ |= {**LOOPBACK_ALONE, "RAY_AUTH_TOKEN": TOKEN}
    for name, value in {**SETTINGS, **(FEW_TRIES if address else {})}.items():
        os.environ.setdefault(name, value)
    mode = os.environ["RAY_AUTH_MODE"]
    if mode.lower() == "token" and not os.environ.get("RAY_AUTH_TOKEN", "unset").strip():
        raise UserError(
            "RAY_AUTH_TOKEN must be the token of the cluster, found an empty one; set it, or unset it to have Ray read "
            "~/.ray/auth_token"
        )
    if not address and mode.lower() != "token":  # which Ray takes as `disabled`, whatever it is
        raise UserError(
            "RAY_AUTH_MODE must be `token` where Ray runs on this machine, since without tokens its other users could "
            f"run code as you; found {mode!r}; unset it"
        )
    try:
        return import_module("ray")  # which type checkers do not follow: its modules are many
    except ImportError:
        raise UserError("`whichlayer fleet run` needs Ray, which is not installed: pip install '.[fleet]'") from None


@contextmanager
def connected(address: str, cpus: int) -> Iterator[ModuleType]:
    """Join a cluster, or start Ray on this machine; at the end Ray ends what it runs for this process.

    Within, SIGINT and SIGTERM raise `Stopped` and kill nothing: without its own processes Ray would not come to an end.

    Args:
        address: of the cluster; empty to start Ray here.
        cpus: how many processors it may use here.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second time it ends at once
        received.append(number)
        raise KeyboardInterrupt  # which Ray lets through while it waits, and no other exception

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    usual = tempfile.gettempdir()  # everybody may write to the folders that Ray makes in one that is not private
    parent = usual if len(usual) <= LONGEST_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True) as folder:
        ray = start(address, cpus, folder)  # which sets handlers of its own
        for number, handler in before.items():
            signal.signal(number, handler if handler == signal.SIG_IGN else interrupt)
        try:
            yield ray
        except KeyboardInterrupt:
            raise Stopped(received[-1]) from None
        finally:
            ray.shutdown()
            for number, handler in before.items():
                signal.signal(number, handler)


def start(address: str, cpus: int, folder: str) -> ModuleType:
    """Join a cluster, or start Ray on this machine.

    Raises:
        UserError: Ray is not installed, does not start or answer, or its cluster asks for no token and RAY_AUTH_MODE
            does not say that this is meant.
    """
    ray, mode = import_ray(address), "token"
    try:
        if address:
            ray.init(address, **QUIET)
            mode = ray.get(ray.remote(num_cpus=0)(os.getenv).remote("RAY_AUTH_MODE", ""), timeout=PATIENCE)
        else:
            start_here(ray, cpus, folder)
    except Exception as error:
        what, remedy = "Ray must start on this machine", "try again when it is less busy"
        if address:
            what = f"--address {address}: Ray must answer there"
            remedy = "start it (`ray start --head`), give this machine its token (RAY_AUTH_TOKEN or "
            remedy += "~/.ray/auth_token), or leave --address out to run here"
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{what}, found: {reason}; {remedy}") from None
    if mode.lower() != "token" and os.environ["RAY_AUTH_MODE"] != "disabled":
        raise UserError(
            f"--address {address}: Ray must ask for a token there, or it runs the code of whoever reaches its ports; "
            f"found RAY_AUTH_MODE={mode}; start it with RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled here, too"
        )
    return ray


def start_here(ray: ModuleType, cpus: int, folder: str) -> None:
    """Start Ray on this machine; on a busy one its processes may be too slow for it the first time."""
    options = {"num_cpus": cpus, "include_dashboard": False, "_temp_dir": f"{folder}/ray"}
    try:
        ray.init("local", **QUIET, **options)
    except Exception:  # a bare one
        ray.shutdown()
        ray.init("local", **QUIET, **options)


def choose_gpus(ray: ModuleType, wished: float | None, threads: int) -> float:
    """Choose the GPUs of a cell: as many as are wished for, else one where there are any.

    Raises:
        UserError: no machine has the processors and GPUs of one cell; Ray would wait for one.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = float(any(machine.get("GPU") for machine in machines)) if wished is None else wished
    if not any(machine.get("CPU", 0) >= threads and machine.get("GPU", 0) >= gpus for machine in machines):
        found = "; ".join(f"{machine.get('CPU', 0):g} and {machine.get('GPU', 0):g}" for machine in machines)
        raise UserError(
            f"a cell must have {threads} processors and {gpus:g} GPUs of one machine (--threads, --gpus-per-cell), "
            f"Ray has machines with {found or 'nothing'}; ask for less, or start larger ones first"
        )
    return gpus


def run_cells(
    ray: ModuleType, source: Source, cells: Sequence[Sequence[Task]], *, at_once: int | None = None, retries: int = 2
) -> Iterator[Outcome]:
    """Run the tasks of every cell one after another, and yield what became of a cell as soon as it is known.

    A task that needed too much memory beside others runs once more, when all others have ended.

    Args:
        ray: connected.
        source: what every worker begins with.
        cells: the tasks of each, longest cells first.
        at_once: how many tasks run, at most; None: as many as the machines have room for.
        retries: how often a task runs again that was lost with its worker; one that failed does not.
    """
    for module in (worker, *worker.SENT):  # machines of the cluster need not have this checkout
        ray.cloudpickle.register_pickle_by_value(module)
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = int(max(machine.get("memory", 0) for machine in machines))  # a cell that asks for more has it to itself
    run, packed = ray.remote(num_cpus=source.threads, max_retries=retries)(worker.run_task), ray.put(source)
    waiting, alone, running = deque(cells), deque[Sequence[Task]](), dict[Any, Sequence[Task]]()
    again, ended = set[str](), defaultdict[str, list[Outcome]](list)
    while waiting or running or alone:
        if not waiting and not running:
            waiting.append(alone.popleft())
        while waiting and (at_once is None or len(running) < at_once):
            task, *rest = waiting.popleft()
            options = {"num_gpus": task.gpus, "memory": min(task.memory, largest), "name": task.name}
            running[run.options(**options).remote(packed, task)] = [task, *rest]
        for reference in ray.wait(list(running), num_returns=1)[0]:
            task, *rest = running.pop(reference)
            outcome = outcome_of(ray, reference, task)
            if outcome.killed and outcome.name not in again:
                again.add(outcome.name)
                alone.append([task, *rest])
                continue
            ended[outcome.name].append(outcome)
            if outcome.failed or not rest:
                yield joined(ended[outcome.name])
            else:
                waiting.appendleft([replace(each, locked=each.locked | outcome.locked) for each in rest])


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what became of a cell after its tasks."""
    return replace(
        outcomes[-1],
        computed=tuple(row for outcome in outcomes for row in outcome.computed),
        locked={name: entry for outcome in outcomes for name, entry in outcome.locked.items()},
        log="\n".join(outcome.log for outcome in outcomes),
        seconds=sum(outcome.seconds for outcome in outcomes),
    )


def outcome_of(ray: ModuleType, reference: Any, task: Task) -> Outcome:
    """Fetch what became of a task; a worker that was lost too often, or has an error, is a failure of its cell."""
    errors, where, killed = ray.exceptions, "", False
    try:
        outcome: Outcome = ray.get(reference)
        return outcome
    except errors.RayTaskError as error:
        log, where = str(error), str(getattr(error, "ip", "a machine"))
    except errors.OutOfMemoryError as error:
        log, where, killed = f"{error}\nit does not fit alone", "a machine that has too little memory", True
    except errors.RayError as error:
        log = str(error)
    return Outcome(task.name, "its worker", (), {}, log, where, float("nan"), killed)
