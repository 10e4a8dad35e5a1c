"""DVC files that lie in a folder of images or weights from someone else."""

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")
ROOT = Path(__file__).parents[1]
FOREIGN = "stages: {{foreign: {{cmd: touch {}}}}}"
OURS = """
stages:
  ours:
    cmd: cat data/raw/mine/a/1.png weights/net.bin > result
    deps: [data/raw/mine, weights]
    outs: [result]
"""


@pytest.fixture(params=["git", "core.no_scm"])
def project(request, tmp_path, monkeypatch):
    files = {
        "dvc.yaml": OURS,
        "data/raw/mine/a/1.png": "one",
        "weights/net.bin": "net",
        **{
            f"{folder}/dvc.yaml": FOREIGN.format(tmp_path / "ran")
            for folder in ("data", "data/raw", "data/raw/mine", "data/raw/mine/a", "weights")
        },
        "data/raw/mine/.dvcignore": "!dvc.yaml\n!*.dvc\n",
        "data/raw/mine/a/2.dvc": "cmd: touch " + str(tmp_path / "ran"),
        "weights/deep/er/net.dvc": "cmd: touch " + str(tmp_path / "ran"),
    }
    folder = tmp_path / "project"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    if request.param == "git":
        subprocess.run(["git", "init", "-q", folder], check=True)
    Repo.init(str(folder), no_scm=request.param != "git").close()
    monkeypatch.chdir(folder)
    return folder


def test_dvc_collects_and_runs_the_workflow_at_the_top_alone(project, tmp_path):
    with Repo() as repo:
        assert [stage.addressing for stage in repo.index.stages] == ["ours"]
        assert [stage.addressing for stage in repo.reproduce()] == ["ours"]
        assert repo.reproduce() == []
        (project / "data/raw/mine/a/1.png").write_text("two")
        assert [stage.addressing for stage in repo.reproduce()] == ["ours"]  # the raw folder is hashed as before
    assert (project / "result").read_text() == "twonet"
    assert not (tmp_path / "ran").exists()


def test_without_the_projects_dvcignore_it_would_run_them(project, tmp_path):
    (project / ".dvcignore").unlink()
    for file in (*project.rglob("*.dvc"), project / "data/raw/mine/.dvcignore"):
        if file.is_file():
            file.unlink()
    with Repo() as repo:
        repo.reproduce(all_pipelines=True)
    assert (tmp_path / "ran").exists()
