"""Which cells are open, in which order they run, and what computing one consists of."""

import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.commands.config import parse_config, read_config
from stages.commands.fleet import command, grid
from stages.commands.fleet.lock_file import check_prepared
from stages.commands.fleet.task import Outcome, Source, Task
from stages.commands.plan import stale
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import RunParams, load
from tests.workflow import tiny_images

RUN = RunParams.model_validate({"datasets": ["d"], "models": ["m", "n"], "folds": [0, 1], "seeds": [0]})


def test_a_cell_is_open_if_one_of_its_stages_changed_or_follows_one_that_did(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stale, "changed_stages", lambda: ["measure@d-m-1-0", "finetune@d-n-0-0", "aggregate"])
    assert grid.open_cells(RUN) == [("d", "m", "1", 0), ("d", "n", "0", 0)]
    monkeypatch.setattr(stale, "changed_stages", lambda: ["aggregate"])
    assert grid.open_cells(RUN) == []
    monkeypatch.setattr(stale, "changed_stages", lambda: ["prepare@d"])
    assert len(grid.open_cells(RUN)) == 4


def test_a_task_names_the_stages_in_order_and_all_that_prepare_writes():
    known = {name: {"cmd": name} for name in ("prepare@d", "prepare@e", "finetune@d-m-0-1", "aggregate")}
    (task,) = grid.tasks_of([("d", "m", "0", 1)], known)
    outs = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]["prepare"]["outs"]
    assert task.name == "d-m-0-1"
    assert task.grid == {"datasets": ["d"], "models": ["m"], "folds": ["0"], "seeds": [1]}
    assert task.locked == {name: known[name] for name in ("prepare@d", "finetune@d-m-0-1")}
    assert task.stages == ("finetune@d-m-0-1", "embed@d-m-0-1", "measure@d-m-0-1")
    assert f"--log {task.durations}" in (ROOT / "dvc.yaml").read_text()
    assert list(task.inputs) == [out.replace("${item.dataset}", "d") for out in outs]


def test_an_unknown_cell_is_refused_with_some_that_are_known():
    with pytest.raises(UserError, match=r"handwriting-none-0-0: must be a cell of the grid .*handwriting-"):
        command.known_cell(read_config(ROOT / "params.yaml"), "handwriting-none-0-0")


def test_cells_that_are_open_after_the_fleet_are_not_computed_here(monkeypatch: pytest.MonkeyPatch):
    config = read_config(ROOT / "params.yaml")
    monkeypatch.setattr(command, "open_cells", lambda run: [])
    command.refuse_open_again(config)
    monkeypatch.setattr(command, "open_cells", lambda run: [("d", "m", "0", 0), ("d", "m", "1", 0)])
    with pytest.raises(UserError, match=r"cell d-m-0-0 and 1 more: must be in DVC's cache and of this code"):
        command.refuse_open_again(config)


def test_the_last_line_that_says_anything():
    assert stale.last_line("a\nERROR: b \n\n") == "ERROR: b"
    assert stale.last_line("\n") == "nothing was printed"


def test_what_is_done_enters_dvc_lock_in_the_order_of_dvc():
    def done(name: str, *stages: str) -> Outcome:
        return Outcome(name, "", (), {f"{stage}@{name}": {"cmd": stage} for stage in stages}, "", "", 1.0)

    outcomes = {each.name: each for each in (done("d-n-0-0", "finetune"), done("d-m-1-0", "finetune", "embed"))}
    assert list(grid.in_order(RUN, outcomes)) == ["finetune@d-m-1-0", "finetune@d-n-0-0", "embed@d-m-1-0"]


def test_cells_of_images_that_were_never_prepared_are_refused():
    check_prepared({"prepare@d": {}}, "d", remote=False)
    with pytest.raises(UserError, match=r"prepare@d must have run before the cells of d; run `dvc repro prepare@d`$"):
        check_prepared({}, "d", remote=False)
    with pytest.raises(UserError, match=r"and `dvc push --run-cache prepare@d`$"):
        check_prepared({"prepare@e": {}}, "d", remote=True)


