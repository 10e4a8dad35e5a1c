"""`whichlayer init`: a project apart from any checkout, and an update of its code."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from stages.commands.init import init
from stages.commands.launcher import is_trusted
from stages.shared.runtime.errors import UserError
from tests.workflow import ROOT


def run(*args):
    return CliRunner().invoke(init, [str(each) for each in args], catch_exceptions=False)


def git(folder, *args):
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", autouse=True)
def config(tmp_path_factory):
    """A folder of settings apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory, config):
    folder = tmp_path_factory.mktemp("init") / "mine"
    run(folder)
    return folder


def test_a_project_is_trusted_and_one_that_cannot_be_is_made_all_the_same(project, tmp_path, monkeypatch):
    assert is_trusted(project)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    done = run(tmp_path / "other")
    assert done.stderr.startswith(f"note: {tmp_path / 'other'}: cannot be kept as a trusted folder: ")
    assert done.stdout.startswith("next: cd ")
    assert not is_trusted(tmp_path / "other")


def test_a_project_is_committed_whole_and_its_own_code_runs_there(project):
    assert git(project, "status", "--porcelain") == ""
    assert (project / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert not [*project.rglob("__pycache__")]
    module = project / "stages" / "commands" / "check.py"
    module.write_text(module.read_text().replace('f"check: ', 'f"mine: '))
    code = "import sys; sys.argv[1:] = ['check']; from stages.commands.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    git(project, "checkout", "-q", "stages")
    assert done.stdout.startswith("mine: params.yaml is valid"), done.stderr


def test_an_update_replaces_the_code_and_keeps_the_parameters(project):
    (project / "params.yaml").write_text("run: mine\n")
    (project / "stages" / "own.py").write_text("")
    with pytest.raises(UserError, match="committed before it is replaced"):
        run("--update", project)
    (project / "stages" / "library" / "__init__.py").write_text("")
    git(project, "add", "-A")
    git(project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "own")
    run("--update", project)
    assert (project / "params.yaml").read_text() == "run: mine\n"
    assert (project / "stages" / "library" / "__init__.py").read_bytes() != b""
    assert not (project / "stages" / "own.py").exists()


def test_nothing_is_overwritten_and_a_folder_that_is_no_project_not_updated(tmp_path, project):
    with pytest.raises(UserError, match="must not exist"):
        run(project)
    with pytest.raises(UserError, match="must be another project"):
        run("--update", tmp_path)
