"""The cells of the grid on as many machines as there are: Ray runs them, DVC's cache keeps what they give."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from stages.aggregate.result_files import read_result_digests
from stages.commands.check import check
from stages.commands.config import Config, read_config
from stages.commands.dvc_project.workspace import cache_folder, changed_stages, enter, read_lock, run_dvc, stage_path
from stages.commands.fleet import cells, record
from stages.commands.fleet.engine import choose_gpus, connected, import_ray, run_cells
from stages.commands.fleet.worker import OPEN, RECORD_FOLDER, Outcome, Task, remove_left_workspaces, run_task
from stages.commands.grid import CELL_STAGES, ON_CPU, ON_GPU, cell_name, open_cells, open_stages, stage_names
from stages.commands.plan.command import plan_lines
from stages.commands.plan.predict import Engine, Predictor, this_machine
from stages.commands.project import PARAMS, RAW, ROOT, FiniteRange, ProjectCommand, ProjectPath, check_new, listed, size
from stages.shared.core.digests import DIGESTS, files_below
from stages.shared.core.params import Cell, load
from stages.shared.runtime.console import Stopped, progress
from stages.shared.runtime.durations import processors
from stages.shared.runtime.errors import UserError, check_known

threads_option = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each cell. Other counts, other digits."
)
remote_option = click.option("--remote", is_flag=True, help="Pass results through DVC's default remote, not a cache.")
gpus_option = click.option(
    "--gpus-per-cell", "gpus", type=FiniteRange(0), help="May be a fraction; by default 1 where there are any, 0: none."
)
memory_option = click.option(
    "--memory", type=FiniteRange(0), help="GiB that a cell asks for; by default as `plan` predicts, 0: none."
)


@click.group(short_help="Run the open cells of the grid side by side, on one machine or many.")
def fleet() -> None:
    """Run the open cells of the grid side by side, on one machine or many.

    Every cell runs in a workspace of its own, with the code and parameters of this one; what it gives lands in DVC's
    cache, which all machines must see under one path (or in a remote), and `dvc repro` takes it from there.
    """


@fleet.command(cls=ProjectCommand)
@click.option("--workers", type=click.IntRange(1), help="Cells at once; by default as many as the processors allow.")
@threads_option
@gpus_option
@memory_option
@click.option(
    "--retries", type=click.IntRange(0), default=2, show_default=True, help="How often what was lost runs again."
)
@click.option("--address", default="", help="Of a Ray cluster, or `auto`; without it Ray starts on this machine.")
@remote_option
def run(
    workers: int | None,
    threads: int,
    gpus: float | None,
    memory: float | None,
    retries: int,
    address: str,
    remote: bool,
) -> None:
    """Compute every open cell, then everything else, as `dvc repro` would.

    prepare runs first and aggregate last, both here. What a GPU is for, finetune and embed, holds one; measure needs
    none. A cell that fails stops no other; what was lost with its worker runs again.
    """
    import_ray(address)
    config = read_config(PARAMS)
    source = cells.read_source(config, threads, remote=remote)
    click.get_current_context().invoke(check, params=PARAMS)
    prepared = [f"prepare@{dataset}" for dataset in config.run.datasets]
    run_dvc("repro", *prepared)
    stale = open_stages(config.run, allow_missing=remote)
    todo = open_cells(config.run, stale)
    print(f"fleet: {len(todo)} of {len(list(config.run.cells()))} cells are open", flush=True)
    if todo:
        if remote:
            run_dvc("push", "--quiet", "--run-cache", *prepared)
        lines = plan_lines(config, RAW)
        todo = cells.longest_first(lines, todo)
        predicted = Predictor(config, Engine(1, threads), lines).cells(stale) if memory is None else {}
        at_once = workers or (None if address else max(1, processors() // threads))
        with record.hold_cells(record_folder(), [*map(cell_name, todo)]):
            try:
                with connected(address, (at_once or 0) * threads) as ray:
                    gpus = choose_gpus(ray, gpus, threads)
                    tasks = [*open_tasks(todo, stale, gpus, memory, predicted)]
                    source = replace(source, without_gpu=not gpus)
                    outcomes = run_cells(ray, source, tasks, at_once=at_once, retries=retries)
                    ended = compute(outcomes, [*map(cell_name, todo)])
            except Stopped:
                remove_left_workspaces(patience=10)  # Ray's workers take a moment to end
                raise
            remove_left_workspaces()
            finish(config, ended, remote=remote)
    run_dvc("repro", *(["--pull", "--allow-missing"] if remote else []))


def open_tasks(
    todo: Sequence[Cell], stale: set[str], gpus: float, memory: float | None, predicted: cells.Predicted
) -> Iterator[list[Task]]:
    """Yield the tasks of every cell: with a GPU what one is for, and then the rest, or all in one where there is none.

    Args:
        todo: cells, longest first.
        stale: stages that would run; a task of no such stage is left out.
        gpus: of a cell.
        memory: GiB that each asks for; None: as predicted.
        predicted: what every stage takes; empty where that is not asked for.
    """
    locked, parts = read_lock(ROOT), (ON_GPU, ON_CPU) if gpus else (CELL_STAGES,)
    most: dict[str, float] = {}
    for cell in todo:
        tasks = []
        for stages in parts:
            task = cells.task_of(cell, locked, stages)
            if not stale.isdisjoint(task.stages):
                asked = cells.memory_of(predicted.get(cell, {}), stages, memory)
                most[", ".join(stages)] = max(asked, most.get(", ".join(stages), 0))
                tasks.append(replace(task, gpus=gpus if stages == ON_GPU else 0, memory=asked))
        yield tasks
    said = "; ".join(f"{stages}: up to {size(asked)} of memory" for stages, asked in most.items() if asked)
    print(f"fleet: {said or 'no limit on memory'}", flush=True)


def compute(outcomes: Iterable[Outcome], names: Sequence[str]) -> list[Outcome]:
    """Keep the logs of cells as they end, and say what became of them."""
    folder, began, ended, failed = record_folder(), time.monotonic(), [], []
    record.begin(folder, names)
    states = dict.fromkeys(names, OPEN)
    for outcome in progress(outcomes, total=len(names), what="fleet", unit="cells"):
        states[outcome.name], line = record.add(folder, outcome, stage_path("aggregate", "--log"))
        tqdm.write(line)  # above the bar, on a terminal
        sys.stdout.flush()
        ended.append(outcome)
        failed += [line] if outcome.failed else []
    print("\n".join([f"fleet: {record.summary(states)}, {time.monotonic() - began:.0f} s", *failed]), flush=True)
    return ended


def finish(config: Config, outcomes: Sequence[Outcome], *, remote: bool) -> None:
    """Enter what is done to dvc.lock, in the order in which `dvc repro` runs the stages of the grid.

    Raises:
        UserError: a cell failed, or DVC does not find what was computed, and would compute it here, one after another.
    """
    computed = {stage: entry for outcome in outcomes for stage, entry in outcome.locked.items()}
    by_stage = zip(*map(stage_names, config.run.cells()), strict=True)  # all finetune first
    enter({name: computed[name] for names in by_stage for name in names if name in computed}, remote=remote)
    if failed := [outcome.name for outcome in outcomes if outcome.failed]:
        raise UserError(
            f"{len(failed)} of {len(outcomes)} cells failed ({listed(failed)}); the others are done; fix what their "
            "logs name and run this again"
        )
    if open_again := open_cells(config.run, open_stages(config.run, allow_missing=remote)):
        raise UserError(
            f"cells {listed([*map(cell_name, open_again)])}: must be in DVC's cache and of this code and these "
            "parameters, are not; if you edited them meanwhile, run this again; else let all machines see one cache "
            "(`dvc config --local cache.dir`), or use --remote"
        )


def record_folder() -> Path:
    """Return the folder of locks, logs and the record, below the cache that fleets share."""
    return cache_folder() / RECORD_FOLDER


@fleet.command(cls=ProjectCommand)
def status() -> None:
    """Say what became of each cell of the grid in the running fleet, or in the last one."""
    folder = record_folder()
    names = [*map(cell_name, read_config(PARAMS).run.cells())]
    states = record.read_states(folder, names)
    with record.held_cells(folder) as held:
        work = "no fleet is at work" if held.isdisjoint(names) else "a fleet is at work"
    print(f"{work} on {folder.parent}: {record.summary({name: state for name, (state, _) in states.items()})}")
    for _, line in states.values():
        if line:
            print(f"  {line}")


@fleet.command(cls=ProjectCommand)
@click.option(
    "--out", type=ProjectPath(), help="A new folder; by default `partial` beside the results, which is replaced."
)
@click.option("--allow-missing", is_flag=True, help="Leave out what is not done; every output names it.")
def results(out: Path | None, allow_missing: bool) -> None:
    """Aggregate the cells that are done, also while a fleet is at work: the largest part that is a whole grid."""
    partial = stage_path("aggregate", "--out").with_name("partial")
    out = out or partial
    (check_replaceable if out.absolute() == partial else check_new)(out)
    config, locked = read_config(PARAMS), read_lock(ROOT)
    for stage in changed_stages(*(f"prepare@{dataset}" for dataset in config.run.datasets)):
        if stage in locked:  # else no cell is done
            cells.check_prepared(locked, stage.partition("@")[2], remote=False, stale=[stage])
    cells.aggregate_done(config.run, recorded_stages(config), out, allow_missing=allow_missing)


def recorded_stages(config: Config) -> dict[str, Mapping[str, Any]]:
    """Return what dvc.lock would say of the stages that fleets on this cache have computed."""
    contents = record.read_contents(record_folder(), map(cell_name, config.run.cells()))
    return {name: entry for content in contents.values() for name, entry in content["locked"].items()}


def check_replaceable(out: Path) -> None:
    """Check that nothing is where results are to be written but earlier ones, as their digests name them.

    Raises:
        UserError: naming what is there beside them, or that nothing can be written there.
    """
    if not out.is_dir():
        check_new(out)
    try:
        earlier = read_result_digests(out)
    except UserError:  # lost, damaged or of something else
        earlier = None
    own = {out / name for name in (DIGESTS, *earlier.record.files)} if earlier else set()
    if other := next((path for path in files_below(out) if path not in own), None):
        raise UserError(
            f"{out}: must be new, or hold what `fleet results` wrote there alone, since that is replaced, found "
            f"{other.relative_to(out)}; name another folder with --out"
        )


@fleet.command(name="list", cls=ProjectCommand)
@threads_option
@remote_option
@click.option("--sbatch", is_flag=True, help="Write a script for SLURM instead: job arrays with what `plan` predicts.")
@gpus_option
@memory_option
def list_cells(threads: int, remote: bool, sbatch: bool, gpus: float | None, memory: float | None) -> None:
    """Print the cells left to compute, longest first: one line each, the command that does it, for any scheduler."""
    config = read_config(PARAMS)
    options = f"{f' --threads {threads}' if threads > 1 else ''}{' --remote' if remote else ''}"
    stale, locked = open_stages(config.run, allow_missing=remote), read_lock(ROOT)
    todo = open_cells(config.run, stale)
    for dataset in dict.fromkeys(cell[0] for cell in todo):
        cells.check_prepared(locked, dataset, remote=remote, stale=stale)
    done = cells.done_cells(config.run, [recorded_stages(config)], load(PARAMS))
    if taken := [cell_name(cell) for cell in todo if cell in done]:
        print(f"note: {listed(taken)}: computed, and left out; `whichlayer fleet run` takes them", file=sys.stderr)
    todo = [cell for cell in todo if cell not in done]
    lines = plan_lines(config, RAW) if todo else []
    todo = cells.longest_first(lines, todo)
    if not sbatch:
        for cell in todo:
            print(f"whichlayer fleet cell {cell_name(cell)}{options}")
        return
    states = record.read_states(record_folder(), map(cell_name, todo))
    gpus = float(this_machine().gpus > 0) if gpus is None else gpus
    predicted = Predictor(config, Engine(1, threads), lines).cells(stale)
    failed = [line for state, line in states.values() if line and state in (record.FAILED, OPEN)]
    print(cells.script(todo, predicted, threads=threads, gpus=gpus, memory=memory, options=options, failed=failed))


@fleet.command(cls=ProjectCommand)
@click.argument("name")
@threads_option
@remote_option
@click.option("--gpu-stages", is_flag=True, help="Only what a GPU is for: finetune and embed.")
def cell(name: str, threads: int, remote: bool, gpu_stages: bool) -> None:
    """Compute one cell, as `whichlayer fleet list` names it, in a workspace of its own; prepare must have run."""
    config, locked = read_config(PARAMS), read_lock(ROOT)
    known = {cell_name(each): each for each in config.run.cells()}
    check_known(name, known, f"{name}: must be a cell of the grid (`run` in params.yaml)")
    cells.check_prepared(locked, known[name][0], remote=remote)
    task = cells.task_of(known[name], locked, ON_GPU if gpu_stages else CELL_STAGES)
    source = cells.read_source(config, threads, remote=remote)
    with record.hold_cells(record_folder(), [name]):
        record.begin(record_folder(), [name])
        outcome = run_task(source, task)
        print(record.add(record_folder(), outcome, stage_path("aggregate", "--log"))[1])
    sys.exit(1 if outcome.failed else 0)
