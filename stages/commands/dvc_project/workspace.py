"""This workspace as DVC sees it: its dvc.yaml, dvc.lock, settings and cache. DVC is imported only when it is asked.

Little of what this folder takes from DVC is public: a new version of DVC is tried against it.
"""

import configparser
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML, YAMLError

from ...shared.runtime.errors import UserError
from ...shared.workflow.params import Cell, read_yaml
from ..project import ROOT

if TYPE_CHECKING:
    from dvc.repo import Repo

PROJECT_FILES = ("dvc.yaml", "dvc.lock", "params.yaml")
"""What DVC reads of the project at once."""

Lock = Mapping[str, Mapping[str, Any]]
"""What dvc.lock says of stages, by their names."""


@contextmanager
def _reading_stages() -> Iterator[None]:
    """Name dvc.yaml where something is not in it: a full disk, a merge or an editor may have left a part of it."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{ROOT / 'dvc.yaml'}: must be the whole workflow, found something missing ({error}); put it back (`git "
            "checkout HEAD dvc.yaml`)"
        ) from None


@_reading_stages()
def stage_path(stage: str, option: str, cell: Cell | None = None) -> Path:
    """Look up in dvc.yaml, the one place that spells artifact paths, what it passes to a stage as an option.

    Args:
        stage: for example `aggregate`.
        option: for example `--out`.
        cell: of a stage that has a matrix: which of its cells.
    """
    words: list[str] = _stages_of(ROOT / "dvc.yaml")[stage]["cmd"].split()
    return ROOT / of_cell(words[words.index(option) + 1], cell or ())


@_reading_stages()
def stage_params(stage: str, cell: Sequence[str]) -> list[str]:
    """Return the dotted names of the parameters that a stage of a cell, or of its first parts, reads."""
    return [of_cell(key, cell) for key in _stages_of(ROOT / "dvc.yaml")[stage]["params"]]


def of_cell(text: str, cell: Sequence[object]) -> str:
    """Put a cell, or its first parts, into a text of dvc.yaml, which has `{dataset}` or `${item.dataset}` for one."""
    for name, value in zip(("dataset", "model", "fold", "seed"), cell, strict=False):
        text = text.replace(f"${{item.{name}}}", str(value)).replace(f"{{{name}}}", str(value))
    return text


@cache
@_reading_stages()
def _stages_of(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise KeyError("stages")
    return stages


def read_lock(folder: Path) -> Lock:
    """Read the dvc.lock of a workspace; nothing if there is none, or DVC was killed while it wrote the file."""
    try:
        return dict(YAML(typ="safe").load(folder / "dvc.lock")["stages"])
    except (OSError, YAMLError, TypeError, KeyError):
        return {}


def check_merged(folder: Path) -> None:
    """Check that dvc.lock has no marks of a conflict; parsed as a whole it would take long in a large grid.

    Raises:
        UserError: it has; names the first line.
    """
    lock = folder / "dvc.lock"
    content = lock.read_bytes() if lock.exists() else b""
    if mark := re.search(rb"^(<{7}|={7}|>{7})", content, re.MULTILINE):
        line = content[: mark.start()].count(b"\n") + 1
        raise UserError(
            f"{lock}: must be merged, found a conflict mark in line {line}; keep one side (`git checkout --ours "
            "dvc.lock`), or put it back (`git checkout HEAD dvc.lock`), and run `dvc repro`"
        )


def enter(computed: Lock, *, remote: bool) -> None:
    """Enter to dvc.lock what workers computed, and put its files into this workspace.

    It is done at once: DVC reads and writes the whole file for every stage that it runs or takes from the cache, which
    takes longer than the stages in a grid of many cells.

    Args:
        computed: stages that lie in DVC's cache or remote, in the order in which DVC would have run them.
        remote: whether they lie in the remote.
    """
    if not computed:
        return
    from dvc.utils.serialize import modify_yaml

    beside = ROOT / ".dvc" / "tmp" / "dvc.lock"
    with open_repo(wait=True) as repo, repo.lock:
        shutil.copyfile(ROOT / "dvc.lock", beside)
        with modify_yaml(beside) as content:
            content["stages"].update(computed)
        beside.replace(ROOT / "dvc.lock")
    kinds = dict.fromkeys(name.partition("@")[0] for name in computed)  # given every name, DVC takes minutes
    # As `dvc repro`, replace what is there (--force); a cell that failed has no entry (--allow-missing).
    run_dvc("pull" if remote else "checkout", "--force", "--allow-missing", *kinds)


def shared_settings(*, remote: bool) -> str:
    """Return DVC's settings (config.local) for other workspaces: with this one's cache, or only its default remote.

    Raises:
        UserError: there is no default remote.
    """
    settings = configparser.RawConfigParser()
    settings.read(ROOT / ".dvc" / "config.local")
    kinds = {"dir": "cache" if remote else str(cache_folder()), "type": "reflink,hardlink,symlink,copy"}
    settings.read_dict({"core": {"no_scm": "true"}, "cache": kinds})
    if remote:
        with open_repo() as repo:
            name = repo.config["core"].get("remote")
            if not name:
                raise UserError(
                    "--remote needs a default DVC remote, found none; add one: `dvc remote add -d NAME URL`"
                )
            address = str(repo.config["remote"][name]["url"])  # a relative path made absolute
        settings.read_dict({f"'remote \"{name}\"'": {"url": address}})
    text = io.StringIO()
    settings.write(text)
    return text.getvalue()


def run_dvc(*words: str) -> None:
    """Run DVC in this workspace, its output on this terminal.

    Raises:
        UserError: it failed.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", "--wait-for-lock", *words], cwd=ROOT, check=False)
    if done.returncode != 0:
        raise UserError(f"`dvc {' '.join(words)}` must succeed, it ended with {done.returncode}; see its output above")


