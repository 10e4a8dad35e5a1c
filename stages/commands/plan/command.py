"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import click
from tabulate import tabulate

from stages.commands.config import Config, read_config
from stages.commands.dvc_project.workspace import cache_folder, recorded_stages, stage_path
from stages.commands.grid import CELL_STAGES, all_stages, count_stages, open_stages, stage_names
from stages.commands.plan.machine import Engine, Machine, this_machine
from stages.commands.plan.predict import (
    FLEET_CELL_SECONDS,
    FLEET_SECONDS,
    Line,
    Prediction,
    Predictor,
    between,
    predict_dvc,
    side_by_side,
)
from stages.commands.plan.work import count_images, work_of
from stages.commands.project import ROOT, ProjectCommand, params_option, raw_option
from stages.commands.sizes import size
from stages.prepare.raw_files import check_regular
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import load

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
    help="Predict time and memory, for which pieces are timed of what no earlier run on this machine tells.",
)
def plan(params: Path, raw: Path, workers: int | None, threads: int | None, timed: bool) -> None:
    """Print what would run in the current grid, and what it would take on this machine.

    How many images pass through which network, disk, time and memory: of `dvc repro`, or with --workers of a fleet.
    Time and memory are those of earlier runs of the same work on this machine, else from some seconds of each network's
    real work. Networks get random weights, so that a plan needs no downloads.
    """
    if threads and not workers:
        raise UserError("--threads is of the cells of a fleet; give --workers, too")
    config, engine = read_config(params), Engine(workers or 0, threads or 1)
    for dataset in config.run.datasets:
        check_regular(raw / dataset, for_dvc=True)  # DVC, asked below, waits for a pipe
    of_project = params in (Path("params.yaml"), ROOT / "params.yaml")  # the one that DVC reads
    stages = open_stages(config.run) if of_project else all_stages(config.run)
    print(f"stages that would run, or come from the cache: {count_stages(stages)}\n")
    lines = plan_lines(config, raw)
    print(table(lines))
    print(f"For each of the folds of a line and one seed of {len(config.run.seeds)}.\n")
    print(disk(needed_disk(config, lines), Path(), cache_folder()), flush=True)
    if timed and stages:
        here, log = this_machine(), stage_path("aggregate", "--log")
        predictor = Predictor(config, load(params), engine, here, log, len(lines))
        print(time_and_memory(predictor, raw, lines, stages))


def plan_lines(config: Config, raw: Path) -> list[Line]:
    """Work out what every network has to do on every dataset, folds with as many images together."""
    lines = []
    for dataset in config.run.datasets:
        images = count_images(config, raw, dataset)
        for model in config.run.models:
            for counts in dict.fromkeys(images.values()):
                folds = [fold for fold in images if images[fold] == counts]
                lines.append(Line(dataset, model, folds, counts, work_of(config, model, counts)))
    return lines


def table(lines: Sequence[Line]) -> str:
    """Lay out one line per dataset, network and folds with as many images, for one fold and seed."""
    cells = [
        {
            "dataset": line.dataset,
            "model": line.model,
            "folds": ", ".join(line.folds),
            "params": f"{line.work.parameters / 1e6:.1f}M",
            "trained": f"{line.work.trained:,}",
            "forward": f"{line.work.passed:,}",
            "TFLOP": f"{line.work.flops / 1e12:.1f}",
            "weights": size(line.work.checkpoints),
            "store": size(line.work.embeddings),
        }
        for line in lines
    ]
    return tabulate(cells, headers="keys", disable_numparse=True, colalign=("left", "left", "left", *["right"] * 6))


def needed_disk(config: Config, lines: Sequence[Line]) -> int:
    """Sum up the bytes of prepared images, checkpoints and stores, before compression."""
    cells = sum(len(line.folds) * (line.work.checkpoints + line.work.embeddings) for line in lines)
    images = {d: max(line.images.prepared for line in lines if line.dataset == d) for d in config.run.datasets}
    prepared = sum(3 * config.datasets[d].image_size ** 2 * count for d, count in images.items())
    return len(config.run.seeds) * cells + prepared


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


