"""Cells of a fleet: what computing one consists of, takes and asks for; which are done, and the results of these."""

import io
import math
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.config import Config
from stages.commands.dvc_project import workspace
from stages.commands.dvc_project.workspace import Lock, stage_path
from stages.commands.fleet.worker import Source, Task
from stages.commands.grid import AXES, CELL_STAGES, ON_CPU, ON_GPU, STAGES, cell_name, stage_names
from stages.commands.plan.calibrate import Cost
from stages.commands.plan.predict import Line
from stages.commands.project import GIB, PARAMS, RAW, ROOT, listed
from stages.shared.core.digests import value_at
from stages.shared.core.made_of import dvc_hash, entry_of
from stages.shared.core.params import Cell, RunParams, load
from stages.shared.runtime.errors import UserError

OF_CELLS = ("measures", "training")
"""What aggregate reads of cells, by its options."""

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
    untracked = workspace.seen_by_dvc(git("ls-files", "--others", "--", "stages", "dvc.yaml", "params.yaml"))
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
    if remote:
        return Source(files, "", threads, workspace.default_remote())
    return Source(files, str(workspace.cache_folder()), threads)


def git(*words: str) -> Sequence[str]:
    """Run a git command that lists paths.

    Raises:
        UserError: this is no repository of git.
    """
    done = subprocess.run(["git", words[0], "-z", *words[1:]], capture_output=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise UserError(f"{ROOT}: must be a clone of git, found: {os.fsdecode(done.stderr).strip()}")
    return [os.fsdecode(path) for path in done.stdout.split(b"\0") if path]


def pack(paths: Sequence[str]) -> bytes:
    """Pack files of the workspace into a tar archive, but for those that are not there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, dereference=True) as archive:
        for path in dict.fromkeys(paths):
            if (ROOT / path).is_file():
                archive.add(ROOT / path, arcname=path)
    return buffer.getvalue()


def task_of(cell: Cell, locked: Lock, stages: Sequence[str] = CELL_STAGES) -> Task:
    """Return the task of computing some stages of a cell.

    Args:
        cell: of the grid.
        locked: what dvc.lock says of every stage.
        stages: which.
    """
    names = dict(zip(STAGES, (f"prepare@{cell[0]}", *stage_names(cell)), strict=False))
    entries = {name: dict(locked[name]) for name in names.values() if name in locked}
    grid = {axis: [value] for axis, value in zip(AXES, cell, strict=True)}
    own, inputs = tuple(names[stage] for stage in stages), tuple(workspace.inputs_of(stages, cell))
    durations = str(stage_path("measure", "--log").relative_to(ROOT))
    training = str(stage_path("finetune", "--weights", cell).parent.relative_to(ROOT))
    return Task(cell_name(cell), inputs, own, durations, grid, entries, training if "finetune" in stages else "")


def check_prepared(locked: Lock, dataset: str, *, remote: bool, stale: Collection[str] = ()) -> None:
    """Refuse cells of a dataset that was never prepared: workers take its images from DVC's cache or remote.

    Args:
        locked: what dvc.lock says of every stage.
        dataset: its id.
        remote: whether workers take them from the remote.
        stale: stages that would run, where that is known; ignored where the raw data are not here.

    Raises:
        UserError: dvc.lock has no prepared images, or images that other parameters, raw data or code made.
    """
    stage = f"prepare@{dataset}"
    remedy = f"run `dvc repro {stage}`{f' and `dvc push --run-cache {stage}`' if remote else ''}"
    if stage not in locked:
        raise UserError(f"{stage} must have run before the cells of {dataset}; {remedy}")
    params = load(PARAMS)
    for name, value in entry_of(locked[stage]).parameters.items():
        if value_at(params, name) != value:
            raise UserError(
                f"{stage} must have run with the parameters that params.yaml has, found others of {name}; {remedy}"
            )
    if stage in stale and (RAW / dataset).exists():
        raise UserError(
            f"{stage} must be here, of the raw data and code that are here, found that it would run; {remedy}"
        )


def done_cells(run: RunParams, sources: Sequence[Lock], content: Mapping[str, Any]) -> dict[Cell, Lock]:
    """Return the cells whose results are of the code, parameters and images that are here now.

    Args:
        run: the grid.
        sources: what dvc.lock says, or would say, of stages that are done.
        content: of params.yaml.

    Returns:
        For each cell the last source of which that holds.
    """

    @cache
    def hash_of(path: str) -> str:  # of what cells share
        return dvc_hash(Path(path)) if Path(path).exists() else ""

    def is_done(cell: Cell, known: Lock) -> bool:
        made: dict[str, str] = {}
        for name in stage_names(cell):
            if name not in known:
                return False
            entry = entry_of(known[name])
            if any(value_at(content, key) != value for key, value in entry.parameters.items()):
                return False
            if any((made.get(path) or hash_of(path)) != md5 for path, md5 in entry.deps.items()):
                return False
            made |= entry.outs
        return True

    return {cell: known for cell in run.cells() for known in sources if is_done(cell, known)}


def largest_grid(run: RunParams, done: Collection[Cell]) -> RunParams:
    """Return a grid of which every cell is done, since means and intervals are over the same folds and seeds.

    Of datasets, networks, folds and seeds the one goes first of which the largest share is missing.

    Raises:
        UserError: there is none.
    """
    lists: dict[str, Any] = {axis: list(getattr(run, axis)) for axis in AXES}
    while all(lists.values()):
        grid = RunParams.model_construct(None, **lists)
        cells = [cell for cell in grid.cells() if cell not in done]
        missing = Counter(value for cell in cells for value in zip(AXES, cell, strict=True))
        if not missing and grid.numbered:
            return grid
        values = [(axis, value) for axis in AXES for value in reversed(lists[axis])]
        axis, value = max(values, key=lambda each: (missing[each] * len(lists[each[0]]), each[0]))
        lists[axis].remove(value)
    raise UserError("a fold of a network must be done for there to be results, found none; wait until one is")


def notice(run: RunParams, grid: RunParams, done: Collection[Cell]) -> str:
    """Say what of a grid results are not of; nothing if they are of all."""
    kept, cells = set(grid.cells()), list(run.cells())
    missing = [cell_name(cell) for cell in cells if cell not in done]
    aside = [cell_name(cell) for cell in cells if cell in done and cell not in kept]
    if not missing:
        return ""
    text = f"Incomplete: {len(missing)} of {len(cells)} cells of the grid are missing ({listed(missing)})."
    more = f" {len(aside)} more are done and left out, since others of their row are not ({listed(aside)})."
    return text + (more if aside else "")


def aggregate_done(run: RunParams, recorded: Lock, out: Path, *, allow_missing: bool) -> None:
    """Aggregate the part of the grid that is done, from DVC's cache into a folder of its own.

    Args:
        run: the grid.
        recorded: what dvc.lock would say of stages that a fleet has computed, which may be older than what it says.
        out: the folder.
        allow_missing: whether cells may be left out, which every output then says.

    Raises:
        UserError: a cell is not done, the cache lacks results, or aggregate failed.
    """
    content, locked = load(PARAMS), workspace.read_lock(ROOT)
    done = done_cells(run, [locked, {**locked, **recorded}], content)
    grid = largest_grid(run, done)
    said = notice(run, grid, done)
    if said and not allow_missing:
        raise UserError(f"every cell of the grid must be done; found: {said} --allow-missing takes what there is")
    options = {name: stage_path("aggregate", f"--{name}") for name in (*OF_CELLS, "thumbnails", "prepared")}
    with tempfile.TemporaryDirectory(prefix="whichlayer-results-") as temporary:
        folder = Path(temporary)
        content["run"] |= {axis: getattr(grid, axis) for axis in AXES}
        content["run"]["folds"] = [int(fold) if fold.isdigit() else fold for fold in grid.folds]
        YAML().dump(content, folder / "params.yaml")
        made = [entry_of(done[cell][name]).outs for cell in grid.cells() for name in stage_names(cell)]
        read = workspace.read_by_aggregate()
        wanted = {folder / path: md5 for outs in made for path, md5 in outs.items() if path.startswith(read)}
        if lost := workspace.restore(wanted):
            raise UserError(
                f"{listed([str(path.relative_to(folder)) for path in lost])}: must be in DVC's cache, are not; where "
                "results pass through a remote, `dvc pull` gets them once the fleet has ended"
            )
        options |= {name: folder / options[name].relative_to(ROOT) for name in OF_CELLS}
        options |= {"out": out, "params": folder / "params.yaml"}
        words = [word for name, path in options.items() for word in (f"--{name}", str(path))]
        program = [sys.executable, "-m", "stages.aggregate", *words, "--notice", said]
        ended = subprocess.run(program, cwd=ROOT, check=False)
    if ended.returncode != 0:
        raise UserError(f"the aggregate stage must succeed, it ended with {ended.returncode}; see its output above")


MARGIN = 1.25
"""Times what is predicted of memory that a task asks for."""

HOST_OF_GPU = 4 * 2**30
"""Bytes beside the GPU that a stage takes whose network is there: assumed."""

BESIDE = 640 * 2**20
"""Bytes of DVC and of what runs it: `whichlayer fleet cell`, which takes 420 MiB, or a worker of Ray."""

Predicted = Mapping[Cell, Mapping[str, Cost]]
"""What the open stages of every cell take."""


def longest_first(lines: Sequence[Line], cells: Sequence[Cell]) -> list[Cell]:
    """Order cells by how many operations their passes through the network take, most first."""
    operations = {(line.dataset, line.model, fold): line.work.flops for line in lines for fold in line.folds}
    return sorted(cells, key=lambda cell: operations[cell[:3]], reverse=True)


def memory_of(predictions: Mapping[str, Cost], stages: Sequence[str], wished: float | None) -> int:
    """Return the bytes that a task asks for: of so many GiB, else of the one of its stages that takes most."""
    if wished is not None:
        return int(wished * GIB)
    asked = [MARGIN * cost.memory or HOST_OF_GPU for stage, cost in predictions.items() if stage in stages]
    return int(max(asked, default=0)) + BESIDE


TIME_FACTOR, TIME_MORE = 2.0, 600.0
"""A job may take so many times what is predicted, and so many seconds more."""

HEAD = """\
#!/bin/bash
# {count} open cells of {project}. `bash FILE` submits job arrays: {what}.
# Memory and time are what `whichlayer plan` predicts on the machine where this was written, and more.
# `whichlayer fleet status` says what is done and what failed; `whichlayer fleet run` then takes the results.{failed}
set -eu
common=(--parsable --requeue --kill-on-invalid-dep=yes --chdir={project} --cpus-per-task={threads} \\
  --output=.dvc/tmp/%x-%A-%a.txt)
"""

TAIL = """\
sbatch "${{common[@]}}" --job-name=whichlayer-status --dependency="afterany$jobs" --mem=1G --time=0:10:00 \\
  --output={status} --wrap 'whichlayer fleet status'  # what failed, and why
"""


def script(
    cells: Sequence[Cell],
    predicted: Predicted,
    *,
    threads: int,
    gpus: float,
    memory: float | None,
    options: str,
    failed: Sequence[str],
) -> str:
    """Write the script.

    Args:
        cells: that are open, longest first.
        predicted: what their stages take.
        threads, gpus: of a cell.
        memory: GiB that a job asks for; None: as predicted.
        options: of `whichlayer fleet cell`.
        failed: what became of cells that failed or were lost, a line for each.

    Raises:
        UserError: a part of a GPU is asked for.
    """
    if gpus != int(gpus):
        raise UserError(f"--gpus-per-cell: SLURM must give a job whole GPUs, found {gpus:g}; take a whole number")
    what = "finetune and embed with a GPU, then measure without one" if gpus else "every job computes a cell"
    lines = ["jobs="]
    for model in dict.fromkeys(cell[1] for cell in cells):
        of_model = [cell for cell in cells if cell[1] == model]
        names = " ".join(map(cell_name, of_model))
        before = ""
        for stages in (ON_GPU, ON_CPU) if gpus else (CELL_STAGES,):
            found = [predicted[cell] for cell in of_model]
            asked = max(memory_of(each, stages, memory) for each in found) / 2**20
            seconds = max(sum(cost.seconds for stage, cost in each.items() if stage in stages) for each in found)
            gpu, only = (f" --gres=gpu:{gpus:g}", " --gpu-stages") if stages == ON_GPU else ("", "")
            lines += [
                f'job=$(sbatch "${{common[@]}}"{before} --job-name=whichlayer-{model} --array=0-{len(of_model) - 1}'
                f"{gpu}{f' --mem={math.ceil(asked)}M' if asked else ''} --time={minutes(seconds)} --wrap \\",
                f"  'set -- {names}; shift $SLURM_ARRAY_TASK_ID; exec whichlayer fleet cell \"$1\"{options}{only}')",
                'jobs="$jobs:$job"',
            ]
            before = ' --dependency="aftercorr:$job"'
    about = "".join(f"\n# Before: {line}" for line in failed)
    head = HEAD.format(count=len(cells), project=shlex.quote(str(ROOT)), what=what, failed=about, threads=threads)
    tail = TAIL.format(status=stage_path("aggregate", "--log").with_name("fleet-status.txt").relative_to(ROOT))
    return "\n".join([head, *lines, tail]) if cells else "# no cell is open"


def minutes(seconds: float) -> str:
    """Write the limit of a job of which some seconds are predicted, as SLURM reads it: `1:30:00`."""
    limit = math.ceil((TIME_FACTOR * seconds + TIME_MORE) / 60)
    return f"{limit // 60}:{limit % 60:02d}:00"
