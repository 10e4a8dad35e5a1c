"""What travels to the workers, and what is refused because it would not."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from dvc.repo import Repo as DvcRepo

from stages.commands.config import Config, parse_config
from stages.commands.fleet import source
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import load


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of git with some code, of which nothing was committed."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "a.py").write_text("x = 1\n")
    for words in (["init", "-q"], ["add", "stages"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    DvcRepo.init(str(tmp_path)).close()
    (tmp_path / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    monkeypatch.setattr(source, "ROOT", tmp_path)
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
    paths = [*source.git("ls-files", "--", "stages"), "weights", "gone"]
    assert unpacked(source.pack(paths)) == {"stages/a.py": "x = 2\n", "weights": "x = 2\n"}


def test_code_that_git_does_not_know_is_refused(project: Path):
    source.refuse_untracked()
    for name in ("b.py", "c.py"):
        (project / "stages" / name).touch()
    with pytest.raises(UserError, match=r"stages/b\.py and 1 more files: must be tracked by git to travel"):
        source.refuse_untracked()


def test_files_that_git_ignores_are_refused_unless_dvc_ignores_them_too(project: Path):
    (project / ".gitignore").write_text("*.pyc\n*~\n")
    (project / "stages" / "__pycache__").mkdir()
    (project / "stages" / "__pycache__" / "a.pyc").touch()
    source.refuse_untracked()
    (project / "stages" / "a.py~").touch()
    with pytest.raises(UserError, match=r"stages/a\.py~: must be tracked by git to travel"):
        source.refuse_untracked()


def test_weights_in_the_project_travel_and_relative_paths_out_of_it_are_refused():
    assert source.weights_files(config_with_weights("data/weights/w.pt")) == ["data/weights/w.pt"]
    assert source.weights_files(config_with_weights("/data/w.pt")) == []
    with pytest.raises(UserError, match=r"weights\.path: \.\./w\.pt must lie in the project to travel"):
        source.weights_files(config_with_weights("../w.pt"))
