"""Tasks of cells: what travels, what each asks for, what is refused, what comes back."""

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from stages.commands.config import parse_config, read_config
from stages.commands.dvc_project.own_workspace import Done, Source, Task, commands, threads_environment
from stages.commands.fleet import cluster, command
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import RunParams, load

CONFIG = read_config(ROOT / "params.yaml")
CELL = ("d", "m", "0", 1)


def test_code_and_weights_travel_as_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in (".dvcignore", ".dvc/config", "dvc.yaml", "params.yaml", "pyproject.toml", "stages/a.py", "w.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "stages" / "__pycache__").mkdir()
    (tmp_path / "stages" / "b.py").symlink_to("a.py")
    content = load(ROOT / "params.yaml")
    for model, path in zip(content["run"]["models"], ("w.pt", "/data/w.pt"), strict=False):
        content["models"][model]["network"]["weights"] = {"source": "file", "path": path, "sha256": "0123456789abcdef"}
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "shared_settings", lambda remote: "settings")
    source = command.read_source(parse_config(content), 3, remote=False)
    with tarfile.open(fileobj=io.BytesIO(source.files)) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out" / "stages" / "b.py").read_text() == "stages/a.py"
    assert (tmp_path / "out" / "w.pt").read_text() == "w.pt"
    assert not (tmp_path / "out" / "stages" / "__pycache__").exists()
    assert (source.settings, source.remote, source.threads) == ("settings", False, 3)


def test_with_a_cache_stages_run_in_one_command_and_with_a_remote_each_is_pushed():
    task = Task("c", ["embed@c", "measure@c"], {}, {"prepare@d": {}, "embed@c": {}}, "log")
    assert commands(Source(b"", "", False, 1), task, ["finetune@c"]) == [
        ["checkout", "prepare@d", "finetune@c"],
        ["repro", "-s", "embed@c", "measure@c"],
    ]
    assert commands(Source(b"", "", True, 1), task, []) == [
        ["pull", "prepare@d"],
        ["repro", "--pull", "-s", "embed@c"],
        ["push", "--run-cache", "embed@c"],
        ["repro", "--pull", "-s", "measure@c"],
        ["push", "--run-cache", "measure@c"],
    ]


def test_the_stages_of_a_cell_find_its_threads_and_interpreter():
    found = threads_environment(3)
    assert {found[name] for name in ("OMP_NUM_THREADS", "WHICHLAYER_WORKERS", "OPENBLAS_NUM_THREADS")} == {"3"}
    assert found["PATH"].endswith(os.environ["PATH"])


def test_a_task_asks_for_the_largest_peak_of_its_stages_and_knows_their_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = [("finetune", 5), ("finetune", 7), ("embed", 6), ("measure", 3)]
    lines = [f'{{"stage": "{stage}", "memory": {memory}}}\n' for stage, memory in rows]
    (tmp_path / "log").write_text("".join([*lines, '{"stage": "embed"}\n']))
    lock = {name: {"cmd": name} for name in ("prepare@d", "prepare@e", "embed@d-m-0-1", "embed@d-m-0-2")}
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "stage_path", lambda *_: tmp_path / "log")
    monkeypatch.setattr(command, "read_lock", lambda _: lock)
    ((whole,),) = command.tasks_of([CELL], 0)
    ((first, second),) = command.tasks_of([CELL], 0.5)
    assert whole.stages == [*first.stages, *second.stages] == [f"{s}@d-m-0-1" for s in ("finetune", "embed", "measure")]
    assert [(task.gpus, task.memory) for task in (whole, first, second)] == [(0, 7), (0.5, 7), (0, 3)]
    assert [*whole.locked] == [*first.locked] == ["prepare@d", "embed@d-m-0-1"]
    assert [*second.locked] == ["prepare@d"]
    assert whole.grid == {"datasets": ["d"], "models": ["m"], "folds": ["0"], "seeds": [1]}
    (tmp_path / "log").unlink()
    assert command.tasks_of([CELL], 0)[0][0].memory == 0


def test_entries_come_home_in_the_order_of_dvc():
    run = RunParams.model_validate({"datasets": ["d"], "models": ["m", "n"], "folds": [0, 1], "seeds": [0]})
    ended: dict[str, Done | str] = {
        "d-n-0-0": Done({"finetune@d-n-0-0": 1}, "", "", 0),
        "d-m-1-0": Done({"finetune@d-m-1-0": 2, "embed@d-m-1-0": 3}, "", "", 0),
        "d-m-0-0": "it failed",
    }
    found = command.in_order(replace(CONFIG, run=run), ended)
    assert [*found.items()] == [("finetune@d-m-1-0", 2), ("finetune@d-n-0-0", 1), ("embed@d-m-1-0", 3)]


