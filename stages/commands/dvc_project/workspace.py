"""This workspace as DVC sees it: its dvc.yaml, dvc.lock, settings and cache. DVC is imported only when it is asked.

Little of what this folder takes from DVC is public: a new version of DVC is tried against it. `read_lock`,
`write_lock`, `point_at_cache` and `failed_stage` use nothing else of the project: a fleet sends them to machines that
have no checkout.
"""

import configparser
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML, YAMLError

from stages.commands.project import ROOT
from stages.shared.core.params import Cell, read_yaml
from stages.shared.runtime.errors import UserError

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
def inputs_of(stages: Sequence[str], cell: Cell) -> list[str]:
    """Return what some stages of a cell read of earlier stages: paths in the project."""
    known = _stages_of(ROOT / "dvc.yaml")
    earlier = [*known][: [*known].index(stages[0])]
    read = [of_cell(path, cell) for stage in stages for path in known[stage]["deps"]]
    outs = [of_cell(path, cell) for stage in earlier for path in known[stage]["outs"]]
    return [out for out in outs if any(f"{path}/".startswith(f"{out}/") for path in read)]


def output_paths(cells: Iterable[Cell]) -> set[Path]:
    """Return where stages of cells write, relative to the project; of what DVC caches."""
    return {
        Path(of_cell(out, cell))
        for cell in cells
        for stage in _stages_of(ROOT / "dvc.yaml").values()
        for out in stage["outs"]
    }


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


def write_lock(folder: Path, stages: Lock) -> None:
    """Write the dvc.lock of a new workspace."""
    YAML().dump({"schema": "2.0", "stages": stages}, folder / "dvc.lock")


