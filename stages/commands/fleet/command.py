"""The cells of the grid on as many machines as there are: Ray runs them, DVC's cache keeps what they give."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import click
from tqdm import tqdm

from stages.commands.check import check
from stages.commands.config import Config, read_config
from stages.commands.dvc_project.workspace import cache_folder, enter, read_lock, run_dvc, stage_path
from stages.commands.fleet.cells import check_prepared, longest_first, read_source, tasks_of
from stages.commands.fleet.engine import choose_gpus, connected, import_ray, run_tasks
from stages.commands.fleet.record import Record, hold_cells, is_held, read_states, summary
from stages.commands.fleet.worker import OPEN, RECORD_FOLDER, Outcome, remove_left_workspaces, run_cell
from stages.commands.grid import cell_name, open_cells, stage_names
from stages.commands.project import ROOT, ProjectCommand
from stages.shared.runtime.console import Stopped, progress
from stages.shared.runtime.durations import processors
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell

PARAMS = ROOT / "params.yaml"

threads_option = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each cell. Other counts, other digits."
)
remote_option = click.option("--remote", is_flag=True, help="Pass results through DVC's default remote, not a cache.")


@click.group(short_help="Run the open cells of the grid side by side, on one machine or many.")
def fleet() -> None:
    """Run the open cells of the grid side by side, on one machine or many.

    Every cell runs in a workspace of its own, with the code and parameters of this one; what it gives lands in DVC's
    cache, which all machines must see under one path (or in a remote), and `dvc repro` takes it from there.
    """


@fleet.command(cls=ProjectCommand)
@click.option("--workers", type=click.IntRange(1), help="Cells at once on this machine; by default all processors.")
@threads_option
@click.option(
    "--gpus-per-cell", type=click.FloatRange(0), help="May be a fraction; by default 1 where there are GPUs, 0: none."
)
@click.option("--address", default="", help="Of a Ray cluster, or `auto`; without it Ray starts on this machine.")
@remote_option
def run(workers: int | None, threads: int, gpus_per_cell: float | None, address: str, remote: bool) -> None:
    """Compute every open cell, then everything else, as `dvc repro` would.

    prepare runs first and aggregate last, both here. A cell that fails stops no other; a lost worker's cell runs again.
    """
    if address and workers:
        raise UserError("--workers is for Ray on this machine; a cluster's own processors count: leave it out")
    import_ray(address)
    config = read_config(PARAMS)
    source = read_source(config, threads, remote=remote)
    cells = ordered_cells(config, remote=remote)
    if cells:
        tasks = tasks_of(cells, read_lock(ROOT))
        at_once = workers or max(1, processors() // threads)
        with hold_cells(record_folder(), [task.name for task in tasks]):
            try:
                with connected(address, at_once * threads) as ray:
                    gpus = choose_gpus(ray, gpus_per_cell, threads)
                    outcomes = run_tasks(ray, replace(source, without_gpu=not gpus), tasks, gpus)
                    ended = compute(outcomes, [task.name for task in tasks])
            except Stopped:
                remove_left_workspaces(patience=10)  # Ray's workers take a moment to end
                raise
            remove_left_workspaces()
            finish(config, ended, remote=remote)
    run_dvc("repro", *(["--pull"] if remote else []))


def ordered_cells(config: Config, *, remote: bool) -> list[Cell]:
    """Check the parameters, prepare the images, and list the open cells, longest first.

    Raises:
        UserError: a parameter does not hold, or prepare failed.
    """
    click.get_current_context().invoke(check, params=PARAMS)
    prepared = [f"prepare@{dataset}" for dataset in config.run.datasets]
    run_dvc("repro", *prepared)
    cells = longest_first(config, open_cells(config.run))
    if cells and remote:
        run_dvc("push", "--quiet", "--run-cache", *prepared)
    print(f"fleet: {len(cells)} of {len(list(config.run.cells()))} cells are open", flush=True)
    return cells


def compute(outcomes: Iterable[Outcome], names: Sequence[str]) -> list[Outcome]:
    """Keep the logs of cells as they end, and say what became of them."""
    record, began, lines = Record(record_folder(), names), time.monotonic(), dict[str, str]()
    ended = []
    for outcome in progress(outcomes, total=len(names), what="fleet", unit="cells"):
        lines[outcome.name] = record.add(outcome, stage_path("aggregate", "--log"))
        tqdm.write(lines[outcome.name])  # above the bar, on a terminal
        sys.stdout.flush()
        ended.append(outcome)
    failed = [lines[outcome.name] for outcome in ended if outcome.failed]
    print("\n".join([f"fleet: {summary(record.states)}, {time.monotonic() - began:.0f} s", *failed]), flush=True)
    return ended


def finish(config: Config, outcomes: Sequence[Outcome], *, remote: bool) -> None:
    """Enter what is done to dvc.lock, in the order in which `dvc repro` runs the stages of the grid.

    Raises:
        UserError: a cell failed, or DVC does not find what was computed, and would compute it here, one after another.
    """
    computed = {stage: entry for outcome in outcomes for stage, entry in outcome.locked.items()}
    by_stage = zip(*map(stage_names, config.run.cells()), strict=True)  # all finetune first
    enter({name: computed[name] for names in by_stage for name in names if name in computed}, remote=remote)
    failed = [outcome.name for outcome in outcomes if outcome.failed]
    if failed:
        raise UserError(
            f"{len(failed)} of {len(outcomes)} cells failed ({', '.join(failed[:5])}{', ...' if failed[5:] else ''}); "
            "the others are done; fix what their logs name and run this again"
        )
    open_again = open_cells(config.run)
    if open_again:
        more = f" and {len(open_again) - 1} more" if len(open_again) > 1 else ""
        raise UserError(
            f"cell {cell_name(open_again[0])}{more}: must be in DVC's cache and of this code and these parameters, is "
            "not; if you edited them meanwhile, run this again; else let all machines see one cache (`dvc config "
            "--local cache.dir`), or use --remote"
        )


def record_folder() -> Path:
    """Return the folder of locks, logs and the record, below the cache that fleets share."""
    return cache_folder() / RECORD_FOLDER


@fleet.command(cls=ProjectCommand)
def status() -> None:
    """Say what became of each cell of the grid in the running fleet, or in the last one."""
    folder = record_folder()
    states = read_states(folder, map(cell_name, read_config(PARAMS).run.cells()))
    work = "a fleet is at work" if any(is_held(folder, name) for name in states) else "no fleet is at work"
    print(f"{work} on {folder.parent}: {summary({name: state for name, (state, _) in states.items()})}")
    for state, line in states.values():
        if state != OPEN:
            print(f"  {line}")


@fleet.command(name="list", cls=ProjectCommand)
@threads_option
@remote_option
def list_cells(threads: int, remote: bool) -> None:
    """Print the open cells, longest first: one line each, the command that computes it, for any scheduler."""
    config = read_config(PARAMS)
    options = f"{f' --threads {threads}' if threads > 1 else ''}{' --remote' if remote else ''}"
    for cell in longest_first(config, open_cells(config.run)):
        print(f"whichlayer fleet cell {cell_name(cell)}{options}")


@fleet.command(cls=ProjectCommand)
@click.argument("name")
@threads_option
@remote_option
def cell(name: str, threads: int, remote: bool) -> None:
    """Compute one cell, as `whichlayer fleet list` names it, in a workspace of its own; prepare must have run."""
    config, locked = read_config(PARAMS), read_lock(ROOT)
    cells = {cell_name(known): known for known in config.run.cells()}
    if name not in cells:
        raise UserError(f"{name}: must be a cell of the grid (`run` in params.yaml); found {', '.join([*cells][:5])}")
    check_prepared(locked, cells[name][0], remote=remote)
    (task,), source = tasks_of([cells[name]], locked), read_source(config, threads, remote=remote)
    with hold_cells(record_folder(), [name]):
        record = Record(record_folder(), [name])
        outcome = run_cell(source, task)
        print(record.add(outcome, stage_path("aggregate", "--log")))
    sys.exit(1 if outcome.failed else 0)
