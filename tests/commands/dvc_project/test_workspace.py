"""What DVC says of a workspace: changed stages, dvc.lock, settings of a new workspace."""

import os
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.commands.dvc_project import workspace
from stages.commands.dvc_project.workspace import (
    changed_stages,
    read_lock,
    shared_settings,
    stage_params,
    stage_path,
)
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

PIPELINE = """
stages:
  make:
    matrix: {letter: [a, b, c]}
    cmd: echo ${item.letter} > ${item.letter}.txt
    params: ["${item.letter}"]
    outs: ["${item.letter}.txt"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three stages of one matrix, of which each reads one parameter, run once."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)  # as a command does
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text("a: 1\nb: 1\nc: {deep: [1, 2]}\n")
    with chdir(tmp_path), Repo.init(no_scm=True) as repo:
        repo.reproduce()
    return tmp_path


def dvc_status(project: Path) -> list[str]:
    with Repo(str(project)) as repo:
        return list(repo.status())


def test_changed_stages_are_those_of_dvc_status(project: Path):
    assert changed_stages() == dvc_status(project) == []
    (project / "params.yaml").write_text("a: 1\nb: 2\nc: {deep: [1, 3]}\n")
    assert changed_stages() == dvc_status(project) == ["make@b", "make@c"]
    (project / "params.yaml").write_text("a: 1\nb: 1\nc: {deep: [1, 2]}\n")
    assert changed_stages() == []


def test_what_dvc_cannot_read_is_said(project: Path):
    for name in ("params.yaml", "dvc.lock", "dvc.yaml"):
        whole = (project / name).read_text()
        (project / name).write_text("schema: [")
        remedy = rf"fix {name}, or put it back \(`git checkout HEAD {name}`\)$"
        with pytest.raises(UserError, match=rf"DVC must be able to read .*'{name}', .*; {remedy}"):
            changed_stages()
        (project / name).write_text(whole)
    (project / "dvc.yaml").write_text("stages: {make: {cmd: '${lacks}'}}")
    with pytest.raises(UserError, match=r"Could not find 'lacks'; undo the edits in params\.yaml, dvc\.yaml"):
        changed_stages()


def test_a_lock_is_read_as_it_was_written_and_one_that_was_cut_has_nothing(tmp_path: Path):
    stages = {"finetune@d-m-0-1": {"cmd": "f", "outs": [{"path": "data/x", "md5": "0123"}]}}
    YAML().dump({"schema": "2.0", "stages": stages}, tmp_path / "dvc.lock")
    assert read_lock(tmp_path) == stages
    for cut in ("", "schema: '2.0'\nstages:\n  a: [", "schema: '2.0'\n"):
        (tmp_path / "dvc.lock").write_text(cut)
        assert read_lock(tmp_path) == {}


def test_dvc_lock_is_read_in_c():
    assert YAML(typ="safe").Parser.__name__ == "CParser"


def test_paths_and_parameters_are_those_of_dvc_yaml():
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    path = stage_path("embed", "--out", ("d", "m", "0", 3))
    assert str(path.relative_to(ROOT)) in [
        out.replace("${item.dataset}", "d").replace("${item.model}", "m").replace("${item.fold}", "0")
        .replace("${item.seed}", "3") for out in stages["embed"]["outs"]
    ]  # fmt: skip
    assert stage_params("finetune", ()) == stages["finetune"]["params"]
    assert "models.m.network" in stage_params("finetune", ("d", "m"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<<<<<<< HEAD\nstages:\n", "not valid YAML, line"),
        ("stages:\n".encode("utf-16"), "must be text in UTF-8"),
        (b"", r"something missing \('stages'"),
        (b"- stages\n", r"something missing \('stages'"),
        (b"stages:\n  prepare: {cmd: a}\n", r"something missing \('aggregate'"),
        (b"stages:\n  aggregate: {cmd: a}\n", r"something missing \('--out'"),
    ],
)
def test_a_dvc_yaml_that_is_damaged_is_one_message(tmp_path, monkeypatch, content: bytes, said: str):
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    (tmp_path / "dvc.yaml").write_bytes(content)
    with pytest.raises(UserError, match=rf"dvc\.yaml: .*{said}"):
        stage_path("aggregate", "--out")


def test_an_empty_dvc_yaml_is_not_up_to_date(project: Path):
    (project / "dvc.yaml").write_bytes(b"")
    with pytest.raises(UserError, match=r"dvc\.yaml: must be the whole workflow"):
        changed_stages()


def test_other_workspaces_see_the_same_cache_or_only_the_default_remote(project: Path):
    def settings(*, remote: bool) -> tuple[str, Any]:
        other = project.parent / f"other-{remote}"
        (other / ".dvc").mkdir(parents=True)
        (other / ".dvc" / "config").touch()
        (other / ".dvc" / "config.local").write_text(shared_settings(remote=remote))
        with Repo(str(other)) as repo:
            return repo.cache.local.path, repo.config["remote"].get("store")

    cached = Path(".dvc", "cache", "files", "md5")
    assert settings(remote=False) == (str(project / cached), None)
    with pytest.raises(UserError, match="--remote needs a default DVC remote, found none"):
        shared_settings(remote=True)
    (project / ".dvc" / "config").write_text(
        "[core]\nno_scm = true\nremote = store\n['remote \"store\"']\nurl = ../../store\n"
    )
    (project / ".dvc" / "config.local").write_text("['remote \"store\"']\nverify = true\n")
    found = settings(remote=True)
    assert found[0] == str(project.parent / "other-True" / cached)
    assert (found[1]["url"], found[1]["verify"]) == (str(project.parent / "store"), True)


def test_a_project_outside_git_is_told_what_dvc_needs(project: Path):
    (project / ".dvc" / "config").write_bytes(b"")
    with pytest.raises(UserError, match=r"not a git repository; make it one \(`git init`\), or .* core\.no_scm true"):
        changed_stages()
