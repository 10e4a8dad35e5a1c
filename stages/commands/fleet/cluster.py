"""Stages of cells as tasks of a Ray cluster, which decides where each runs and runs again what is lost."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ...shared.runtime.console import Stopped
from ...shared.runtime.errors import UserError
from ..dvc_project import own_workspace
from ..dvc_project.own_workspace import Done, Source, Task

SETTINGS = {
    "RAY_AUTH_MODE": "token",  # else Ray runs the code of whoever reaches one of its ports
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns that this will be its default
    "RAY_DEDUP_LOGS": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # gives up a cluster that does not answer after 2 minutes; else it took 13
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables that Ray reads when it is imported."""

PATIENCE = 60.0
"""Seconds in which a machine of a cluster must answer, and in which tasks must end that are cancelled."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Join a cluster; at the end Ray ends what it runs for this process.

    Within, SIGINT and SIGTERM raise KeyboardInterrupt, the one exception that Ray lets through while it waits.

    Raises:
        UserError: Ray is not installed, does not answer, or asks for no token and RAY_AUTH_MODE does not allow that.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        ray: Any = import_module("ray")  # which type checkers do not follow: its modules are many
    except ImportError:
        raise UserError("--address needs Ray, which is not installed: pip install '.[fleet]'") from None
    try:
        ray.init(address, logging_level="error")
        mode = ray.get(ray.remote(num_cpus=0)(os.getenv).remote("RAY_AUTH_MODE", ""), timeout=PATIENCE)
    except Exception as error:  # of many kinds, bare ones among them
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"--address {address}: Ray must answer there, found: {reason}; start it (`ray start --head`), give this "
            "machine its token (RAY_AUTH_TOKEN or ~/.ray/auth_token), or leave --address out to run here"
        ) from None
    if mode.lower() != "token" and os.environ["RAY_AUTH_MODE"] != "disabled":
        raise UserError(
            f"--address {address}: Ray must ask for a token there, or whoever reaches its ports can run code there; "
            f"found RAY_AUTH_MODE={mode}; start it with RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled here, too"
        )
    for number in before:  # Ray has set handlers of its own
        signal.signal(number, signal.default_int_handler)
    try:
        yield ray
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None
    finally:
        ray.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def choose_gpus(ray: Any, wished: float | None, threads: int) -> float:
    """Return the GPUs of a cell: as many as are wished for, else one where there are any.

    Raises:
        UserError: no machine has the processors and GPUs of one cell; Ray would wait for one.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = float(any(machine.get("GPU") for machine in machines)) if wished is None else wished
    if not any(machine.get("CPU", 0) >= threads and machine.get("GPU", 0) >= gpus for machine in machines):
        found = "; ".join(f"{machine.get('CPU', 0):g} and {machine.get('GPU', 0):g}" for machine in machines)
        raise UserError(
            f"a cell must have {threads} processors and {gpus:g} GPUs on one machine (--threads, --gpus-per-cell), "
            f"Ray has machines with {found or 'nothing'}; ask for less, or start larger ones first"
        )
    return gpus


def run_cells(
    ray: Any, source: Source, cells: Sequence[Sequence[Task]], retries: int
) -> Iterator[tuple[str, Done | str]]:
    """Run the tasks of every cell one after another, and yield each cell's name with its end as soon as it is known.

    Args:
        ray: connected.
        source: of every task.
        cells: tasks of each.
        retries: how often a task runs again whose machine or worker is lost; one that failed does not.

    Yields:
        The name, and what was done, or else the reason.
    """
    ray.cloudpickle.register_pickle_by_value(own_workspace)  # machines of the cluster need not have this checkout
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = int(max(machine.get("memory", 0) for machine in machines))  # Ray would wait for one with more
    run, packed = ray.remote(num_cpus=source.threads, max_retries=retries)(own_workspace.run_task), ray.put(source)
    everything, running = [], {}
    for tasks in cells:
        reference = None
        for task in tasks:
            options = {"num_gpus": task.gpus, "memory": min(task.memory, largest), "name": task.name}
            reference = run.options(**options).remote(packed, task, reference)
            everything.append(reference)
        running[reference] = tasks[0].name
    try:
        while running:
            for reference in ray.wait([*running], num_returns=1)[0]:
                yield running.pop(reference), outcome(ray, reference)
    except KeyboardInterrupt:
        for reference in everything:
            ray.cancel(reference)
        ray.wait(everything, num_returns=len(everything), timeout=PATIENCE)
        raise


def outcome(ray: Any, reference: Any) -> Done | str:
    """Fetch the end of a task: its return value, or why it failed or was lost."""
    try:
        done: Done = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return str(error.cause)
    except ray.exceptions.RayError as error:
        return str(error).splitlines()[0]
    return done