def test_an_unknown_cell_is_refused_with_some_that_are_known():
    with pytest.raises(UserError, match=r"handwriting-none-0-0: must be a cell in the grid .*handwriting-"):
        CliRunner().invoke(command.fleet, ["--cell", "handwriting-none-0-0"], catch_exceptions=False)


def test_one_cell_that_was_computed_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done = Done({"embed@c": {"cmd": "e"}}, "", "h", 1.0)
    name = "-".join(map(str, next(CONFIG.run.cells())))
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(command, "tasks_of", lambda cells, gpus: [[Task(name, [], {}, {}, "")]])
    monkeypatch.setattr(command, "read_source", lambda *_, **__: None)
    monkeypatch.setattr(command, "run_task", lambda source, task: done)
    monkeypatch.setattr(command, "stage_path", lambda *_: tmp_path / "durations")
    command.compute_one(CONFIG, name, 1, remote=False)
    cells = [*CONFIG.run.cells()]
    assert command.take_computed(cells) == {name: done}
    assert command.take_computed(cells) == {}


class Ended:
    """A DVC that has ended."""

    def __init__(self, words: list[str], *, env: dict[str, str], stdout: Any, **_: object) -> None:
        self.status, printed = OUTCOMES[words[-1]].pop(0)
        stdout.write(f"{printed} {env.get('CUDA_VISIBLE_DEVICES')}\n".encode())

    def poll(self) -> int:
        return self.status


OUTCOMES: dict[str, list[tuple[int, str]]] = {}


def test_a_cell_runs_again_only_where_dvc_waited_in_vain_and_gpus_are_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    locked = (255, "ERROR: Unable to acquire lock.")
    OUTCOMES.update({"measure@d-m-0-1": [locked, (0, "")], "measure@d-m-0-2": [locked] * 3})
    OUTCOMES.update({"measure@d-m-0-3": [(255, "no room on")], "measure@d-m-0-4": [(0, "")]})
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(command, "POLL_SECONDS", 0)
    monkeypatch.setattr(command, "visible_gpus", lambda: ["6", "7"])
    monkeypatch.setattr(command.subprocess, "Popen", Ended)
    cells = [(*CELL[:3], seed) for seed in (1, 2, 3, 4)]
    ended = dict(command.run_here(cells, None, 1))
    assert {name for name, end in ended.items() if isinstance(end, Done)} == {"d-m-0-1", "d-m-0-4"}
    assert ended["d-m-0-3"] in ("\nno room on 6", "\nno room on 7")
    assert not any(OUTCOMES.values())
    used = {(tmp_path / f"d-m-0-{seed}.log").read_text().split()[-1] for seed in (1, 2, 3, 4)}
    assert used == {"6", "7"}


def ray_with(*machines: dict[str, float]) -> Any:
    nodes = [{"Alive": True, "Resources": each} for each in machines]
    return SimpleNamespace(nodes=lambda: [*nodes, {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}])


def test_a_cell_gets_a_gpu_where_there_are_any_unless_another_number_is_wished():
    assert cluster.choose_gpus(ray_with({"CPU": 4}), None, 2) == 0
    assert cluster.choose_gpus(ray_with({"CPU": 4}, {"CPU": 4, "GPU": 2}), None, 2) == 1
    assert cluster.choose_gpus(ray_with({"CPU": 4, "GPU": 2}), 0.5, 2) == 0.5
    assert cluster.choose_gpus(ray_with({"CPU": 4, "GPU": 2}), 0, 2) == 0


@pytest.mark.parametrize(("gpus", "threads"), [(None, 5), (1.0, 1), (None, 65)])
def test_a_cell_that_no_machine_can_run_is_refused_since_ray_would_wait_for_ever(gpus: float | None, threads: int):
    with pytest.raises(UserError, match=rf"a cell must have {threads} processors .* machines with 4 and 0;"):
        cluster.choose_gpus(ray_with({"CPU": 4}), gpus, threads)


@pytest.mark.parametrize(("of_cluster", "here", "refused"), [("", "token", True), ("", "disabled", False)])
def test_a_cluster_that_asks_for_no_token_is_refused_unless_that_is_meant(
    of_cluster: str, here: str, refused: bool, monkeypatch: pytest.MonkeyPatch
):
    class Ray(SimpleNamespace):
        def remote(self, **_: object) -> Any:
            return lambda function: SimpleNamespace(remote=lambda *_: of_cluster)

    ray = Ray(init=lambda *_, **__: None, get=lambda value, timeout: value, shutdown=lambda: None)
    monkeypatch.setattr(cluster, "import_module", lambda name: ray)
    monkeypatch.setenv("RAY_AUTH_MODE", here)
    if not refused:
        with cluster.connected("head:1") as joined:
            assert joined is ray
        return
    with (
        pytest.raises(UserError, match="--address head:1: Ray must ask for a token there"),
        cluster.connected("head:1"),
    ):
        pass
