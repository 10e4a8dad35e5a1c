"""The command in a small project: what it prints, what it leaves alone, and what happens while it asks."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from dvc.lock import LockError
from dvc.repo import Repo

from stages.commands.verify import verify as command
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.scratch import remove
from tests.commands.verify.made import contents, damage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

ESCAPE = "\x1b[31m\nred"


@pytest.fixture
def project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("stages.commands.dvc_project.workspace.ROOT", project)
    monkeypatch.setattr("stages.commands.project.ROOT", project)
    return project


def verify(*options: str, said: str = "") -> Result:
    return CliRunner().invoke(command, list(options), input=said)


def asked(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> Result:
    """Repair, and say yes after something has happened."""
    monkeypatch.setattr(click, "confirm", lambda *_, **__: meanwhile())
    return verify("--repair")


@pytest.fixture
def other_dvc() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like DVC at work."""
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_nothing_is_deleted_where_a_stage_began_to_run_while_it_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch, other_dvc: subprocess.Popen[bytes]
):
    rwlock = project / ".dvc" / "tmp" / "rwlock"
    rwlock.write_bytes(b"")
    damage(project / "out" / "big")
    running = json.dumps({"write": {"out": {"pid": other_dvc.pid, "cmd": "dvc repro"}}, "read": {}})
    before = contents(project)
    done = asked(monkeypatch, lambda: rwlock.write_text(running))
    assert isinstance(done.exception, UserError)
    assert f"found that process {other_dvc.pid} does" in str(done.exception)
    assert rwlock.read_text() == running
    assert contents(project) == before


def test_dvc_can_change_nothing_while_it_asks(project: Path, monkeypatch: pytest.MonkeyPatch):
    damage(project / "out" / "big")
    before = contents(project)
    refused: list[bool] = []

    def run() -> None:
        (project / "raw" / "a.txt").write_text("other raw data")
        with chdir(project), Repo() as repo, pytest.raises(LockError):
            repo.reproduce()
        refused.append(True)

    done = asked(monkeypatch, run)
    assert refused
    assert isinstance(done.exception, UserError)  # of the edit
    assert contents(project) == before


@pytest.mark.parametrize("name", ["single", "raw/a.txt"])
def test_nothing_is_deleted_where_something_changed_while_it_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    damage(project / "out" / "big")
    done = asked(monkeypatch, lambda: damage(project / name))
    assert isinstance(done.exception, UserError)
    assert "project: must be as it was when you were asked, found it changed; verify again" in str(done.exception)
    assert (project / "out" / "big").is_file()


def test_files_that_dvc_ignores_are_not_damaged(project: Path):
    (project / ".dvcignore").write_text(".DS_Store\n__pycache__/\n")
    ignored = [project / "out" / ".DS_Store", project / "out" / "__pycache__" / "a.pyc"]
    for path in ignored:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"of the system")
    done = verify("--repair", "--yes")
    assert "all are as they were written" in done.stdout
    assert done.exit_code == 0
    assert all(path.is_file() for path in ignored)


def test_names_reach_the_terminal_without_escapes(project: Path):
    for name in (ESCAPE.encode(), b"not \xff UTF-8"):
        Path(os.fsdecode(os.fsencode(project / "out") + b"/" + name)).write_bytes(b"planted")
    done = verify()
    assert done.exit_code == 1
    assert "\n  out/\\x1b[31m\\nred: a file that dvc.lock does not name (make)\n" in done.stdout
    assert "\n  out/not \\udcff UTF-8: a file that dvc.lock does not name" in done.stdout
    assert verify("--repair", "--yes").exit_code == 0
    assert sorted(path.name for path in (project / "out").iterdir()) == ["big", "sub"]


def test_what_is_damaged_is_said_for_programs_alone_without_a_repair(project: Path):
    assert json.loads(verify("--json").stdout)["damaged"] == []
    damage(project / "out" / "big")
    done = verify("--json")
    (line,) = json.loads(done.stdout)["damaged"]
    assert (done.exit_code, line.startswith("out/big: ")) == (1, True)
    assert line in verify().stdout
    assert "without --repair" in str(verify("--json", "--repair").exception)


def test_what_is_not_there_is_said_and_no_damage(project: Path):
    assert "not here" not in verify().stdout
    (project / "single").unlink()
    shutil.rmtree(project / "raw")
    done = verify()
    assert (
        "all are as they were written\nnot here, and so not compared: single, raw (`dvc pull` takes outputs from"
        in done.stdout
    )
    assert done.exit_code == 0
    assert json.loads(verify("--json").stdout)["absent"] == ["single", "raw"]


def test_what_the_grid_no_longer_has_is_named_as_not_compared(project: Path):
    assert "not in the grid" not in verify().stdout
    (project / "dvc.yaml").write_text((project / "dvc.yaml").read_text().replace("  make:", "  remake:"))
    assert "in dvc.lock but not in the grid, and so not compared: make (add" in verify().stdout
    assert json.loads(verify("--json").stdout)["outside"] == ["make"]


@pytest.mark.parametrize(
    ("content", "found"),
    [("", "be the whole workflow, found something missing"), ("stages: {}\n", "have stages, found none")],
)
def test_a_pipeline_without_stages_is_refused(project: Path, content: str, found: str):
    (project / "dvc.yaml").write_text(content)
    damage(project / "out" / "big")
    done = verify()
    assert isinstance(done.exception, UserError)
    assert f"dvc.yaml: must {found}" in str(done.exception)


