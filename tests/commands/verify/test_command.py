"""The command in a small project: what it prints, what it leaves alone, and what happens while it asks."""

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
    assert "all are as they were written\nnot here, and so not compared: single, raw\n" in done.stdout
    assert done.exit_code == 0
    assert json.loads(verify("--json").stdout)["absent"] == ["single", "raw"]
