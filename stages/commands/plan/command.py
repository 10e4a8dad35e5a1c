"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import click
from tabulate import tabulate

from stages.commands.config import Config, read_config
from stages.commands.fleet.source import cache_folder
from stages.commands.plan.cost import Cost, cost
from stages.commands.plan.images import images_of
from stages.commands.plan.machine import Engine, Machine
from stages.commands.plan.predict import (
    FLEET_CELL_SECONDS,
    FLEET_SECONDS,
    CellTime,
    Planned,
    between,
    predict_aggregate,
    predict_cells,
    predict_dvc,
    predict_prepare,
    side_by_side,
)
from stages.commands.plan.stale import STAGES, all_stages, count_stages, open_stages, recorded_stages
from stages.commands.plan.timer import Timer
from stages.commands.project import ROOT, ProjectCommand, params_option, raw_option, stage_path
from stages.shared.runtime.errors import UserError

GIB = 2**30
OF_A_CELL = STAGES[1:4]
SMALLER = {
    "finetune": "lower finetune.batch_size",
    "embed": "lower embed.batch_size, or set embed.dtype to float16",
    "measure": "lower the dataset's `test` and `unseen`",
}
"""What makes a stage fit into less memory, one cell and one process at a time."""


@click.command(cls=ProjectCommand)
@params_option
@raw_option
@click.option(
    "--workers", type=click.IntRange(1), help="Predict `fleet run` with so many cells at once, not `dvc repro`."
)
@click.option("--threads", type=click.IntRange(1), help="Of each cell, as in `fleet run`; by default 1.")
@click.option(
    "--time/--no-time",
    "timed",
    default=True,
    help="Time pieces of the work here, which takes up to a minute for each network and size of images.",
)
def plan(params: Path, raw: Path, workers: int | None, threads: int | None, timed: bool) -> None:
    """Say what would run in the current grid, and what it would take on this machine.

    How many images pass through which network, disk, and, from some seconds of each network's real work, time and
    memory: of `dvc repro`, or with --workers of a fleet. Networks get random weights, so that a plan needs no
    downloads.
    """
    if threads and not workers:
        raise UserError("--threads is of the cells of a fleet; give --workers, too")
    config, engine = read_config(params), Engine(workers or 0, threads or 1)
    of_project = params in (Path("params.yaml"), ROOT / "params.yaml")  # the one that DVC reads
    stages = open_stages(config.run) if of_project else all_stages(config.run)
    print(f"stages that would run, or come from the cache: {count_stages(stages)}\n")
    planned = plan_cells(config, raw)
    print(table([(dataset, model, folds, c) for dataset, model, _, folds, c in planned]))
    print(f"For each of the folds of a line and one seed of {len(config.run.seeds)}.\n")
    print(disk(needed_disk(config, planned), Path(), cache_folder()), flush=True)
    if timed and stages:
        print(time_and_memory(config, raw, planned, stages, engine))


def plan_cells(config: Config, raw: Path) -> Planned:
    """Work out what every network costs on every dataset, folds that cost the same together."""
    images = {name: images_of(config, raw, name) for name in config.run.datasets}
    return [
        (dataset, model, counts, folds, cost(config, model, counts))
        for dataset in config.run.datasets
        for model in config.run.models
        for counts, folds in images[dataset].items()
    ]


def table(rows: Sequence[tuple[str, str, Sequence[str], Cost]]) -> str:
    """Lay out one line per dataset, network and folds that cost the same, for one fold and seed."""
    cells = [
        {
            "dataset": dataset,
            "model": model,
            "folds": ", ".join(folds),
            "params": f"{c.parameters / 1e6:.1f}M",
            "trained": f"{c.trained:,}",
            "forward": f"{c.passed:,}",
            "TFLOP": f"{c.flops / 1e12:.1f}",
            "weights": size(c.checkpoints),
            "store": size(c.embeddings),
        }
        for dataset, model, folds, c in rows
    ]
    return tabulate(cells, headers="keys", disable_numparse=True, colalign=("left", "left", "left", *["right"] * 6))


def needed_disk(config: Config, planned: Planned) -> int:
    """Sum up the bytes of prepared images, checkpoints and stores, before compression."""
    cells = len(config.run.seeds) * sum(len(folds) * (c.checkpoints + c.embeddings) for *_, folds, c in planned)
    images = {d: max(of.prepared for name, _, of, *_ in planned if name == d) for d in config.run.datasets}
    return cells + sum(3 * config.datasets[d].image_size ** 2 * count for d, count in images.items())


def disk(needed: float, here: Path, cache: Path) -> str:
    """Compare disk with what is free.

    Args:
        needed: bytes.
        here: where the results go.
        cache: where DVC keeps them, perhaps on another disk; the folder may be yet to be made.
    """
    cache = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    free, free_of_cache = shutil.disk_usage(here).free, shutil.disk_usage(cache).free
    line = f"disk: {size(needed)} for prepared images, checkpoints and stores"
    if here.stat().st_dev == cache.stat().st_dev:
        line += f" (twice that if DVC's cache cannot link), {size(free)} free"
        room = free / 2
    else:
        line += f", {size(free)} free; as much for DVC's cache, {size(free_of_cache)} free there"
        room = min(free, free_of_cache)
    if needed > room:
        line += (
            "\nwarning: that may not fit; `finetune.keep: last` keeps one checkpoint per cell, "
            "`embed.dtype: float16` halves the stores"
        )
    return line


