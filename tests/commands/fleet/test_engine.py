"""Cells as tasks of Ray: how often one is tried again, which GPUs it sees, and who else may have Ray run code."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import pytest

from stages.commands.fleet import engine, worker
from stages.commands.fleet.record import add
from stages.commands.fleet.worker import Outcome, Source, Task
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from tests.commands.fleet.conftest import Cluster


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
        ("OfAnotherKind", "c: its worker failed on a machine: OSError: no space; see"),
        (
            "OutOfMemoryError",
            "c: its worker failed on a machine that has too little memory: it does not fit alone",
        ),
        ("RayError", "c: its worker failed on a machine that was lost: OSError: no space; see"),
    ],
)
def test_a_worker_that_failed_is_told_from_one_that_was_lost(error: str, said: str, tmp_path: Path):
    class RayError(Exception):
        ip = "10.0.0.7"

    class OtherRayError(RayError):
        """As Ray makes of an error of the standard library, whose attributes it has and not its own."""

        def __getattribute__(self, name: str) -> object:
            if name == "ip":
                raise AttributeError
            return super().__getattribute__(name)

    kinds = {name: type(name, (RayError,), {}) for name in ("RayTaskError", "OutOfMemoryError")}
    kinds |= {"RayError": RayError, "OfAnotherKind": type("OfAnotherKind", (OtherRayError, kinds["RayTaskError"]), {})}

    def get(reference: object) -> None:
        raise kinds[error]("traceback\nOSError: no space")

    ray: Any = SimpleNamespace(get=get, exceptions=SimpleNamespace(**kinds))
    outcome = engine.outcome_of(ray, None, Task("c", (), (), "", {}, {}))
    assert add(tmp_path, outcome, tmp_path / "durations.jsonl")[1].startswith(said)


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[None]:
    """Take back what importing Ray sets, once for all tests: Ray keeps the first token that it finds."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def ray() -> Iterator[Any]:
    """Ray on this machine, with two processors and two GPUs that it is told of."""
    if not find_spec("ray"):
        pytest.skip("Ray is not installed")
    found = engine.import_ray("")
    found.init("local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield found
    found.shutdown()


@pytest.mark.fleet
def test_a_killed_worker_is_replaced_as_often_as_is_said_and_cells_side_by_side_have_each_their_gpu(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kill = signal.SIGKILL

    def run_task(source: Source, task: Task) -> Outcome:
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

    monkeypatch.setattr(worker, "run_task", run_task)
    times = {"side-a": 0, "side-b": 0, "killed-thrice": 3, "killed-always": 9}
    cells = [[Task(name, (), (), str(count), {}, {}, gpus=1)] for name, count in times.items()]
    found = {outcome.name: outcome for outcome in engine.run_cells(ray, Source(b"", "", 1), cells, retries=3)}
    assert {name for name, outcome in found.items() if not outcome.failed} == {"side-a", "side-b", "killed-thrice"}
    assert {found["side-a"].log, found["side-b"].log} == {"0", "1"}
    assert found["killed-always"].failed == "its worker"
    tries = {name: (tmp_path / name).read_text().count("tried") for name in times}
    assert tries == {"side-a": 1, "side-b": 1, "killed-thrice": 4, "killed-always": 4}


@pytest.mark.fleet
def test_the_parts_of_a_cell_hold_what_they_ask_for_and_what_memory_killed_runs_again_alone(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def run_task(source: Source, task: Task) -> Outcome:
        """Be killed if the cell is `big`, once where it measures, or `too-big`; note what was there and ran beside."""
        (stage,) = task.stages
        own = tmp_path / f"at-work-{task.name}"
        own.touch()
        time.sleep(1)
        alone = [*tmp_path.glob("at-work-*")] == [own]
        own.unlink()
        log = tmp_path / f"{task.name} {stage}"
        with log.open("a") as file:
            file.write(f"gpu {'CUDA_VISIBLE_DEVICES' in os.environ}, {sorted(task.locked)}, alone {alone}\n")
        first = len(log.read_text().splitlines()) == 1
        killed = task.name == "too-big" or (log.name == "big measure" and first)
        return Outcome(task.name, stage if killed else "", ({"stage": stage},), {stage: {}}, stage, "h", 1.0, killed)

    monkeypatch.setattr(worker, "run_task", run_task)
    memory = {"big": 0, "too-big": 0, "a": 2**60, "b": 0}  # more than there is
    cells = [
        [Task(name, (), (stage,), "", {}, {}, gpus=gpus, memory=memory[name]) for stage, gpus in GPUS.items()]
        for name in memory
    ]
    found = {each.name: each for each in engine.run_cells(ray, Source(b"", "", 1), cells, retries=0)}
    assert [name for name, outcome in found.items() if outcome.failed] == ["too-big"]
    assert [row["stage"] for row in found["big"].computed] == ["embed", "measure"]
    assert found["big"].locked == {"embed": {}, "measure": {}}
    assert found["big"].seconds == 2.0
    lines = {path.name: path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert {name: len(each) for name, each in lines.items()} == {
        "a embed": 1, "a measure": 1, "b embed": 1, "b measure": 1,
        "big embed": 1, "big measure": 2, "too-big embed": 2,
    }  # fmt: skip
    for name, each in lines.items():
        seen = "gpu True, []" if name.endswith("embed") else "gpu False, ['embed']"
        assert {line.rpartition(",")[0] for line in each} == {seen}
    assert all(lines[name][-1].endswith("alone True") for name in ("big measure", "too-big embed"))
    assert any(line.endswith("alone False") for each in lines.values() for line in each)


GPUS = {"embed": 1.0, "measure": 0.0}


@pytest.mark.fleet
def test_no_more_tasks_run_at_once_than_is_said(ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run_task(source: Source, task: Task) -> Outcome:
        own = tmp_path / task.name
        own.touch()
        time.sleep(0.5)
        beside = len([*tmp_path.iterdir()])
        own.unlink()
        return Outcome(task.name, "", (), {}, str(beside), "", 0.0)

    monkeypatch.setattr(worker, "run_task", run_task)
    cells = [[Task(name, (), (), "", {}, {})] for name in "abcd"]
    assert {each.log for each in engine.run_cells(ray, Source(b"", "", 1), cells, at_once=1)} == {"1"}


@pytest.mark.parametrize("mode", ["disabled", "", "tokens"])
def test_without_tokens_ray_is_not_started_on_this_machine(mode: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(UserError, match=rf"RAY_AUTH_MODE must be `token` .*; found '{mode}'; unset it"):
        engine.import_ray("")


@pytest.mark.parametrize("token", ["", "a" * 64])
def test_ray_on_this_machine_has_a_token_of_its_own_and_listens_here_alone_whatever_is_set(
    token: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "import_module", lambda name: name)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1")
    engine.import_ray("")
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert os.environ["RAY_AUTH_TOKEN"] != token


def test_the_token_that_is_set_is_the_cluster_s(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "import_module", lambda name: name)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of the cluster")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1")
    engine.import_ray("10.0.0.1:6379")
    assert os.environ["RAY_AUTH_TOKEN"] == "of the cluster"
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "1"
    for empty in ("", " "):
        monkeypatch.setenv("RAY_AUTH_TOKEN", empty)
        with pytest.raises(UserError, match=r"RAY_AUTH_TOKEN must be the token of the cluster, found an empty one; "):
            engine.import_ray("10.0.0.1:6379")


@pytest.mark.parametrize(("address", "failures", "tries"), [("", 1, 2), ("", 2, 2), ("head:6379", 1, 1)])
def test_ray_is_started_on_this_machine_a_second_time_if_it_was_too_slow(
    address: str, failures: int, tries: int, monkeypatch: pytest.MonkeyPatch
):
    tried: list[str] = []

    def init(where: str, **options: Any) -> None:
        tried.append(where)
        if len(tried) <= failures:
            raise Exception("The current node timed out during startup.\nMore")

    ray = SimpleNamespace(init=init, shutdown=lambda: None)
    monkeypatch.setattr(engine, "import_ray", lambda _: ray)
    refused = pytest.raises(UserError, match=r"found: The current node timed out during startup\.; ")
    with nullcontext() if tries > failures else refused:
        assert engine.start(address, 1, "/tmp/x") is ray
    assert tried == tries * [address or "local"]


@pytest.mark.fleet
def test_an_empty_token_of_the_environment_is_written_to_no_file(tmp_path: Path):
    """Ray writes one of its own, which everybody may read, where it finds none."""
    preset = {"RAY_AUTH_TOKEN": "", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
    assert run_side_by_side("", tmp_path / "a", 1, **preset) == "cell 0 of 1"
    assert not (tmp_path / "a" / ".ray").exists()


SIDE_BY_SIDE = """
import sys, time
from pathlib import Path
from stages.commands.fleet import engine, worker
from stages.commands.fleet.worker import Outcome, Source, Task

address, folder, count = sys.argv[1:]

def run_cell(source, task):
    began = time.monotonic()
    Path(folder, task.name).touch()
    while len([*Path(folder).iterdir()]) < int(count) and time.monotonic() - began < 60:
        time.sleep(0.01)
    return Outcome(task.name, "", (), {}, f"{task.name} of {len([*Path(folder).iterdir()])}", "", 0.0)

worker.run_task = run_cell
cells = [[Task(f"cell {number}", (), (), "", {}, {})] for number in range(int(count))]
with engine.connected(address, 1) as ray:
    print(*sorted(outcome.log for outcome in engine.run_cells(ray, Source(b"", "", 1), cells)), sep=", ")
"""


def run_side_by_side(address: str, folder: Path, count: int, **settings: str) -> str:
    """Have a cluster run cells that wait for each other, and return what they, or the error, said."""
    folder.mkdir()
    words = [sys.executable, "-c", SIDE_BY_SIDE, address, str(folder), str(count)]
    settings = {"HOME": str(folder), "PYTHONPATH": str(ROOT), **settings}
    done = subprocess.run(words, env=os.environ | settings, capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.splitlines()[-1]


@pytest.mark.fleet
def test_ray_on_this_machine_listens_to_this_machine_alone_and_lets_in_no_one_without_its_token(
    scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("HOME", str(tmp_path))
    with engine.connected("", 1) as ray:
        ray.get(ray.remote(os.getenv).remote("HOME"))  # a worker listens, too
        assert listening() == {"127.0.0.1", "::ffff:127.0.0.1"}
        (folder,) = scratch.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [*folder.glob("ray/session_latest/sockets/raylet")]
        address = ray.get_runtime_context().gcs_address
        refused = f"--address {address}: Ray must answer there, found: "
        assert refused in run_side_by_side(address, tmp_path / "a", 1, RAY_AUTH_MODE="disabled")
        assert refused in run_side_by_side(address, tmp_path / "b", 1, RAY_AUTH_TOKEN="of someone else")
        assert run_side_by_side(address, tmp_path / "c", 1) == "cell 0 of 1"
    assert not folder.exists()
    assert not (tmp_path / ".ray").exists()  # nor a token


def listening() -> set[str]:
    """Addresses of this machine at which this process or one that it started takes connections."""
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [each for process in ours for each in process.net_connections("tcp")]
    return {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}


@pytest.mark.fleet
def test_machines_of_a_cluster_run_cells_for_whom_has_its_token_alone(cluster: Cluster, tmp_path: Path):
    cluster.add(f"--address={cluster.address}")
    found = run_side_by_side(cluster.address, tmp_path / "a", 2, RAY_AUTH_TOKEN=cluster.token)
    assert found == "cell 0 of 2, cell 1 of 2"
    refused = f"--address {cluster.address}: Ray must answer there, found: "
    nothing = {"RAY_AUTH_TOKEN": ""}
    missing = run_side_by_side(cluster.address, tmp_path / "b", 1, **nothing)
    assert "RAY_AUTH_TOKEN must be the token of the cluster, found an empty one; set it, or unset it" in missing
    assert refused in run_side_by_side(cluster.address, tmp_path / "c", 1, RAY_AUTH_TOKEN="of someone else")
    assert refused in run_side_by_side(cluster.address, tmp_path / "d", 1, RAY_AUTH_MODE="disabled", **nothing)


@pytest.mark.fleet
def test_a_cluster_that_asks_for_no_token_is_refused_unless_that_is_meant(scratch: Path, tmp_path: Path):
    here = engine.LOOPBACK_ALONE  # so that it lets nobody else in
    opened = Cluster(scratch / "open", RAY_AUTH_MODE="disabled", **here)
    try:
        found = run_side_by_side(opened.address, tmp_path / "a", 1, RAY_AUTH_TOKEN=opened.token, **here)
        assert "Ray must ask for a token there, " in found
        assert "found RAY_AUTH_MODE=disabled; start it with RAY_AUTH_MODE=token, or " in found
        found = run_side_by_side(opened.address, tmp_path / "b", 1, RAY_AUTH_MODE="disabled", **here)
        assert found == "cell 0 of 1"
    finally:
        opened.stop()
