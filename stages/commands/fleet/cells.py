"""What workers begin with: the code and the parameters of this workspace, and for each cell what it consists of."""

import io
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import Lock, cache_folder, default_remote, inputs_of, seen_by_dvc, stage_path
from stages.commands.fleet.worker import Source, Task
from stages.commands.grid import AXES, CELL_STAGES, STAGES, cell_name, stage_names
from stages.commands.project import ROOT, listed
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.scratch import PARTIAL
from stages.shared.settings.params import Cell, load
from stages.shared.stage_run.made_of import entry_of
from stages.shared.stage_run.snapshot import value_at

PARTS = (".dvcignore", "dvc.yaml", "params.yaml", "pyproject.toml", "stages")
"""What the stages and DVC need of a workspace."""

NOT_IN_GIT = (".dvc/config", ".dvc/config.local")
"""What travels though git may not track it: DVC's settings, such as a remote's credentials."""


def read_source(config: Config, threads: int, *, remote: bool) -> Source:
    """Pack the code and the parameters as they are; edits that are not committed travel, too.

    That git ignores code does not count: DVC looks at every file of a stage's code that .dvcignore leaves.

    Args:
        config: of this workspace.
        threads: of one cell.
        remote: whether DVC's default remote takes the place of a cache that all machines see.

    Raises:
        UserError: code is not tracked by git, a file of weights lies where it cannot travel, or there is no remote.
    """
    untracked = seen_by_dvc(git("ls-files", "--others", "--", "stages", "dvc.yaml", "params.yaml"))
    if untracked:
        raise UserError(
            f"{listed(untracked)}: must be tracked by git to travel to the workers; `git add` what is needed (a commit "
            "is not), or remove it"
        )
    paths = [config.models[model].network.weights.path for model in config.run.models]
    weights = [path for path in paths if path is not None and not Path(path).is_absolute()]
    for path in weights:
        if ".." in Path(path).parts:
            raise UserError(
                f"weights.path: {path} must lie in the project to travel to the workers, or be the full path of a "
                "file that all machines see; move it, or write its full path"
            )
    files = pack([*git("ls-files", "--", *PARTS), *NOT_IN_GIT, *weights])
    return Source(files, "", threads, default_remote()) if remote else Source(files, str(cache_folder()), threads)


def git(*words: str) -> Sequence[str]:
    """Run a git command that lists paths.

    Raises:
        UserError: this is no repository of git.
    """
    done = subprocess.run(["git", words[0], "-z", *words[1:]], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise UserError(f"{ROOT}: must be a clone of git, found: {done.stderr.strip()}")
    return [path for path in done.stdout.split("\0") if path]


def pack(paths: Sequence[str]) -> bytes:
    """Pack files of the workspace into a tar archive, but for those that are not there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, dereference=True) as archive:
        for path in dict.fromkeys(paths):
            if (ROOT / path).is_file():
                archive.add(ROOT / path, arcname=path)
    return buffer.getvalue()


def tasks_of(cell: Cell, locked: Lock, parts: Sequence[Sequence[str]] = (CELL_STAGES,)) -> list[Task]:
    """Return what computing a cell consists of.

    Args:
        cell: of the grid.
        locked: what dvc.lock says of every stage.
        parts: the stages of each task.
    """
    names = dict(zip(STAGES, (f"prepare@{cell[0]}", *stage_names(cell)), strict=False))
    entries = {name: dict(locked[name]) for name in names.values() if name in locked}
    grid = {axis: [value] for axis, value in zip(AXES, cell, strict=True)}
    durations = str(stage_path("measure", "--log").relative_to(ROOT))
    weights = stage_path("finetune", "--weights", cell).relative_to(ROOT)
    unfinished = str(weights.with_name(f".{weights.name}{PARTIAL}"))
    tasks = []
    for stages in parts:
        own = tuple(names[stage] for stage in stages)
        task = Task(cell_name(cell), tuple(inputs_of(stages, cell)), own, durations, grid, entries)
        tasks.append(replace(task, unfinished=unfinished) if "finetune" in stages else task)
    return tasks


def check_prepared(locked: Lock, dataset: str, *, remote: bool) -> None:
    """Refuse cells of a dataset that was never prepared: workers take its images from DVC's cache or remote.

    Raises:
        UserError: dvc.lock has no prepared images, or images that other parameters made.
    """
    stage = f"prepare@{dataset}"
    remedy = f"run `dvc repro {stage}`{f' and `dvc push --run-cache {stage}`' if remote else ''}"
    if stage not in locked:
        raise UserError(f"{stage} must have run before the cells of {dataset}; {remedy}")
    params = load(ROOT / "params.yaml")
    for name, value in entry_of(locked[stage]).parameters.items():
        if value_at(params, name) != value:
            raise UserError(
                f"{stage} must have run with the parameters that params.yaml has, found others of {name}; {remedy}"
            )