def time_and_memory(config: Config, raw: Path, planned: Planned, stages: Collection[str], engine: Engine) -> str:
    """Time pieces of the work, and say how long the open stages take, and what memory they need."""
    log, machine, names = stage_path("aggregate", "--log"), Machine.this(), all_stages(config.run)
    open_of = {cell: [stage for stage in OF_A_CELL if name_of(stage, cell) in stages] for cell in config.run.cells()}
    times = predict_cells(Timer(config, engine.limit), planned, open_of, engine, machine)
    cells = [{stage: times[cell[:3]].seconds[stage] for stage in some} for cell, some in open_of.items() if some]
    by_stage: dict[str, list[float]] = {
        "prepare": [predict_prepare(config, raw / d, d, log) for d in config.run.datasets if f"prepare@{d}" in stages],
        **{stage: [cell[stage] for cell in cells if stage in cell] for stage in OF_A_CELL},
        "aggregate": [predict_aggregate([name_of("", cell)[1:] for cell in open_of], log)],
    }
    if engine.is_fleet:
        by_stage |= {"DVC": [FLEET_CELL_SECONDS] * len(cells), "fleet": [between(FLEET_SECONDS, len(names))]}
    else:
        by_stage["DVC"] = [predict_dvc(stages, recorded_stages())] * len(stages)
    lines = time_lines(by_stage, [sum(cell.values()) for cell in cells], engine, machine)
    return "\n".join([*lines, *memory_lines(times, engine, machine)])


def name_of(stage: str, cell: Sequence[object]) -> str:
    """Name a stage of a cell as DVC does."""
    return f"{stage}@{'-'.join(map(str, cell))}"


def time_lines(
    by_stage: Mapping[str, Sequence[float]], cells: Sequence[float], engine: Engine, machine: Machine
) -> list[str]:
    """Say how long each stage takes, and all.

    Args:
        by_stage: seconds of every stage that is open, and of what is around them.
        cells: seconds of the stages of every open cell.
        engine, machine: what runs them.
    """
    rows = [f"  {stage:9s} {len(each):4d} x {duration(max(each))}" for stage, each in by_stage.items() if each]
    title = f"time of `{engine}` on this machine ({machine}), from some seconds of each network's work"
    if not engine.is_fleet:
        title += ", within a factor of 1.5"
        total = f"  in all {duration(sum(map(sum, by_stage.values())))}, one stage after another"
    else:
        at_once, slowdown = engine.at_once(machine), engine.slowdown(machine)
        each = [(seconds + FLEET_CELL_SECONDS) * slowdown for seconds in cells]
        around = sum(sum(by_stage.get(name, ())) for name in ("prepare", "aggregate", "fleet"))
        total = f"  in all {duration(around + side_by_side(each, at_once))}, {counted(at_once, 'cell')} at once"
        total += f" with {counted(engine.threads, 'thread')} each"
        if at_once < engine.workers:
            total += "; each has a GPU to itself"
        if slowdown > 1:
            total += f"; {slowdown:.1f} times slower than one alone, since processors are too few"
    return [f"{title}:", *rows, total]


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_lines(times: Mapping[tuple[str, str, str], CellTime], engine: Engine, machine: Machine) -> list[str]:
    """Say how much memory the open stages need at once, and what would make one fit that does not."""
    at_once = engine.at_once(machine)
    timed = [stage for stage in OF_A_CELL if any(stage in predicted.memory for predicted in times.values())]
    most = {stage: max(predicted.memory.get(stage, 0) for predicted in times.values()) for stage in timed}
    if not most:
        return []
    on_gpu = {"finetune", "embed"} if machine.gpus else set()
    needed = ", ".join(f"{stage} {size(m)}{' of the GPU' if stage in on_gpu else ''}" for stage, m in most.items())
    gpu = f", {size(machine.gpu_memory)} in its GPU" if machine.gpus else ""
    lines = [f"memory of one cell: {needed}; {size(machine.memory)} in this machine{gpu}"]
    for stage, memory in most.items():
        cells, have = (1, machine.gpu_memory) if stage in on_gpu else (at_once, machine.memory)
        if memory * cells > have:
            where = f" in {cells} cells at once" if cells > 1 else ""
            lines.append(f"warning: {stage}{where} may not fit; {remedy(stage, engine, cells)}")
    return lines


def remedy(stage: str, engine: Engine, cells: int) -> str:
    """Say what makes a stage fit into less memory.

    Args:
        stage: its name.
        engine: what runs it.
        cells: how many are at once in the memory that is too small.
    """
    if cells > 1:
        return "take fewer --workers"
    if stage == "measure" and engine.processes > 1:
        return f"measure in fewer processes: {'fewer --threads' if engine.is_fleet else 'WHICHLAYER_WORKERS=1'}"
    return SMALLER[stage]


def size(count: float) -> str:
    """Write a number of bytes for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"
