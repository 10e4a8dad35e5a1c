"""What travels to the workers and what is refused because it would not; what computing a cell consists of."""

import io
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from dvc.repo import Repo as DvcRepo

from stages.commands.config import Config, parse_config, read_config
from stages.commands.dvc_project import workspace
from stages.commands.fleet import cells, command
from stages.commands.fleet.cells import check_prepared
from stages.commands.fleet.worker import Outcome, write_state
from stages.commands.grid import ON_CPU, ON_GPU, stage_names
from stages.commands.plan.command import plan_lines
from stages.commands.project import ROOT
from stages.shared.core.params import RunParams, load
from stages.shared.runtime.errors import UserError
from tests.workflow import tiny_images

CONFIG = read_config(ROOT / "params.yaml")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of git with some code, of which nothing was committed."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "a.py").write_text("x = 1\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    for words in (["init", "-q"], ["add", "stages", "dvc.yaml"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    DvcRepo.init(str(tmp_path)).close()
    (tmp_path / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    monkeypatch.setattr(cells, "ROOT", tmp_path)
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    return tmp_path


def config_with_weights(path: str) -> Config:
    content = load(ROOT / "params.yaml")
    model = content["models"][content["run"]["models"][0]]
    model["network"]["weights"] = {"source": "file", "path": path, "sha256": "0123456789abcdef"}
    return parse_config(content)


def unpacked(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        members = [member for member in files.getmembers() if member.isfile()]
        return {member.name: files.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]


def test_files_travel_as_they_are_now_also_what_a_link_names(project: Path):
    (project / "stages" / "a.py").write_text("x = 2\n")
    (project / "weights").symlink_to(project / "stages" / "a.py")
    paths = [*cells.git("ls-files", "--", "stages"), "weights", "gone"]
    assert unpacked(cells.pack(paths)) == {"stages/a.py": "x = 2\n", "weights": "x = 2\n"}


def test_code_that_git_does_not_know_is_refused(project: Path):
    cells.read_source(CONFIG, 1, remote=False)
    for name in ("b.py", "c.py"):
        (project / "stages" / name).touch()
    with pytest.raises(UserError, match=r"stages/b\.py, stages/c\.py: must be tracked by git to travel"):
        cells.read_source(CONFIG, 1, remote=False)


def test_files_that_git_ignores_are_refused_unless_dvc_ignores_them_too(project: Path):
    (project / ".gitignore").write_text("*.pyc\n*~\n")
    (project / "stages" / "__pycache__").mkdir()
    (project / "stages" / "__pycache__" / "a.pyc").touch()
    cells.read_source(CONFIG, 1, remote=False)
    (project / "stages" / "a.py~").touch()
    with pytest.raises(UserError, match=r"stages/a\.py~: must be tracked by git to travel"):
        cells.read_source(CONFIG, 1, remote=False)


def test_weights_in_the_project_travel_and_relative_paths_out_of_it_are_refused(project: Path):
    (project / "w.pt").write_text("weights")
    assert unpacked(cells.read_source(config_with_weights("w.pt"), 1, remote=False).files)["w.pt"] == "weights"
    assert "data/w.pt" not in unpacked(cells.read_source(config_with_weights("/data/w.pt"), 1, remote=False).files)
    with pytest.raises(UserError, match=r"weights\.path: \.\./w\.pt must lie in the project to travel"):
        cells.read_source(config_with_weights("../w.pt"), 1, remote=False)


def test_a_task_names_its_stages_in_order_and_what_they_read_of_others():
    stages = ("prepare@d", "finetune@d-m-0-1", "embed@d-m-0-1", "measure@d-m-0-1")
    known = {name: {"cmd": name} for name in (*stages[:3], "prepare@e", "aggregate")}
    whole = cells.task_of(("d", "m", "0", 1), known)
    first, second = (cells.task_of(("d", "m", "0", 1), known, stages) for stages in (ON_GPU, ON_CPU))
    assert whole.name == first.name == second.name == "d-m-0-1"
    assert whole.grid == {"datasets": ["d"], "models": ["m"], "folds": ["0"], "seeds": [1]}
    assert whole.locked == {name: known[name] for name in stages[:3]}
    assert (whole.stages, first.stages, second.stages) == (stages[1:], stages[1:3], stages[3:])
    assert f"--log {whole.durations}" in (ROOT / "dvc.yaml").read_text()
    assert whole.inputs == ("data/prepared/d", "data/thumbnails/d", "data/made_of/prepare.d.json")
    assert first.inputs == ("data/prepared/d", "data/made_of/prepare.d.json")
    records = [f"data/made_of/{name}.json" for name in ("prepare.d", "finetune.d-m-0-1", "embed.d-m-0-1")]
    assert sorted(second.inputs) == sorted(["data/thumbnails/d", "data/embeddings/d/m/0/1", *records])  # no weights
    assert whole.training == first.training == "data/checkpoints/d/m/0/1"
    assert second.training == ""


def test_an_unknown_cell_is_refused_with_some_that_are_known():
    with pytest.raises(UserError, match=r"handwriting-none-0-0: must be a cell of the grid .*handwriting-"):
        CliRunner().invoke(command.cell, ["handwriting-none-0-0"], catch_exceptions=False)


def test_what_is_done_enters_dvc_lock_in_the_order_of_dvc_and_what_is_open_is_not_computed_here(
    monkeypatch: pytest.MonkeyPatch,
):
    def done(name: str, *stages: str) -> Outcome:
        return Outcome(name, "", (), {f"{stage}@{name}": {"cmd": stage} for stage in stages}, "", "", 1.0)

    entered: list[str] = []
    monkeypatch.setattr(command, "enter", lambda computed, remote: entered.extend(computed))
    monkeypatch.setattr(command, "open_stages", lambda run, allow_missing: set())
    monkeypatch.setattr(command, "open_cells", lambda run, stale: [])
    run = RunParams.model_validate({"datasets": ["d"], "models": ["m", "n"], "folds": [0, 1], "seeds": [0]})
    config = replace(read_config(ROOT / "params.yaml"), run=run)
    outcomes = [done("d-n-0-0", "finetune"), done("d-m-1-0", "finetune", "embed")]
    command.finish(config, outcomes, remote=False)
    assert entered == ["finetune@d-m-1-0", "finetune@d-n-0-0", "embed@d-m-1-0"]
    monkeypatch.setattr(command, "open_cells", lambda run, stale: [("d", "m", "0", 0), ("d", "m", "1", 0)])
    with pytest.raises(UserError, match=r"cells d-m-0-0, d-m-1-0: must be in DVC's cache and of this code"):
        command.finish(config, outcomes, remote=False)
    with pytest.raises(UserError, match=r"1 of 3 cells failed \(d-m-0-0\); the others are done"):
        command.finish(config, [*outcomes, replace(done("d-m-0-0"), failed="embed")], remote=False)


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


def test_cells_of_images_of_other_raw_data_are_refused_where_these_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cells, "RAW", tmp_path)
    check_prepared({"prepare@d": {}}, "d", remote=False, stale=["prepare@d"])  # raw data are elsewhere
    (tmp_path / "d").mkdir()
    check_prepared({"prepare@d": {}}, "d", remote=False, stale=["prepare@e"])
    with pytest.raises(UserError, match=r"prepare@d must be here, of the raw data .*; run `dvc repro prepare@d`$"):
        check_prepared({"prepare@d": {}}, "d", remote=False, stale=["prepare@d"])


@pytest.fixture
def listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunParams:
    """A grid of two cells, whose stages are open, with raw data and a record of cells."""
    run = RunParams.model_validate({"datasets": ["d"], "models": ["m"], "folds": [0, 1], "seeds": [0]})
    (tmp_path / "raw" / "d").mkdir(parents=True)
    monkeypatch.setattr(cells, "RAW", tmp_path / "raw")
    monkeypatch.setattr(command, "read_config", lambda params: replace(CONFIG, run=run))
    monkeypatch.setattr(command, "read_lock", lambda folder: {"prepare@d": {}})
    monkeypatch.setattr(command, "record_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "plan_lines", lambda config, raw: [])
    monkeypatch.setattr(cells, "longest_first", lambda lines, todo: todo)
    every = {name for cell in run.cells() for name in stage_names(cell)}
    monkeypatch.setattr(command, "open_stages", lambda run, allow_missing: every)
    return run


def test_no_cell_is_listed_and_no_result_given_of_images_of_other_raw_data(
    listing: RunParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stale = {"prepare@d", *stage_names(("d", "m", "0", 0))}
    monkeypatch.setattr(command, "open_stages", lambda run, allow_missing: stale)
    monkeypatch.setattr(command, "changed_stages", lambda *stages: list(stages))
    monkeypatch.setattr(cells, "aggregate_done", lambda *_, **__: pytest.fail("of other images"))
    for words in (["list"], ["results", "--allow-missing", "--out", str(tmp_path / "out")]):
        with pytest.raises(UserError, match="prepare@d must be here, of the raw data and code that are here"):
            CliRunner().invoke(command.fleet, words, catch_exceptions=False)
    monkeypatch.setattr(cells, "aggregate_done", lambda *_, **__: None)
    monkeypatch.setattr(command, "read_lock", lambda folder: {})  # one that never ran has no cell to leave out
    CliRunner().invoke(command.fleet, ["results", "--out", str(tmp_path / "out")], catch_exceptions=False)


def test_a_cell_that_was_computed_is_listed_no_more(listing: RunParams, tmp_path: Path):
    write_state(tmp_path, "d-m-0-0", "computed", "", {name: {} for name in stage_names(("d", "m", "0", 0))})
    write_state(tmp_path, "d-m-1-0", "failed", "", {"finetune@d-m-1-0": {}})
    listed = CliRunner().invoke(command.fleet, ["list"], catch_exceptions=False)
    assert listed.stdout == "whichlayer fleet cell d-m-1-0\n"
    assert listed.stderr == "note: d-m-0-0: computed, and left out; `whichlayer fleet run` takes them\n"


def test_cells_run_in_the_order_of_their_operations(tmp_path: Path):
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
    config = parse_config(content)
    every = list(config.run.cells())
    ordered = cells.longest_first(plan_lines(config, tmp_path / "data" / "raw"), every)
    assert sorted(ordered) == sorted(every)
    assert [cell[1] for cell in ordered] in (["resnet"] * 2 + ["vit"] * 2, ["vit"] * 2 + ["resnet"] * 2)


def test_the_order_of_cells_obeys_the_limits_of_params_yaml(tmp_path: Path):
    tiny_images(tmp_path / "mine", seed=0)
    shutil.make_archive(str(tmp_path / "data" / "raw" / "mine" / "images"), "zip", tmp_path / "mine")
    content = load(ROOT / "params.yaml")
    content["datasets"] = {"mine": {"source": "folder", "image_size": 32, "unseen_count": 2, "test_fraction": 0.4}}
    content["prepare"]["max_pixels"] = 5
    content["run"] |= {"datasets": ["mine"], "folds": [0]}
    with pytest.raises(UserError, match=r"images\.zip.* 5 files"):
        plan_lines(parse_config(content), tmp_path / "data" / "raw")


def test_the_lines_of_cells_that_failed_stand_again_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    outcomes = [Outcome(name, "embed@b" if name == "b" else "", (), {}, "why", "h", 1.0) for name in "abc"]
    monkeypatch.setattr(command, "record_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "stage_path", lambda *_: tmp_path / "durations.jsonl")
    assert command.compute(iter(outcomes), "abc") == outcomes
    *_, counted, failed = capsys.readouterr().out.splitlines()
    assert counted == "fleet: 2 from the cache, 1 failed, 0 s"
    assert failed == f"b: embed@b failed on h: why; see {tmp_path / 'b.log'}"
