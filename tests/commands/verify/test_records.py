"""Results that were not made of what dvc.lock says: something was edited before DVC hashed it."""

from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner
from dvc.repo import Repo

from stages.commands.verify import verify as command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

MAKE = """
import hashlib, json
from pathlib import Path

raw, edit = Path("raw.txt"), Path("edit")
Path("out").write_text(raw.read_text().upper())
Path("made_of").mkdir(exist_ok=True)
read = {"raw.txt": hashlib.md5(raw.read_bytes()).hexdigest()}
record = {"stage": "make", "parameters": {}, "raw": read, "code": {}}
Path("made_of/make.json").write_text(json.dumps(record))
Path("runs").open("a").write("make ")
if edit.exists():
    edit.rename(raw)
"""
PIPELINE = "stages: {make: {cmd: python make.py, deps: [raw.txt], outs: [out, made_of/make.json]}}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose raw data were edited when its stage had ended, and before DVC hashed them."""
    monkeypatch.setattr("stages.commands.dvc_project.workspace.ROOT", tmp_path)
    monkeypatch.setattr("stages.commands.project.ROOT", tmp_path)
    files = {"raw.txt": "first", "edit": "second", "make.py": MAKE, "dvc.yaml": PIPELINE}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with chdir(tmp_path), Repo.init(no_scm=True) as repo:
        repo.reproduce()
        assert repo.status() == {}
    return tmp_path


def verify(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, [*options])
    return done.exit_code, done.stdout


def test_a_result_that_was_not_made_of_what_dvc_lock_says_is_found_and_made_again(project: Path):
    code, said = verify()
    assert code == 1
    problem = "an edit between its end and DVC's record: raw.txt had other files"
    assert f"\n  made_of/make.json: {problem} (make)\n" in said
    assert f": {problem} (in DVC's run cache)\n" in said
    assert "it deletes 3 files, runs 1 stage again (make)" in said
    assert (project / "out").read_text() == "FIRST"
    assert "all are as they were written" in verify("--repair", "--yes")[1]
    assert (project / "out").read_text() == "SECOND"
    assert (project / "runs").read_text() == "make make "


def test_no_run_of_the_cache_gives_such_a_result_again(project: Path):
    assert verify("--repair", "--yes")[0] == 0
    (project / "out").unlink()
    with chdir(project), Repo() as repo:
        repo.reproduce()
    assert (project / "out").read_text() == "SECOND"


def test_results_in_the_cache_alone_are_found(project: Path):
    with chdir(project), Repo() as repo:
        repo.reproduce(force=True)
    assert (project / "out").read_text() == "SECOND"
    code, said = verify()
    assert code == 1
    assert "; 1 damaged:" in said
    assert "(in DVC's run cache)" in said
    assert verify("--repair", "--yes")[0] == 0


def test_an_edit_that_dvc_has_recorded_is_none(project: Path):
    assert verify("--repair", "--yes")[0] == 0
    (project / "raw.txt").write_text("third")
    with chdir(project), Repo() as repo:
        repo.reproduce()
    assert verify() == (0, verify()[1])