@contextmanager
def open_repo(*, wait: bool = False) -> "Iterator[Repo]":
    """Open the project with DVC.

    Args:
        wait: for another DVC that is at work, where this one needs its lock.

    Raises:
        UserError: DVC cannot read it, or do what is asked of it.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError
    from dvc.scm import SCMError

    _stages_of(ROOT / "dvc.yaml")  # of an empty file DVC says that all is up to date
    try:
        with Repo(str(ROOT), _wait_for_lock=wait) as repo:
            yield repo
    except DvcException as error:
        reason, damaged = " ".join(str(error).split()), Path(getattr(error, "path", None) or "").name
        remedy = "undo the edits in params.yaml, dvc.yaml and dvc.lock (`git diff`), or see `dvc status`"
        if damaged in PROJECT_FILES:
            remedy = f"fix {damaged}, or put it back (`git checkout HEAD {damaged}`)"
        if isinstance(error, SCMError):
            remedy = "make it one (`git init`), or let DVC do without (`dvc config --local core.no_scm true`)"
        if isinstance(error, LockError):
            remedy = "wait until the other DVC has ended"
        if isinstance(error, RWLockFileCorruptedError):
            remedy = "a DVC that was killed left it: where none runs, `rm .dvc/tmp/rwlock`"
        raise UserError(f"DVC must be able to read and restore the project, found: {reason}; {remedy}") from None


def changed_stages() -> list[str]:
    """Return the names of the stages that DVC finds changed, as `dvc status` does.

    Raises:
        UserError: DVC cannot say.
    """
    with params_parsed_once(), open_repo(wait=True) as repo:
        return [*repo.status()]


@contextmanager
def params_parsed_once() -> Iterator[None]:
    """Keep DVC from parsing params.yaml anew for every stage, which takes most of the time of `dvc status`."""
    from dvc.utils.serialize import LOADERS, load_yaml

    LOADERS[".yaml"] = cache(load_yaml)
    try:
        yield
    finally:
        LOADERS[".yaml"] = load_yaml


def cache_folder() -> Path:
    """Return the folder of DVC's cache, which several workspaces may share."""
    with open_repo() as repo:
        return Path(repo.cache.local.path).parents[1]
