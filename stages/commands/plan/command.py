"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import click
import psutil
from tabulate import tabulate

from stages.commands.config import Config, read_config
from stages.commands.plan.cost import Cost, cost
from stages.commands.plan.images import Images, images_of
from stages.commands.plan.predict import (
    CellTime,
    predict_aggregate,
    predict_cell,
    predict_prepare,
    processors,
    side_by_side,
)
from stages.commands.plan.stale import STAGES, all_stages, count_stages, open_stages
from stages.commands.project import ROOT, ProjectCommand, params_option, raw_option, stage_path
from stages.shared.devices import choose_device

GIB = 2**30
REMEDIES = {
    "finetune": "lower finetune.batch_size",
    "embed": "lower embed.batch_size, or set embed.dtype to float16",
    "measure": "measure in fewer processes: WHICHLAYER_WORKERS=1",
}
"""What makes a stage fit into less memory."""

Planned = Sequence[tuple[str, str, Images, Sequence[str], Cost]]
"""Dataset, network, images of a fold, the folds that have as many, and what one of them costs."""


@click.command(cls=ProjectCommand)
@params_option
@raw_option
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Cells at once, as in `fleet run`."
)
@click.option("--time/--no-time", "timed", default=True, help="Time pieces of the work here, which takes some seconds.")
def plan(params: Path, raw: Path, workers: int, timed: bool) -> None:
    """Say what would run in the current grid, and what it would take on this machine.

    How many images pass through which network, disk, and, from some seconds of the real work, time and memory. Networks
    get random weights, so that a plan needs no downloads.
    """
    config = read_config(params)
    of_project = params in (Path("params.yaml"), ROOT / "params.yaml")  # the one that DVC reads
    stages = open_stages(config.run) if of_project else all_stages(config.run)
    print(f"stages that would run, or come from the cache: {count_stages(stages)}\n")
    planned = plan_cells(config, raw)
    print(table([(dataset, model, folds, c) for dataset, model, _, folds, c in planned]))
    print(f"For each of the folds of a line and one seed of {len(config.run.seeds)}.\n")
    print(disk([c for *_, folds, c in planned for _ in folds], len(config.run.seeds), Path()))
    if timed and stages:
        print(time_and_memory(config, raw, planned, stages, workers))


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


def disk(costs: Sequence[Cost], seeds: int, folder: Path) -> str:
    """Sum up disk against what is free."""
    needed = seeds * sum(c.checkpoints + c.embeddings for c in costs)
    free = shutil.disk_usage(folder).free
    line = f"disk: {size(needed)} for checkpoints and stores (twice that if DVC's cache cannot link), {size(free)} free"
    if 2 * needed > free:
        line += (
            "\nwarning: that may not fit; `finetune.keep: last` keeps one checkpoint per cell, "
            "`embed.dtype: float16` halves the stores"
        )
    return line


def time_and_memory(config: Config, raw: Path, planned: Planned, stages: Collection[str], workers: int) -> str:
    """Time pieces of the work, and say how long the open stages take, and what memory they need."""
    log = stage_path("aggregate", "--log")
    times = {
        (dataset, model, fold): predicted
        for dataset, model, images, folds, c in planned
        for predicted in [predict_cell(config, dataset, model, images, c, processors())]
        for fold in folds
    }
    cells = [
        {stage: times[cell[:3]].of(stage) for stage in STAGES[1:4] if name_of(stage, cell) in stages}
        for cell in config.run.cells()
    ]
    before = [predict_prepare(config, raw / d, d, log) for d in config.run.datasets if f"prepare@{d}" in stages]
    after = [predict_aggregate(len(cells), log)] if "aggregate" in stages else []
    by_stage = {"prepare": before, **{s: [c[s] for c in cells if s in c] for s in STAGES[1:4]}, "aggregate": after}
    return "\n".join([*time_lines(by_stage, [sum(c.values()) for c in cells], workers), *memory_lines(times, workers)])


def name_of(stage: str, cell: Sequence[object]) -> str:
    """Name a stage of a cell as DVC does."""
    return f"{stage}@{'-'.join(map(str, cell))}"


def time_lines(by_stage: Mapping[str, Sequence[float]], cells: Sequence[float], workers: int) -> list[str]:
    """Say how long each stage takes, and all.

    Args:
        by_stage: seconds of every stage that is open.
        cells: seconds of every cell.
        workers: cells at once.
    """
    device = choose_device().device.type
    machine = f"{processors()} processors, {'no GPU' if device == 'cpu' else f'a GPU ({device})'}"
    rows = [f"  {stage:9s} {len(each):4d} x {duration(max(each))}" for stage, each in by_stage.items() if each]
    alone = sum(map(sum, by_stage.values()))
    total = f"  in all {duration(alone)}, one stage after another"
    if workers > 1:
        shared = alone - sum(cells) + side_by_side(list(cells), workers)
        total += f"; {duration(shared)} with {workers} cells at once, each on as many processors as were used here"
    return [f"time on this machine ({machine}), from some seconds of the work, within a factor of 1.5:", *rows, total]


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_lines(times: Mapping[tuple[str, str, str], CellTime], workers: int) -> list[str]:
    """Say how much memory the stages need at once, and what would make one fit that does not."""
    have = psutil.virtual_memory().total
    most = {stage: max(predicted.memory[stage] for predicted in times.values()) for stage in REMEDIES}
    needed = ", ".join(f"{stage} {size(memory)}" for stage, memory in most.items())
    lines = [f"memory: {needed}; {size(have)} in this machine"]
    for stage, memory in most.items():
        if memory * workers > have:
            cells = f" in {workers} cells at once" if workers > 1 else ""
            lines.append(f"warning: {stage}{cells} may not fit; {REMEDIES[stage]}")
    return lines


def size(count: float) -> str:
    """Write a number of bytes for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"