def test_cells_of_images_that_other_parameters_made_are_refused():
    params = load(ROOT / "params.yaml")
    of = {"prepare": params["prepare"], "datasets.handwriting": dict(params["datasets"]["handwriting"])}
    check_prepared({"prepare@handwriting": {"params": {"params.yaml": of}}}, "handwriting", remote=False)
    of["datasets.handwriting"]["test"] = 7
    with pytest.raises(UserError, match=r"found others of datasets\.handwriting; run `dvc repro prepare@handwriting`$"):
        check_prepared({"prepare@handwriting": {"params": {"params.yaml": of}}}, "handwriting", remote=False)


def test_cells_run_in_the_order_of_their_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tiny_images(tmp_path / "data" / "raw" / "mine", seed=0)
    content = load(ROOT / "params.yaml")
    network = {"library": "timm", "weights": {"source": "none"}, "image_size": 32}
    content["models"] = {
        name: {"network": {**network, "name": f"test_{name}.r160_in1k"}, "taps": {"layers": "default"}}
        for name in ("resnet", "vit")
    }
    content["datasets"] = {"mine": {"source": "folder", "image_size": 32, "unseen_count": 2, "test_fraction": 0.4}}
    content["finetune"]["steps"] = [0, 2]
    content["run"] |= {"datasets": ["mine"], "models": ["resnet", "vit"], "folds": [0, 1]}
    monkeypatch.setattr(grid, "ROOT", tmp_path)
    config = parse_config(content)
    cells = list(config.run.cells())
    ordered = grid.longest_first(config, cells)
    assert sorted(ordered) == sorted(cells)
    assert [cell[1] for cell in ordered] in (["resnet"] * 2 + ["vit"] * 2, ["vit"] * 2 + ["resnet"] * 2)


def test_the_order_of_cells_obeys_the_limits_of_params_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tiny_images(tmp_path / "mine", seed=0)
    shutil.make_archive(str(tmp_path / "data" / "raw" / "mine" / "images"), "zip", tmp_path / "mine")
    content = load(ROOT / "params.yaml")
    content["datasets"] = {"mine": {"source": "folder", "image_size": 32, "unseen_count": 2, "test_fraction": 0.4}}
    content["prepare"]["limits"]["files"] = 5
    content["run"] |= {"datasets": ["mine"], "folds": [0]}
    monkeypatch.setattr(grid, "ROOT", tmp_path)
    config = parse_config(content)
    with pytest.raises(UserError, match=r"images\.zip.* 5 files"):
        grid.longest_first(config, list(config.run.cells()))


def test_the_lines_of_cells_that_failed_stand_again_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tasks = [Task(name, (), (), "", {}, {}) for name in "abc"]
    outcomes = [Outcome(name, "embed@b" if name == "b" else "", (), {}, "why", "h", 1.0) for name in "abc"]
    monkeypatch.setattr(command, "run_tasks", lambda *_: iter(outcomes))
    monkeypatch.setattr(command, "record_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "durations_log", lambda: tmp_path / "durations.jsonl")
    found = command.compute(pytest, Source(b"", "", 1), tasks, 0)
    assert list(found) == ["a", "b", "c"]
    *_, counted, failed = capsys.readouterr().out.splitlines()
    assert counted == "fleet: 2 from the cache, 1 failed, 0 s"
    assert failed == f"b: embed@b failed on h: why; see {tmp_path / 'b.log'}"


def test_modules_that_ray_sends_away_import_nothing_else_of_the_project():
    texts = [Path(grid.__file__).with_name(name).read_text() for name in ("worker.py", "task.py")]
    imported = re.findall(r"(?m)^\s*(?:from|import) (stages\S*)", "".join(texts))
    assert imported == ["stages.commands.fleet.task"]
