"""The command in a small project: what it finds, removes and leaves alone, and what DVC makes of it afterwards."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dvc.repo import Repo

from stages.commands.verify import verify as command
from stages.shared.runtime.errors import UserError
from tests.commands.verify.made import contents, damage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


@pytest.fixture
def project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("stages.commands.dvc_project.workspace.ROOT", project)
    monkeypatch.setattr("stages.commands.project.ROOT", project)
    monkeypatch.setattr("stages.commands.verify.ROOT", project)
    return project


def verify(*options: str) -> Result:
    return CliRunner().invoke(command, list(options))


def damaged() -> list[str]:
    return json.loads(verify("--json").stdout)["damaged"]


def repro(project: Path) -> None:
    with chdir(project), Repo() as repo:
        repo.reproduce()


def cached(project: Path, name: str) -> Path:
    """The object of a file of the workspace."""
    md5 = hashlib.md5((project / name).read_bytes()).hexdigest()
    return project / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def listing(project: Path) -> Path:
    (found,) = (project / ".dvc/cache/files/md5").glob("*/*.dir")
    return found


def rot(name: str) -> Callable[[Path], list[Path]]:
    def harm(project: Path) -> list[Path]:
        damage(project / name)
        return [project / name]

    return harm


def rot_an_object(project: Path) -> list[Path]:
    path = cached(project, "out/big")
    damage(path)
    return [path]


def rot_both(project: Path) -> list[Path]:
    return [*rot_an_object(project), *rot("out/big")(project)]


def rot_the_list(project: Path) -> list[Path]:
    path = listing(project)
    damage(path)
    return [path]


def rot_the_list_and_a_file(project: Path) -> list[Path]:
    """Nothing tells which file of the folder is damaged."""
    damage(project / "out" / "big")
    return [*rot_the_list(project), project / "out"]


def lose_a_file(project: Path) -> list[Path]:
    (project / "out" / "big").unlink()
    return [project / "out" / "big"]


def add_a_file(project: Path) -> list[Path]:
    (project / "out" / "new").write_text("new")
    return [project / "out" / "new"]


def link_to_nothing(project: Path) -> list[Path]:
    (project / "single").unlink()
    (project / "single").symlink_to(project / "lost")
    return [project / "single"]


RERUN = [rot_an_object, rot_both, rot_the_list, rot_the_list_and_a_file]
RESTORED = [rot("out/big"), rot("single"), rot("counts.json"), lose_a_file, add_a_file, link_to_nothing]


@pytest.mark.parametrize("harm", [*RERUN, *RESTORED])
def test_damage_is_found_removed_on_request_and_made_again_by_dvc(project: Path, harm: Callable[[Path], list[Path]]):
    assert damaged() == []
    before, places = contents(project), harm(project)
    found = damaged()
    assert sorted(line.partition(": ")[0] for line in found) == sorted(str(p.relative_to(project)) for p in places)
    assert verify().exit_code == 1
    assert verify("--remove").exit_code == 0
    assert not [place for place in places if os.path.lexists(place)]
    repro(project)
    assert contents(project) == before
    assert damaged() == []
    assert (project / "runs").read_text() == ("make make " if harm in RERUN else "make ")


def test_a_damaged_object_is_not_checked_out(project: Path):
    """As `dvc checkout` does without a word of an object that was not removed."""
    damage(cached(project, "single"))
    (project / "single").unlink()
    assert verify("--remove").exit_code == 0
    repro(project)
    assert (project / "single").read_text() == "raw data!"


def test_raw_data_are_named_and_left_alone(project: Path):
    damage(project / "raw" / "a.txt")
    before = (project / "raw" / "a.txt").read_bytes()
    done = verify("--remove")
    assert done.exit_code == 1
    assert "\n  raw: other content (make)\n" in done.stdout
    assert (project / "raw" / "a.txt").read_bytes() == before


def test_files_that_dvc_ignores_are_not_damaged(project: Path):
    (project / ".dvcignore").write_text(".DS_Store\n")
    (project / "out" / ".DS_Store").write_bytes(b"of the system")
    assert verify("--remove").exit_code == 0
    assert (project / "out" / ".DS_Store").is_file()


def test_names_reach_the_terminal_without_escapes(project: Path):
    (project / "out" / "\x1b[31m\nred").write_bytes(b"planted")
    assert "\n  out/\\x1b[31m\\nred: a file that dvc.lock does not name (make)\n" in verify().stdout


def test_what_is_not_there_is_named_and_no_damage(project: Path):
    (project / "single").unlink()
    shutil.rmtree(project / "raw")
    done = verify()
    assert (done.exit_code, json.loads(verify("--json").stdout)["absent"]) == (0, ["single", "raw"])
    assert "not here, and so not compared: single, raw" in done.stdout


def test_what_the_grid_no_longer_has_is_named_as_not_compared(project: Path):
    (project / "dvc.yaml").write_text((project / "dvc.yaml").read_text().replace("  make:", "  remake:"))
    assert json.loads(verify("--json").stdout)["outside"] == ["make"]


@pytest.mark.parametrize("content", ["", "stages: {}\n"])
def test_a_pipeline_without_stages_is_refused(project: Path, content: str):
    (project / "dvc.yaml").write_text(content)
    damage(project / "out" / "big")
    with pytest.raises(UserError, match=r"dvc\.yaml: must "):
        raise verify().exception or AssertionError


def test_nothing_is_removed_while_a_stage_runs(project: Path):
    damage(project / "out" / "big")
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as process:
        held = {"write": {str(project / "out"): {"pid": process.pid, "cmd": "dvc repro"}}, "read": {}}
        (project / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))
        with pytest.raises(UserError, match=r"is busy.*; wait until the other DVC has ended"):
            raise verify("--remove").exception or AssertionError
        process.communicate(b"\n")
    assert (project / "out" / "big").is_file()
    assert verify("--remove").exit_code == 0  # its entry is of a process that has ended