def time_and_memory(predictor: Predictor, raw: Path, lines: Sequence[Line], stages: Collection[str]) -> str:
    """Return how long the open stages take, and what memory they need, under a progress bar."""
    config, engine, here = predictor.config, predictor.engine, predictor.here
    open_of = {
        cell: [stage for stage, name in zip(CELL_STAGES, stage_names(cell), strict=True) if name in stages]
        for cell in config.run.cells()
    }
    predicted = {}
    for line in progress(lines, total=len(lines), what="timing", unit="lines of the table"):
        for fold in line.folds:
            key = line.dataset, line.model, fold
            stages_of = {stage for cell, of in open_of.items() if cell[:3] == key for stage in of}
            predicted[key] = predictor.stages(line, stages_of)
    cells = [{stage: predicted[cell[:3]][stage].seconds for stage in of} for cell, of in open_of.items() if of]
    by_stage: dict[str, list[float]] = {
        "prepare": [predictor.prepare(raw, d) for d in config.run.datasets if f"prepare@{d}" in stages],
        **{stage: [cell[stage] for cell in cells if stage in cell] for stage in CELL_STAGES},
        "aggregate": [predictor.aggregate(len(open_of))],
    }
    if engine.workers:
        count = len(all_stages(config.run))
        by_stage |= {"DVC": [FLEET_CELL_SECONDS] * len(cells), "fleet": [between(FLEET_SECONDS, count)]}
    else:
        by_stage["DVC"] = [predict_dvc(stages, recorded_stages())] * len(stages)
    predictions = [(stage, one) for of in predicted.values() for stage, one in of.items()]
    source = source_of([one for _, one in predictions])
    rows = time_lines(by_stage, [sum(cell.values()) for cell in cells], source, engine, here)
    return "\n".join([*rows, *memory_lines(predictions, engine, here)])


def source_of(predictions: Collection[Prediction]) -> str:
    """Return what predictions come from."""
    kinds = {one.logged for one in predictions}
    words = {True: "earlier runs on this machine", False: "some seconds of each network's work"}
    return " and ".join(text for logged, text in words.items() if logged in kinds) or "earlier runs on this machine"


def time_lines(
    by_stage: Mapping[str, Sequence[float]], cells: Sequence[float], source: str, engine: Engine, here: Machine
) -> list[str]:
    """Return how long each stage takes, and all.

    Args:
        by_stage: seconds of every stage that is open, and of what is around them.
        cells: seconds of the stages of every open cell.
        source: what they come from.
        engine, here: what runs them.
    """
    rows = [f"  {stage:9s} {len(each):4d} x {duration(max(each))}" for stage, each in by_stage.items() if each]
    title = f"time of `{engine}` on this machine ({here}), from {source}"
    if not engine.workers:
        title += ", within a factor of 1.5"
        total = f"  in all {duration(sum(map(sum, by_stage.values())))}, one stage after another"
    else:
        at_once, slowdown = engine.at_once(here), engine.slowdown(here)
        seconds = [(cell + FLEET_CELL_SECONDS) * slowdown for cell in cells]
        around = sum(sum(by_stage.get(name, ())) for name in ("prepare", "aggregate", "fleet"))
        total = f"  in all {duration(around + side_by_side(seconds, at_once))}, {counted(at_once, 'cell')} at once"
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


def memory_lines(predictions: Collection[tuple[str, Prediction]], engine: Engine, here: Machine) -> list[str]:
    """Return how much memory the open stages need at once, and what would make one fit that does not."""
    most = {stage: max((p.memory for name, p in predictions if name == stage), default=0) for stage in CELL_STAGES}
    most = {stage: memory for stage, memory in most.items() if memory}
    if not most:
        return []
    on_gpu = {"finetune", "embed"} if here.gpus else set()
    needed = ", ".join(f"{stage} {size(m)}{' of the GPU' if stage in on_gpu else ''}" for stage, m in most.items())
    gpu = f", {size(here.gpu_memory)} in its GPU" if here.gpus else ""
    lines = [f"memory of one cell: {needed}; {size(here.memory)} in this machine{gpu}"]
    for stage, memory in most.items():
        cells, have = (1, here.gpu_memory) if stage in on_gpu else (engine.at_once(here), here.memory)
        if memory * cells > have:
            where = f" in {cells} cells at once" if cells > 1 else ""
            lines.append(f"warning: {stage}{where} may not fit; {remedy(stage, engine, cells)}")
    return lines


def remedy(stage: str, engine: Engine, cells: int) -> str:
    """Return what makes a stage fit into less memory.

    Args:
        stage: its name.
        engine: what runs it.
        cells: how many are at once in the memory that is too small.
    """
    if cells > 1:
        return "take fewer --workers"
    if stage == "measure" and engine.processes > 1:
        return f"measure in fewer processes: {'fewer --threads' if engine.workers else 'WHICHLAYER_WORKERS=1'}"
    return SMALLER[stage]
