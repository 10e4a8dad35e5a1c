"""Cells as tasks of Ray: how often one is tried again, and which GPUs it sees."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stages.commands.fleet import engine, worker
from stages.commands.fleet.record import line_of
from stages.commands.fleet.task import Outcome, Source, Task
from stages.shared.runtime.errors import UserError


def ray_with(*machines: dict[str, float]) -> Any:
    nodes = [{"Alive": True, "Resources": each} for each in machines]
    return SimpleNamespace(nodes=lambda: [*nodes, {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}])


def test_a_cell_gets_a_gpu_where_there_are_any_unless_another_number_is_wished():
    assert engine.choose_gpus(ray_with({"CPU": 4}), None, 2) == 0
    assert engine.choose_gpus(ray_with({"CPU": 4}, {"CPU": 4, "GPU": 2}), None, 2) == 1
    assert engine.choose_gpus(ray_with({"CPU": 4, "GPU": 2}), 0.5, 2) == 0.5
    assert engine.choose_gpus(ray_with({"CPU": 4, "GPU": 2}), 0, 2) == 0


@pytest.mark.parametrize(("gpus", "threads"), [(None, 5), (1.0, 1), (None, 65)])
def test_a_cell_that_no_machine_can_run_is_refused_since_ray_would_wait_for_ever(gpus: float | None, threads: int):
    with pytest.raises(
        UserError, match=rf"a cell must have {threads} processors and .* Ray has machines with 4 and 0;"
    ):
        engine.choose_gpus(ray_with({"CPU": 4}), gpus, threads)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("RayTaskError", "c: its worker failed on 10.0.0.7: OSError: no space; see"),
        (
            "OutOfMemoryError",
            "c: its worker failed on a machine that has too little memory: run fewer cells at once",
        ),
        ("RayError", "c: its worker failed on a machine that was lost: OSError: no space; see"),
    ],
)
def test_a_worker_that_failed_is_told_from_one_that_was_lost(error: str, said: str):
    class RayError(Exception):
        ip = "10.0.0.7"

    kinds = {name: type(name, (RayError,), {}) for name in ("RayTaskError", "OutOfMemoryError")} | {
        "RayError": RayError
    }

    def get(reference: object) -> None:
        raise kinds[error]("traceback\nOSError: no space")

    ray: Any = SimpleNamespace(get=get, exceptions=SimpleNamespace(**kinds))
    outcome = engine.outcome_of(ray, None, Task("c", (), (), "", {}, {}))
    assert line_of(outcome, Path("c.log")).startswith(said)


@pytest.fixture
def ray() -> Iterator[Any]:
    """Ray on this machine, with two processors and two GPUs that it is told of."""
    pytest.importorskip("ray")
    found = engine.import_ray()
    found.init("local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield found
    found.shutdown()


@pytest.mark.fleet
def test_a_killed_worker_is_replaced_twice_and_cells_side_by_side_have_each_their_gpu(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kill = signal.SIGKILL

    def run_cell(source: Source, task: Task) -> Outcome:
        """Die as often as the task says; without that, wait for the other one that does not."""
        with (tmp_path / task.name).open("a") as file:
            file.write("tried\n")
        tried = len((tmp_path / task.name).read_text().splitlines())
        if tried <= int(task.durations):
            os.kill(os.getpid(), kill)
        began = time.monotonic()
        while task.durations == "0" and len(list(tmp_path.glob("side-*"))) < 2 and time.monotonic() - began < 60:
            time.sleep(0.01)
        return Outcome(task.name, "", (), {}, os.environ["CUDA_VISIBLE_DEVICES"], "", 0.0)

    monkeypatch.setattr(worker, "run_cell", run_cell)
    times = {"side-a": 0, "side-b": 0, "killed-twice": 2, "killed-always": 9}
    tasks = [Task(name, (), (), str(count), {}, {}) for name, count in times.items()]
    found = {outcome.name: outcome for outcome in engine.run_tasks(ray, Source(b"", "", 1), tasks, 1.0)}
    assert {name for name, outcome in found.items() if not outcome.failed} == {"side-a", "side-b", "killed-twice"}
    assert {found["side-a"].log, found["side-b"].log} == {"0", "1"}
    assert found["killed-always"].failed == "its worker"
    tries = {name: (tmp_path / name).read_text().count("tried") for name in times}
    assert tries == {"side-a": 1, "side-b": 1, "killed-twice": 3, "killed-always": 3}
