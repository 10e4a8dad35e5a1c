"""The cells of the grid on as many machines as there are: Ray runs them, DVC's cache keeps what they give."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from stages.commands.check.command import check
from stages.commands.config import read_config
from stages.commands.fleet.engine import connect, run_tasks
from stages.commands.fleet.grid import cell_name, longest_first, open_cells, task_of
from stages.commands.fleet.record import OPEN, Record, hold_cells, is_held, read_states, summary
from stages.commands.fleet.source import cache_folder, read_source, run_dvc
from stages.commands.fleet.worker import Outcome, Task, run_cell
from stages.commands.project import ROOT, ProjectCommand
from stages.shared.console import UserError, progress
from stages.shared.params import Cell

PARAMS, RAW = ROOT / "params.yaml", ROOT / "data" / "raw"
DURATIONS = ROOT / "data" / "durations.jsonl"

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
@click.option("--gpus-per-cell", type=click.FloatRange(0), default=0.0, show_default=True, help="May be a fraction.")
@click.option("--address", default="", help="Of a Ray cluster; without it Ray starts on this machine.")
@remote_option
def run(workers: int | None, threads: int, gpus_per_cell: float, address: str, remote: bool) -> None:
    """Compute every open cell, then everything else, as `dvc repro` would.

    prepare runs first and aggregate last, both here. A cell that fails stops no other; a lost worker's cell runs again.
    """
    cells = ordered_cells()
    if cells:
        ray = connect(address, (workers or max(1, (os.cpu_count() or 1) // threads)) * threads)
        try:
            compute(ray, list(map(task_of, cells)), threads, gpus_per_cell, remote=remote)
        finally:
            ray.shutdown()
    run_dvc("repro", *(["--pull"] if remote else []))


def ordered_cells() -> list[Cell]:
    """Check the parameters, prepare the images, and list the open cells, longest first.

    Raises:
        UserError: a parameter does not hold, or prepare failed.
    """
    config = read_config(PARAMS)
    click.get_current_context().invoke(check, params=PARAMS, raw=RAW)
    run_dvc("repro", *(f"prepare@{dataset}" for dataset in config.run.datasets))
    cells = longest_first(config, open_cells(config.run))
    print(f"fleet: {len(cells)} of {len(list(config.run.cells()))} cells are open", flush=True)
    return cells


def compute(ray: object, tasks: Sequence[Task], threads: int, gpus: float, *, remote: bool) -> None:
    """Run the cells, keep their logs, and say what became of them.

    Raises:
        UserError: another process computes one of the cells, or a cell failed.
    """
    names, folder = [task.name for task in tasks], record_folder()
    source = read_source(threads, remote=remote)
    failed = []
    with hold_cells(folder, names):
        record = Record(folder, names)
        outcomes = run_tasks(ray, source, tasks, gpus)  # type: ignore[arg-type]
        for outcome in progress(outcomes, total=len(tasks), what="fleet", unit="cells"):
            record.add(outcome, DURATIONS)
            print(line_of(outcome, record.log(outcome.name)), flush=True)
            failed += [outcome.name] if outcome.failed else []
    print(f"fleet: {summary(record.states)}", flush=True)
    if failed:
        named = f"{', '.join(failed[:5])}{', ...' if len(failed) > 5 else ''}"
        raise UserError(
            f"{len(failed)} of {len(tasks)} cells failed ({named}); "
            "the others are in the cache; fix what their logs name and run this again"
        )


def line_of(outcome: Outcome, log: Path) -> str:
    """Say in one line what became of a cell."""
    if outcome.failed:
        return f"{outcome.name}: {outcome.failed} failed on {outcome.host or 'a lost machine'}; see {log}"
    stages = [str(row["stage"]) for row in outcome.computed]
    ran = f"computed {', '.join(stages)}" if stages else "from the cache"
    return f"{outcome.name}: {ran}, {outcome.seconds:.0f} s on {outcome.host}"


def record_folder() -> Path:
    """Return the folder of locks, logs and the record, below the cache that fleets share."""
    return cache_folder() / "fleet"


@fleet.command(cls=ProjectCommand)
def status() -> None:
    """Say what became of each cell of the running fleet, or of the last one."""
    folder = record_folder()
    states = read_states(folder)
    at_work = any(is_held(folder, name) for name in states)
    print(f"{'a fleet is at work' if at_work else 'no fleet is at work'} on {folder.parent}: {summary(states)}")
    for name, state in states.items():
        if state != OPEN:
            print(f"  {name}: {state}, log {folder / name}.log")


@fleet.command(name="list", cls=ProjectCommand)
def list_cells() -> None:
    """Print the open cells, longest first: one line each, the command that computes it, for any scheduler."""
    config = read_config(PARAMS)
    for cell in longest_first(config, open_cells(config.run)):
        print(f"whichlayer fleet cell {cell_name(cell)}")


@fleet.command(cls=ProjectCommand)
@click.argument("name")
@threads_option
@remote_option
def cell(name: str, threads: int, remote: bool) -> None:
    """Compute one cell, as `whichlayer fleet list` names it, in a workspace of its own; prepare must have run."""
    task = task_of(known_cell(name))
    with hold_cells(record_folder(), [name]):
        outcome = run_cell(read_source(threads, remote=remote), task)
    log = record_folder() / f"{name}.log"
    log.write_text(f"{outcome.log}\n", encoding="utf-8")
    print(line_of(outcome, log))
    sys.exit(1 if outcome.failed else 0)


def known_cell(name: str) -> Cell:
    """Look a cell up by its name.

    Raises:
        UserError: the grid has none of that name.
    """
    cells = {cell_name(each): each for each in read_config(PARAMS).run.cells()}
    if name not in cells:
        raise UserError(f"{name}: must be a cell of the grid (`run` in params.yaml); found {', '.join([*cells][:5])}")
    return cells[name]