def enter(computed: Lock, *, remote: bool) -> None:
    """Enter to dvc.lock what workers computed, and put its files into this workspace.

    It is done at once: DVC reads and writes the whole file for every stage that it runs or takes from the cache, which
    takes longer than the stages in a grid of many cells.

    Args:
        computed: stages that lie in DVC's cache or remote, in the order in which DVC would have run them.
        remote: whether they lie in the remote; then only what aggregate reads comes here.
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
    if remote:
        read = read_by_aggregate()
        outs = [out for entry in computed.values() for out in entry["outs"] if out["path"].startswith(read)]
        fetch([out["md5"] for out in outs])
    kinds = dict.fromkeys(name.partition("@")[0] for name in computed)  # given every name, DVC takes minutes
    # As `dvc repro`, replace what is there (--force); a cell that failed has no entry (--allow-missing).
    run_dvc("checkout", "--force", "--allow-missing", *kinds)


def read_by_aggregate() -> tuple[str, ...]:
    """Return how the paths of what aggregate reads of cells begin: measures, training curves."""
    return tuple(f"{stage_path('aggregate', option).relative_to(ROOT)}/" for option in ("--measures", "--training"))


def fetch(hashes: Sequence[str]) -> None:
    """Get outputs from DVC's default remote into its cache, by their hashes.

    Raises:
        UserError: the remote cannot be read, or lacks one.
    """
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    with open_repo() as repo:
        objects = {HashInfo("md5", md5) for md5 in hashes}
        failed = repo.cloud.pull(objects).failed  # of folders the lists of their files
        folders = [Tree.load(repo.cache.local, each) for each in objects - failed if each.isdir]
        failed |= repo.cloud.pull({file for folder in folders for _, _, file in folder}).failed
    if failed:
        raise UserError(f"DVC's remote must have what was computed, it lacks {len(failed)} objects; run this again")


def restore(outputs: Mapping[Path, str]) -> list[Path]:
    """Put outputs from DVC's cache where they are wanted.

    Args:
        outputs: for each path the hash by which DVC knows what belongs there.

    Returns:
        The paths whose content the cache lacks.
    """
    from dvc_data.hashfile import load
    from dvc_data.hashfile.checkout import CheckoutError, checkout
    from dvc_data.hashfile.hash_info import HashInfo

    missing = []
    with open_repo() as repo:
        for path, md5 in outputs.items():
            try:
                found = load(repo.cache.local, HashInfo("md5", md5))
                checkout(str(path), repo.cache.local.fs, found, repo.cache.local, force=True, quiet=True)
            except (FileNotFoundError, CheckoutError):
                missing.append(path)
    return missing


def point_at_cache(folder: Path, cache: str, remote: tuple[str, str]) -> None:
    """Write the settings by which the DVC of a new workspace finds the cache that all share, or the remote.

    Args:
        folder: the workspace.
        cache: of all; empty if the remote takes its place.
        remote: its name and address.
    """
    own, (name, address) = folder / ".dvc", remote
    wanted = {
        "core": {"no_scm": "true", "site_cache_dir": str(own / "tmp" / "site")},
        "cache": {"dir": cache or str(own / "cache"), "type": "reflink,hardlink,symlink,copy"},
        **({f"'remote \"{name}\"'": {"url": address}} if name else {}),
    }
    settings = configparser.RawConfigParser()
    settings.read(own / "config.local")
    settings.read_dict(wanted)
    with (own / "config.local").open("w", encoding="utf-8") as file:
        settings.write(file)


FAILED = "failed to reproduce '"
"""What DVC writes before the name of a stage that failed."""


def failed_stage(output: str) -> str:
    """Return the stage that DVC says failed, or an empty string."""
    return output.partition(FAILED)[2].partition("'")[0]


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
        remedy = "put back what was edited of params.yaml, dvc.yaml and dvc.lock (`git diff`), or see `dvc status`"
        if damaged in PROJECT_FILES:
            remedy = f"fix {damaged}, or put it back (`git checkout HEAD {damaged}`)"
        if isinstance(error, SCMError):
            remedy = "make it one (`git init`), or let DVC do without (`dvc config --local core.no_scm true`)"
        if isinstance(error, LockError):
            remedy = "wait until the other DVC has ended"
        if isinstance(error, RWLockFileCorruptedError):
            remedy = "a DVC that was killed left it: where none runs, `rm .dvc/tmp/rwlock`"
        raise UserError(f"DVC must be able to read and restore the project, found: {reason}; {remedy}") from None


def changed_stages(*stages: str, allow_missing: bool = False) -> list[str]:
    """Return the names of the stages that DVC finds changed, as `dvc status` does.

    Args:
        *stages: to look at; by default all.
        allow_missing: that a result is not here, and may be in a remote, is no change.

    Raises:
        UserError: DVC cannot say.
    """
    with params_parsed_once(), open_repo(wait=True) as repo:
        changes = repo.status(stages or None)
        return [name for name, found in changes.items() if not (allow_missing and all(map(is_absence, found)))]


@contextmanager
def params_parsed_once() -> Iterator[None]:
    """Keep DVC from parsing params.yaml anew for every stage, which takes most of the time of `dvc status`."""
    from dvc.utils.serialize import LOADERS, load_yaml

    LOADERS[".yaml"] = cache(load_yaml)
    try:
        yield
    finally:
        LOADERS[".yaml"] = load_yaml


def is_absence(change: object) -> bool:
    """Return whether what DVC says of a stage is only that files are not here."""
    groups = change.values() if isinstance(change, dict) else [{"": "other"}]
    return all(state in ("deleted", "not in cache") for states in groups for state in states.values())


def cache_folder() -> Path:
    """Return the folder of DVC's cache, which several workspaces may share."""
    with open_repo() as repo:
        return Path(repo.cache.local.path).parents[1]


def default_remote() -> tuple[str, str]:
    """Return the name and the address of DVC's default remote, a relative path made absolute.

    Raises:
        UserError: there is none.
    """
    with open_repo() as repo:
        name = repo.config["core"].get("remote")
        if not name:
            raise UserError("--remote needs a default remote of DVC, found none; add one: `dvc remote add -d NAME URL`")
        return str(name), str(repo.config["remote"][name]["url"])


def seen_by_dvc(paths: Sequence[str]) -> list[str]:
    """Return those of some paths in the project that .dvcignore leaves."""
    with open_repo() as repo:
        return [path for path in paths if not repo.dvcignore.is_ignored_file(str(ROOT / path))]
