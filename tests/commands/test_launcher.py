"""The installed launcher: it finds the project from the working directory and runs that project's code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.commands import launcher
from tests.workflow import ROOT

MAIN = "from whichlayer.launcher import main; main()"
CLI = 'import sys\n\n\ndef main():\n    print("{name}", sys.argv[1:])\n    sys.exit({status})\n'


def write_project(folder: Path, status: int = 0) -> Path:
    """A project whose command line says which one it is."""
    (folder / "stages" / "commands").mkdir(parents=True)
    (folder / "dvc.yaml").touch()
    (folder / "stages" / "__init__.py").touch()
    (folder / "stages" / "commands" / "__init__.py").touch()
    (folder / "stages" / "commands" / "cli.py").write_text(CLI.format(name=folder.name, status=status))
    (folder / "stages" / "library.py").write_text(f"score = {folder.name!r}")
    return folder


@pytest.fixture
def installed(tmp_path: Path):
    """Run the launcher as if it were installed: a module apart from every project."""
    site = tmp_path / "site"
    (site / "whichlayer").mkdir(parents=True)
    shutil.copy(launcher.__file__, site / "whichlayer")
    shutil.copy(Path(launcher.__file__).with_name("installed.py"), site / "whichlayer" / "__init__.py")
    write_project(site / "whichlayer" / "project")

    def run(folder: Path, *args: str, code: str = MAIN) -> subprocess.CompletedProcess[str]:
        code = f"import sys; sys.path.insert(0, {str(site)!r}); {code}"
        return subprocess.run(
            [sys.executable, "-P", "-c", code, *args], cwd=folder, capture_output=True, text=True, check=False
        )

    return run


def test_the_project_of_the_working_directory_runs_its_own_code(installed, tmp_path: Path):
    first, second = write_project(tmp_path / "first"), write_project(tmp_path / "second", status=2)
    assert installed(first, "check", "-x").stdout == "first ['check', '-x']\n"
    assert (installed(second).stdout, installed(second).returncode) == ("second []\n", 2)


def test_a_folder_inside_a_project_will_do_and_the_nearest_project_counts(installed, tmp_path: Path):
    outer = write_project(tmp_path / "outer")
    (outer / "data" / "raw").mkdir(parents=True)
    (outer / "data" / "dvc.yaml").touch()  # not a project
    assert installed(outer / "data" / "raw").stdout == "outer []\n"
    assert installed(write_project(outer / "data" / "inner")).stdout == "inner []\n"


def test_outside_of_a_project_the_copy_beside_it_runs(installed, tmp_path: Path):
    assert installed(tmp_path, "check").stdout == "project ['check']\n"


def test_the_library_is_that_of_the_project_too(installed, tmp_path: Path):
    show = "import whichlayer; print(whichlayer.score)"
    assert installed(write_project(tmp_path / "first"), code=show).stdout == "first\n"
    assert installed(tmp_path, code=show).stdout == "project\n"
    other = installed(tmp_path, code=f"import json as stages; sys.modules['stages'] = stages; {show}")
    assert "ImportError: whichlayer needs its own package `stages`, found another one" in other.stderr


@pytest.mark.slow
def test_the_installed_command_runs_the_code_of_the_clone_that_it_is_called_in(tmp_path: Path):
    command = Path(sys.executable).parent / "whichlayer"
    assert command.is_file(), "run `make setup`, which installs it"
    for name in ("first", "second"):
        clone = tmp_path / name
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        shutil.copytree(ROOT / "stages", clone / "stages", dirs_exist_ok=True)
        check = clone / "stages" / "commands" / "check.py"
        text = check.read_text()
        assert 'f"check: ' in text
        check.write_text(text.replace('f"check: ', f'f"{name} check: '))
        done = subprocess.run([command, "check"], cwd=clone / "docs", capture_output=True, text=True, check=False)
        assert done.stdout.startswith(f"{name} check: params.yaml is valid; 4 cells"), done.stderr
