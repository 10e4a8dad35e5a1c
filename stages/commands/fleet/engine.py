"""Cells as tasks of Ray, which decides where and when each runs, and runs it again when a machine or worker is lost."""

import os
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from stages.commands.fleet import worker
from stages.commands.fleet.worker import Outcome, Source, Task
from stages.shared.console import UserError

RETRIES = 2
"""How often a cell runs again that was lost with its worker; a cell that failed does not."""


def import_ray() -> ModuleType:
    """Import Ray.

    Raises:
        UserError: it is not installed.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise UserError("`whichlayer fleet run` needs Ray, which is not installed: pip install '.[fleet]'") from None
    return ray


def connect(address: str, cpus: int) -> ModuleType:
    """Join a cluster, or start Ray on this machine.

    Args:
        address: of the cluster; empty to start Ray here.
        cpus: how many processors it may use here.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    ray = import_ray()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address:
            ray.init(address, **quiet)
        else:
            ray.init(num_cpus=cpus, include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--address {address or 'local'}: Ray must answer there, found: {str(error).splitlines()[0]}; start it "
            "(`ray start --head`), or leave --address out to run on this machine"
        ) from None
    return ray


def run_tasks(ray: ModuleType, source: Source, tasks: Sequence[Task], gpus: float) -> Iterator[Outcome]:
    """Run every cell once, and yield what became of it as soon as it is known.

    Args:
        ray: connected.
        source: what every worker begins with.
        tasks: the cells, longest first.
        gpus: of one cell; may be a fraction.
    """
    ray.cloudpickle.register_pickle_by_value(worker)  # machines of the cluster need not have this checkout
    run = ray.remote(num_cpus=source.threads, num_gpus=gpus, max_retries=RETRIES)(worker.run_cell)
    packed = ray.put(source)
    waiting = {run.options(name=task.name).remote(packed, task): task for task in tasks}
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1)
        for reference in ready:
            yield outcome_of(ray, reference, waiting.pop(reference))


def outcome_of(ray: ModuleType, reference: Any, task: Task) -> Outcome:
    """Fetch what became of a cell; a worker that was lost too often is a failure of its cell."""
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(task.name, "its worker", (), str(error), "", float("nan"))
    return outcome
