"""Make a project apart from any checkout, or bring this release's code to one."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click

from ..shared.runtime.errors import UserError
from ..shared.runtime.package import INSTALLED, OWN, PACKAGE
from .project import check_new, new_output
from .trust import record

KEPT = ("params.yaml", "data")
"""What a project's user changes, which an update leaves as it is."""


def project_files() -> dict[str, Path]:
    """Map the files and folders of a project, which pyproject.toml lists for the wheel, to where they lie."""
    tool = tomllib.loads((OWN / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    held: dict[str, str] = tool["hatch"]["build"]["targets"]["wheel"]["force-include"]
    return {name: PACKAGE.parent / (target if INSTALLED else name) for name, target in held.items()}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--update", is_flag=True, help="Bring this release's code to the project in FOLDER.")
def init(folder: Path, *, update: bool) -> None:
    """Make a project in FOLDER, ready for `dvc repro`: dvc.yaml, params.yaml and the stages, in a git repository.

    With --update FOLDER must already be such a project. It gets this release's code and dvc.yaml, and keeps
    params.yaml and the data. Look at `git diff` afterwards: stages whose code changed run again.
    """
    if update:
        _update(folder)
        print(f"{folder} has this release's code; `git diff` shows what changed")
        return
    check_new(folder, draws=False)
    with new_output(folder) as scratch:
        _copy_all(project_files(), scratch)
        _git(scratch, "init", "-q")
        _git(scratch, "add", "-A")
        _git(scratch, "commit", "-q", "-m", "Start a whichlayer project")
    try:
        record(folder)
    except UserError as error:  # the project is whole
        print(f"note: {error}", file=sys.stderr)
    print(f"next: cd {folder} && dvc repro    (the default study), or: whichlayer new IMAGES")


def _update(folder: Path) -> None:
    if not (folder / "dvc.yaml").is_file() or folder.resolve() == OWN:
        raise UserError(
            f"{folder}: must be another project (`whichlayer init {folder}`), found no project's dvc.yaml there"
        )
    files = {name: source for name, source in project_files().items() if not name.startswith(KEPT)}
    names = ["stages", *files]
    if changed := _git(folder, "status", "--porcelain", "--", *names):
        raise UserError(
            f"{folder}: the code must be committed before it is replaced, found changes:\n{changed.rstrip()}"
        )
    for name in names:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    _copy_all(files, folder)


def _copy_all(files: Mapping[str, Path], to: Path) -> None:
    for name, source in files.items():
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)


def _git(folder: Path, *args: str) -> str:
    """Run git in a folder; a user without a name commits as `whichlayer`.

    Raises:
        UserError: git is missing or fails.
    """
    email = subprocess.run(["git", "config", "user.email"], cwd=folder, capture_output=True, check=False)
    who = [] if email.returncode == 0 else ["-c", "user.name=whichlayer", "-c", "user.email=whichlayer@localhost"]
    done = subprocess.run(["git", *who, *args], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{folder}: git must be able to run `git {args[0]}`, found: {done.stderr.strip()}")
    return done.stdout