PIPELINE = """
stages:
  train:
    cmd: python stages/train.py
    deps: [stages/train.py]
    params: [train]
    outs: [weights]
  draw:
    cmd: python draw.py
    deps: [draw.py, weights]
    outs: [figures, table]
"""
TRAIN = """
from pathlib import Path
Path("weights").write_text("w")
Path("runs").open("a").write("train ")
"""
DRAW = """
from pathlib import Path
Path("figures").mkdir()
for name in ("figures/a", "figures/b", "table"):
    Path(name).write_text(name)
Path("runs").open("a").write("draw ")
"""


@pytest.fixture
def two_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("stages.commands.dvc_project.workspace.ROOT", tmp_path)
    monkeypatch.setattr("stages.commands.project.ROOT", tmp_path)
    (tmp_path / "stages").mkdir()
    files = {
        "dvc.yaml": PIPELINE,
        "stages/train.py": TRAIN,
        "draw.py": DRAW,
        "params.yaml": "train: {rate: 0.1, steps: 5}",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with chdir(tmp_path), Repo.init(no_scm=True) as repo:
        repo.reproduce()
    return tmp_path


def object_of(path: Path, content: bytes) -> Path:
    md5 = hashlib.md5(content).hexdigest()
    return path.parent / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def edit_params(folder: Path) -> str:
    (folder / "params.yaml").write_text("train: {rate: 0.2, steps: 5}")
    return "train.rate was 0.1, is 0.2 (train)"


def add_a_parameter(folder: Path) -> str:
    (folder / "dvc.yaml").write_text(PIPELINE.replace("params: [train]", "params: [train, seed]"))
    (folder / "params.yaml").write_text("{train: {rate: 0.1, steps: 5}, seed: 3}")
    return "seed was None, is 3 (train)"


def edit_command(folder: Path) -> str:
    (folder / "dvc.yaml").write_text(PIPELINE.replace("python draw.py", "python -X dev draw.py"))
    return "the command in dvc.yaml is another (draw)"


def read_more(folder: Path) -> str:
    (folder / "dvc.yaml").write_text(PIPELINE.replace("[stages/train.py]", "[stages/train.py, draw.py]"))
    return "draw.py is not what was read (train)"


def edit_code(folder: Path) -> str:
    (folder / "stages" / "train.py").write_text(f"{TRAIN}print()")
    return "stages/train.py is not what was read (train)"


def lack_raw_data(folder: Path) -> str:
    (folder / "draw.py").unlink()
    return "draw.py is not here (draw)"


def lack_what_it_reads(folder: Path) -> str:
    """As in a clone that has pulled the last results alone."""
    object_of(folder / "weights", b"w").unlink()
    shutil.rmtree(folder / ".dvc" / "cache" / "runs")
    (folder / "weights").unlink()
    return "weights is not here (try `dvc pull`) (train)"


@pytest.mark.parametrize(
    "edit", [edit_params, add_a_parameter, edit_command, read_more, edit_code, lack_raw_data, lack_what_it_reads]
)
def test_no_stage_runs_again_on_something_else_than_dvc_lock_says(two_stages: Path, edit: Callable[[Path], str]):
    table = two_stages / "table"
    expected = edit(two_stages)
    damage(object_of(table, b"table"))
    assert "repairs this: it deletes 1 file, stores 1 object" in verify().stdout  # a copy is no stage
    damage(table)
    before = table.read_bytes()
    done = verify("--repair", "--yes")
    assert isinstance(done.exception, UserError)
    assert f"draw: must run again on what dvc.lock says, found otherwise: {expected}; put that" in str(done.exception)
    assert table.read_bytes() == before
    assert object_of(table, b"table").is_file()
    assert (two_stages / "runs").read_text() == "train draw "
    assert f"would refuse to repair this: {done.exception}" in verify().stdout


def test_a_copy_is_put_back_whatever_was_edited(two_stages: Path):
    edit_params(two_stages)
    damage(two_stages / "table")
    assert verify("--repair", "--yes").exit_code == 0
    assert (two_stages / "table").read_text() == "table"
    assert (two_stages / "runs").read_text() == "train draw "


@pytest.mark.parametrize("lost", ["table", "figures"])
def test_what_an_interrupted_repair_deleted_is_lost_and_made_again(two_stages: Path, lost: str):
    content = {"table": b"table", "figures": b"figures/b"}[lost]
    object_of(two_stages / lost, content).unlink()
    remove(two_stages / lost)
    done = verify()
    assert f"\n  {lost}: no file (draw)\n" in done.stdout
    assert "not here" not in done.stdout
    assert done.exit_code == 1
    assert verify("--repair", "--yes").exit_code == 0
    assert object_of(two_stages / lost, content).read_bytes() == content
    assert (two_stages / "runs").read_text() == "train draw draw "


def test_the_only_copy_of_an_output_is_made_again_if_it_is_damaged(two_stages: Path):
    (two_stages / "table").unlink()
    damage(object_of(two_stages / "table", b"table"))
    assert verify("--repair", "--yes").exit_code == 0
    assert (two_stages / "table").read_text() == "table"


def have_a_remote(folder: Path) -> None:
    with (folder / ".dvc" / "config").open("a") as file:
        file.write("['remote \"mine\"']\n    url = /nowhere\n")


def never_have_made_it(folder: Path) -> None:
    shutil.rmtree(folder / ".dvc" / "cache" / "runs")


def have_it_in_the_cache(folder: Path) -> None:
    cached = object_of(folder / "table", b"table")
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(b"table")


@pytest.mark.parametrize("prepare", [have_a_remote, never_have_made_it, have_it_in_the_cache])
def test_what_may_be_elsewhere_is_not_lost(two_stages: Path, prepare: Callable[[Path], None]):
    object_of(two_stages / "table", b"table").unlink()
    (two_stages / "table").unlink()
    prepare(two_stages)
    done = verify()
    assert "not here, and so not compared: table (`dvc pull` takes outputs from a remote, `dvc repro`" in done.stdout
    assert done.exit_code == 0
