"""The open cells of the grid side by side: DVC runs them in this workspace, or Ray on the machines of a cluster."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from ...shared.runtime.durations import read_durations
from ...shared.runtime.errors import UserError, check_known, listed
from ...shared.runtime.processors import processors
from ...shared.runtime.progress import progress
from ...shared.workflow.params import Cell
from ..check import check
from ..config import Config, read_config
from ..dvc_project.own_workspace import Done, Source, Task, end_with_parent, run_task, threads_environment
from ..dvc_project.workspace import enter, read_lock, run_dvc, shared_settings, stage_path
from ..grid import AXES, CELL_STAGES, ON_CPU, ON_GPU, cell_name, open_cells, open_stages, stage_names
from ..project import MAX_LISTED, PARAMS, ROOT, ProjectCommand
from .cluster import choose_gpus, connected, run_cells

PARTS = (".dvcignore", ".dvc/config", "dvc.yaml", "params.yaml", "pyproject.toml", "stages")
"""Files and folders that the stages and DVC need in a workspace, beside weights that params.yaml names."""

FOLDER = ROOT / ".dvc" / "tmp" / "fleet"
"""Of logs of cells that run here, and of entries of dvc.lock that `--cell` gave."""

POLL_SECONDS = 0.2

TRIES = 3
"""How often a cell is begun for which DVC waited in vain for its lock of locks, 3 seconds."""

NO_LOCK = "Unable to acquire lock"

LOG_LINES = 20
"""Of the output of a cell that failed, from its end."""


@click.command(cls=ProjectCommand, short_help="Run the grid's open cells side by side, on one machine or many.")
@click.option("--workers", type=click.IntRange(1), help="Cells at once on this machine; by default one per GPU, "
              "else per processor.")  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Per cell. They change the last digits."
)
@click.option("--address", default="", help="Run the cells on the Ray cluster at this address, or `auto`.")
@click.option(
    "--gpus-per-cell", "gpus", type=click.FloatRange(0), help="On a cluster; may be a fraction. By default 1."
)
@click.option("--retries", default=2, show_default=True, help="On a cluster: how often a lost task is repeated.")
@click.option("--remote", is_flag=True, help="Pass results through DVC's default remote, not a shared cache.")
@click.option("--list", "list_only", is_flag=True, help="Print one command per open cell, for any scheduler.")
@click.option("--cell", "name", help="Compute this cell only, in its own workspace.")
def fleet(
    workers: int | None,
    threads: int,
    address: str,
    gpus: float | None,
    retries: int,
    remote: bool,
    list_only: bool,
    name: str | None,
) -> None:
    """Run the grid's open cells side by side, and the remaining stages, as `dvc repro` would.

    prepare runs first and aggregate last, both here. Without --address the cells run in this workspace. On a cluster
    each has its own workspace, with this workspace's code and parameters. All machines must see DVC's cache under
    the same path, or use a remote. A failed cell does not stop the rest.
    """
    config = read_config(PARAMS)
    if list_only:
        print_open(config, threads, remote=remote)
        return
    if name is not None:
        compute_one(config, name, threads, remote=remote)
        return
    click.get_current_context().invoke(check, params=PARAMS)
    pull = ["--pull"] if remote else []
    prepared = [f"prepare@{dataset}" for dataset in config.run.datasets]
    run_dvc("repro", *pull, *prepared)
    cells = open_cells(config.run, open_stages(config.run))
    if taken := take_computed(cells):
        enter(in_order(config, taken), remote=remote)
        cells = open_cells(config.run, open_stages(config.run))
    print(f"fleet: {len(cells)} of {len(list(config.run.cells()))} cells are open", flush=True)
    if cells:
        if remote:
            run_dvc("push", "--quiet", "--run-cache", *prepared)
        if address:
            source = read_source(config, threads, remote=remote)
            with connected(address) as ray:
                gpus = choose_gpus(ray, gpus, threads)
                tasks = tasks_of(cells, gpus)
                ended = dict(reported(run_cells(ray, source, tasks, retries), len(cells)))
            enter(in_order(config, ended), remote=remote)
        else:
            ended = dict(reported(run_here(cells, workers, threads), len(cells)))
        if failed := [name for name, done in ended.items() if isinstance(done, str)]:
            raise UserError(
                f"{len(failed)} of {len(ended)} cells failed ({listed(failed, MAX_LISTED)}); the rest are done; fix "
                "what their output names and rerun this"
            )
    run_dvc("repro", *pull)


def print_open(config: Config, threads: int, *, remote: bool) -> None:
    """Print the command of each open cell.

    Raises:
        UserError: prepare would run; its images must be in the cache or remote.
    """
    stale = open_stages(config.run)
    if not stale.isdisjoint(f"prepare@{dataset}" for dataset in config.run.datasets):
        remedy = " and `dvc push --run-cache prepare`" if remote else ""
        raise UserError(f"prepare must have run before the cells, found that it would run; `dvc repro prepare`{remedy}")
    options = f"{f' --threads {threads}' if threads > 1 else ''}{' --remote' if remote else ''}"
    for cell in open_cells(config.run, stale):
        print(f"whichlayer fleet --cell {cell_name(cell)}{options}")


def compute_one(config: Config, name: str, threads: int, *, remote: bool) -> None:
    """Compute one cell; its results land in the cache or remote."""
    cells = {cell_name(cell): cell for cell in config.run.cells()}
    check_known(name, cells, f"{name}: must be a cell in the grid (`run` in params.yaml)")
    ((task,),) = tasks_of([cells[name]], gpus=0)
    try:
        done = run_task(read_source(config, threads, remote=remote), replace(task, gpus=1))  # sees what is there
    except subprocess.CalledProcessError as error:
        raise UserError(f"{name}: must succeed, {error}; see the output above") from None
    dict(reported([(name, done)], 1))
    FOLDER.mkdir(parents=True, exist_ok=True)
    beside = FOLDER / f".{name}.json"
    beside.write_text(json.dumps(asdict(done)), encoding="utf-8")
    beside.replace(FOLDER / f"{name}.json")


def take_computed(cells: Sequence[Cell]) -> dict[str, Done | str]:
    """Return what `--cell` has computed of some cells, once; of what was edited since DVC sees that it is outdated."""
    taken: dict[str, Done | str] = {}
    for file in (FOLDER / f"{cell_name(cell)}.json" for cell in cells):
        if file.is_file():
            taken[file.stem] = Done(**json.loads(file.read_text(encoding="utf-8")))
            file.unlink()
    return taken


def read_source(config: Config, threads: int, *, remote: bool) -> Source:
    """Pack the code and the parameters as they are now, and the files of weights that params.yaml names."""
    paths = [config.models[model].network.weights.path for model in config.run.models]
    weights = [path for path in paths if path is not None and not Path(path).is_absolute()]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, dereference=True) as archive:
        for path in dict.fromkeys((*PARTS, *weights)):
            archive.add(ROOT / path, path, filter=lambda file: None if file.name.endswith("__pycache__") else file)
    return Source(buffer.getvalue(), shared_settings(remote=remote), remote, threads)


def tasks_of(cells: Sequence[Cell], gpus: float) -> list[list[Task]]:
    """Return the tasks of each cell: with a GPU the stages that one is for, then the rest; else all in one.

    Each asks for the largest peak of memory that its stages have logged.
    """
    log, peaks, lock = stage_path("aggregate", "--log"), Counter[str](), read_lock(ROOT)
    for row in read_durations(log):
        peaks[row["stage"]] = max(peaks[row["stage"]], row.get("memory", 0))

    def task(cell: Cell, stages: Sequence[str]) -> Task:
        own = [f"{stage}@{cell_name(cell)}" for stage in stages]
        grid = {axis: [value] for axis, value in zip(AXES, cell, strict=True)}
        locked = {name: dict(lock[name]) for name in (f"prepare@{cell[0]}", *own) if name in lock}
        memory = max(peaks[stage] for stage in stages)
        held = gpus if stages != ON_CPU else 0
        return Task(cell_name(cell), own, grid, locked, str(log.relative_to(ROOT)), held, memory)

    return [[task(cell, stages) for stages in ((ON_GPU, ON_CPU) if gpus else (CELL_STAGES,))] for cell in cells]


def run_here(cells: Sequence[Cell], workers: int | None, threads: int) -> Iterator[tuple[str, Done | str]]:
    """Run cells side by side in this workspace, each by a DVC of its own, and yield each cell's name with its end.

    Cells at once have a GPU each where there are as many.
    """
    gpus = visible_gpus()
    slots = workers or len(gpus) or max(1, processors() // threads)
    waiting, running, tries = deque(cells), dict[int, Running](), Counter[Cell]()
    while waiting or running:
        for slot in {*range(slots)} - {*running}:
            if waiting:
                gpu = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {}
                running[slot] = Running(waiting.popleft(), threads_environment(threads) | gpu)
        time.sleep(POLL_SECONDS)
        for slot, each in [*running.items()]:
            status = each.process.poll()
            if status is None:
                continue
            del running[slot]
            tries[each.cell] += 1
            text = each.log.read_text(encoding="utf-8", errors="replace")
            if status and NO_LOCK in text and tries[each.cell] < TRIES:
                waiting.append(each.cell)
                continue
            done = Done({}, "", "this machine", time.monotonic() - each.began)
            yield cell_name(each.cell), "\n".join(["", *text.splitlines()[-LOG_LINES:]]) if status else done


class Running:
    """A cell that runs in this workspace: its DVC and what that prints."""

    def __init__(self, cell: Cell, environment: Mapping[str, str]) -> None:
        """Start it."""
        self.cell, self.began = cell, time.monotonic()
        self.log = FOLDER / f"{cell_name(cell)}.log"
        FOLDER.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "-s", *stage_names(cell)]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(words, env=environment, stdout=out, stderr=out, preexec_fn=end_with_parent)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch  # takes seconds

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def reported(ends: Iterable[tuple[str, Done | str]], total: int) -> Iterator[tuple[str, Done | str]]:
    """Pass on the ends of cells, print each, and log the durations of the stages that ran elsewhere."""
    for name, done in progress(ends, total=total, what="fleet", unit="cells"):
        said = f"failed: {done}" if isinstance(done, str) else f"done, {done.seconds:.0f} s on {done.host}"
        if isinstance(done, Done):
            with stage_path("aggregate", "--log").open("a", encoding="utf-8") as file:
                file.write(done.durations)
        tqdm.write(f"{name}: {said}")  # above the bar, on a terminal
        sys.stdout.flush()
        yield name, done


def in_order(config: Config, ended: Mapping[str, Done | str]) -> dict[str, Any]:
    """Return the entries of dvc.lock of what was done, in the order in which `dvc repro` runs the stages."""
    done = {stage: entry for end in ended.values() if isinstance(end, Done) for stage, entry in end.locked.items()}
    by_stage = zip(*map(stage_names, config.run.cells()), strict=True)  # all finetune first
    return {name: done[name] for names in by_stage for name in names if name in done}
