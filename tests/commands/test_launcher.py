"""The installed command: whose code it runs, in a clone, in a stranger's folder and outside of any project."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.commands import launcher
from stages.commands.trust import record
from stages.shared.runtime.errors import UserError
from tests.workflow import ROOT

CLI = 'import sys\n\n\ndef main():\n    print("{name} runs", sys.argv[1:])\n    sys.exit({status})\n'
RAN = "raise SystemExit(f'{__file__} ran')\n"
NOT_TRUSTED = "the installed whichlayer runs, not the code in"


def write_project(folder: Path, status: int = 0) -> Path:
    """A project whose command line tells which one it is."""
    (folder / "stages" / "commands").mkdir(parents=True)
    for name in ("dvc.yaml", "stages/__init__.py", "stages/commands/__init__.py"):
        (folder / name).touch()
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "stages" / "commands" / "cli.py").write_text(CLI.format(name=folder.name, status=status))
    return folder


@pytest.fixture
def environment(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of a user who has trusted nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(launcher.VARIABLE, raising=False)
    return {**os.environ, "PYTHONPATH": str(site)}


@pytest.fixture
def command(site: Path) -> list[str]:
    """Of the installed package, as pip writes it: only its own folder is added to the path."""
    script = site / "bin" / "whichlayer"
    script.parent.mkdir(exist_ok=True)
    script.write_text((ROOT / "stages" / "commands" / "__main__.py").read_text())
    return [sys.executable, str(script)]


@pytest.fixture
def run(command: list[str], environment: dict[str, str]):
    def run(folder: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *args],
            cwd=folder,
            env=environment | more,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


def stranger(folder: Path) -> Path:
    """A downloaded folder that would run code wherever it is let: as a project, as modules, in each process."""
    write_project(folder)
    for name in (
        "stages/__init__.py",
        "click.py",
        "multiprocessing.py",
        "numpy.py",
        "sitecustomize.py",
        "whichlayer.py",
    ):
        (folder / name).write_text(RAN)
    (folder / "stages" / "commands" / "cli.py").write_text(RAN)
    return folder


def test_commands_that_need_no_project_never_run_the_code_of_a_folder(run, tmp_path: Path):
    folder = stranger(tmp_path / "download")
    random = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], 8)
    layers = {name: random.normal(size=(32, 4)).astype(np.float32) for name in ("one", "two")}
    np.savez(folder / "f.npz", labels=labels, **layers)
    for args in (["--version"], ["--help"], ["verdict", "--help"], [], ["quick", "nothing"], ["init", "."]):
        done = run(folder, *args)
        assert " ran" not in done.stdout + done.stderr
        assert "whichlayer " in done.stdout or done.stderr.startswith(("error: .: must not exist", "Usage: "))
        assert NOT_TRUSTED not in done.stderr
    done = run(folder, "score", "f.npz", "--metrics", "nn1_accuracy", WHICHLAYER_WORKERS="2")
    assert (done.returncode, done.stdout[:1]) == (0, "f"), done.stderr
    assert " ran" not in done.stderr


def test_a_strangers_project_runs_only_after_it_was_trusted(run, tmp_path: Path):
    folder = write_project(tmp_path / "study")
    said = run(folder, "verdict")
    assert said.returncode == 2
    assert "study runs" not in said.stdout
    assert said.stderr.startswith(f"{NOT_TRUSTED} {folder}, which is not trusted; to run it, say that")
    assert f"(whichlayer trust {folder}), or set WHICHLAYER_TRUST=1" in said.stderr
    refused = run(folder, "fleet", "--workers", "1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: fleet runs the code in {folder}, which is not trusted; read it, then")
    assert run(folder, "verdict", WHICHLAYER_TRUST="1").stdout == "study runs ['verdict']\n"
    assert "study runs" not in run(folder, "verdict", WHICHLAYER_TRUST="0").stdout
    (folder / "data").mkdir()
    assert run(tmp_path, "trust", "study/data").stdout.startswith(
        f"{folder}: its code runs when `whichlayer` is called"
    )
    done = run(folder / "data", "verdict", "-x")
    assert (done.stdout, done.stderr, done.returncode) == ("study runs ['verdict', '-x']\n", "", 0)
    (tmp_path / "link").symlink_to(folder)
    assert run(tmp_path / "link", "check").stdout == "study runs ['check']\n"


def test_the_installed_code_answers_about_a_project_that_is_not_trusted(run, tmp_path: Path):
    folder = write_project(tmp_path / "study")
    (folder / "params.yaml").write_text("run: 3\n")
    done = run(folder, "check")
    assert done.returncode == 2
    assert f"{folder}/params.yaml: must hold the sections" in done.stderr or "params.yaml: " in done.stderr
    assert done.stderr.startswith(NOT_TRUSTED)


def test_the_nearest_project_counts_and_its_exit_status(run, tmp_path: Path):
    outer = write_project(tmp_path / "outer")
    (outer / "data" / "raw").mkdir(parents=True)
    (outer / "data" / "dvc.yaml").touch()  # not a project
    inner = write_project(outer / "data" / "inner", status=3)
    assert run(outer / "data" / "raw", "check", WHICHLAYER_TRUST="1").stdout == "outer runs ['check']\n"
    run(inner, "trust")
    done = run(inner, "check")
    assert (done.stdout, done.returncode) == ("inner runs ['check']\n", 3)
    assert run(outer, "check").stdout == ""


def test_outside_of_a_project_its_commands_are_refused(run, tmp_path: Path):
    assert "check must be called in a project, found none in" in run(tmp_path, "check").stderr
    assert "must lie in a project, found no folder with dvc.yaml" in run(tmp_path, "trust").stderr


@pytest.mark.parametrize(("answer", "runs"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_it_asks_once(command, environment, tmp_path: Path, answer: str, runs: bool):
    folder = write_project(tmp_path / "study")
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    ends = {"stdin": theirs, "stderr": theirs, "stdout": subprocess.PIPE}
    done = subprocess.run([*command, "verdict"], cwd=folder, env=environment, text=True, **ends)
    os.close(theirs)
    asked = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "Is this folder yours, and may its code run, now and later? [y/N]" in asked
    assert (done.stdout == "study runs ['verdict']\n") == runs
    assert launcher.is_trusted(folder) == runs


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "whichlayer" / "trusted"


def test_a_folder_of_another_owner_in_its_place_is_not_trusted(config: Path, tmp_path: Path):
    folder = write_project(tmp_path / "study")
    launcher.trust(folder)
    assert launcher.is_trusted(folder)
    config.write_text(config.read_text().replace(f"{os.getuid()} ", f"{os.getuid() + 1} "))
    assert not launcher.is_trusted(folder)


def test_folders_that_are_no_more_are_forgotten_and_others_kept(config: Path, tmp_path: Path):
    for name in ("first", "second", "third"):
        launcher.trust(write_project(tmp_path / name))
    shutil.rmtree(tmp_path / "second")
    launcher.trust(tmp_path / "first")
    assert [line.rpartition("/")[2] for line in config.read_text().splitlines()] == ["third", "first"]
    crafted = tmp_path / f"a\n{os.getuid()} " / "home"
    crafted.mkdir(parents=True)
    with pytest.raises(ValueError, match="must have a one-line path"):
        launcher.trust(crafted)


def test_settings_that_cannot_be_kept_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    project = write_project(tmp_path / "study")
    (tmp_path / "file").touch()
    for config, home in ((str(tmp_path / "file"), ""), ("config", ""), ("", "home")):
        monkeypatch.setenv("XDG_CONFIG_HOME", config)
        monkeypatch.setenv("HOME", home)
        with pytest.raises(UserError, match=r"cannot be kept as a trusted folder: .*; set XDG_CONFIG_HOME to a folder"):
            record(project)
        assert not launcher.is_trusted(project)


def test_as_a_module_it_is_the_same_command(site: Path, environment, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "whichlayer", "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    (metadata,) = site.glob("*.dist-info")
    assert metadata.name == f"{done.stdout.strip().replace(' ', '-')}.dist-info"
