"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from stages.aggregate.facts import read_facts
from stages.aggregate.words.formatting import plural
from stages.aggregate.words.power import power_sentence
from stages.commands.config import Config, read_config
from stages.commands.dvc_project.workspace import cache_folder, stage_path
from stages.commands.grid import CELL_STAGES, ON_GPU, all_stages, count_stages, open_stages
from stages.commands.plan.predict import Around, Cells, Engine, Line, Machine, Predictor, side_by_side
from stages.commands.plan.work import count_images, work_of
from stages.commands.project import RAW, ROOT, FiniteRange, ProjectCommand, json_option, params_option, size
from stages.prepare.raw_files import check_regular
from stages.shared.runtime.errors import UserError

SMALLER = {
    "finetune": "lower finetune.batch_size",
    "embed": "lower embed.batch_size, or set embed.dtype to float16",
    "measure": "measure in fewer processes (WHICHLAYER_WORKERS=1, --threads of a fleet), or lower the dataset's `test` "
    "and `unseen`",
}
"""What makes a stage of one cell fit into less memory."""


@click.command(cls=ProjectCommand)
@params_option
@click.option(
    "--workers", type=click.IntRange(1), help="Predict `fleet run` with so many cells at once, not `dvc repro`."
)
@click.option("--threads", type=click.IntRange(1), help="Of each cell, as in `fleet run`; by default 1.")
@click.option("--time/--no-time", "timed", default=True, help="Predict time and memory, by timing what no run tells.")
@click.option(
    "--lead", type=FiniteRange(min=0, min_open=True), help="Say what would show such a lead over the last layer."
)
@json_option
def plan(
    params: Path, workers: int | None, threads: int | None, timed: bool, as_json: bool, lead: float | None
) -> None:
    """Print what would run in the current grid, and what it would take on this machine.

    How many images pass through which network, disk, time and memory: of `dvc repro`, or with --workers of a fleet.
    Time and memory are those of earlier runs of the same work on this machine, else from some seconds of each network's
    real work. Networks get random weights, so that a plan needs no downloads.

    --lead says how many folds, seeds or unseen classes would show such a lead over the last layer, by this project's
    finished study.
    """
    if threads and not workers:
        raise UserError("--threads is of the cells of a fleet; give --workers, too")
    shown = [] if lead is None else pilot(stage_path("aggregate", "--out"), lead)
    config, engine = read_config(params), Engine(workers or 0, threads or 1)
    for dataset in config.run.datasets:
        check_regular(RAW / dataset, for_dvc=True)  # DVC, asked below, waits for a pipe
    of_project = params in (Path("params.yaml"), ROOT / "params.yaml")  # the one that DVC reads
    stages = open_stages(config.run) if of_project else all_stages(config.run)
    lines = plan_lines(config, RAW)
    if not as_json:
        counts = ", ".join(f"{count} {stage}" for stage, count in count_stages(stages).items())
        print(f"stages that would run, or come from the cache: {counts}\n\n{table(lines)}")
        print(f"For each of the folds of a line and one seed of {len(config.run.seeds)}.\n")
        print(disk(needed_disk(config, lines), Path(), cache_folder()), flush=True)
    predictor = Predictor(config, engine, lines)
    predicted = predictor.predict(RAW, stages) if timed and stages else None
    if as_json:
        planned: dict[str, Any] = {"stages": count_stages(stages), "lines": [asdict(line) for line in lines]}
        planned |= {"disk": needed_disk(config, lines)} | ({"pilot": shown} if shown else {})
        if predicted:
            planned["seconds"] = {name: sum(each) for name, each in seconds_of(*predicted).items()}
            planned["memory"] = memory_of(predicted[0])
        print(json.dumps(planned, indent=2, ensure_ascii=False))
        return
    if predicted:
        here = predictor.here
        print(*time_lines(*predicted, engine, here), *memory_lines(predicted[0], engine, here), sep="\n")
    if shown:
        print("", *shown, sep="\n")


def pilot(results: Path, lead: float) -> list[str]:
    """Return what a finished study shows, and what a lead takes, a sentence or two for each network.

    Args:
        results: the folder that the aggregate stage wrote.
        lead: over the last layer.

    Raises:
        UserError: there is no such study, or nothing is known from it.
    """
    power = read_facts(results).power
    if not power:
        raise UserError(
            f"--lead: {results} must hold a study that tells of other classes, by a score of a proven level (three "
            "folds or more, or ten classes of a network as it is), found none; run one as a pilot"
        )
    return [power_sentence(each, lead) for each in power]


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
    images = {d: max(line.images.packed for line in lines if line.dataset == d) for d in config.run.datasets}
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
        line += f" (twice that with DVC's cache, unless `cache.type` links), {size(free)} free"
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


def seconds_of(cells: Cells, around: Around) -> dict[str, Sequence[float]]:
    """Return what every run of a stage takes, by stage, and what runs them."""
    of_cells = {stage: [cell[stage].seconds for cell in cells if stage in cell] for stage in CELL_STAGES}
    return {"prepare": around["prepare"], **of_cells, **around}


def memory_of(cells: Cells) -> dict[str, float]:
    """Return the bytes that the largest run of each stage of cells needs."""
    return {stage: max((cell[stage].memory for cell in cells if stage in cell), default=0) for stage in CELL_STAGES}


def time_lines(cells: Cells, around: Around, engine: Engine, here: Machine) -> list[str]:
    """Return how long each stage takes, and all.

    Args:
        cells: what the open stages of every cell take.
        around: seconds of other stages, and of what runs them.
        engine, here: what runs them.
    """
    by_stage = seconds_of(cells, around)
    rows = [f"  {stage:9s} {len(each):4d} x {up_to(each)}" for stage, each in by_stage.items() if any(each)]
    logged = {one.logged for cell in cells for one in cell.values()}
    sources = {True: "earlier runs on this machine", False: "some seconds of each network's work"}
    source = " and ".join(text for kind, text in sources.items() if kind in (logged or {True}))
    title = f"time of `{engine}` on this machine ({here}), from {source}"
    if not engine.workers:
        total = f"  in all {duration(sum(map(sum, by_stage.values())))}, one stage after another"
        return [f"{title}, within a factor of 1.5:", *rows, total]
    slowdown, few = engine.slowdown(here), 0 < here.gpus < engine.workers
    at_once = {CELL_STAGES: engine.workers} | ({ON_GPU: here.gpus} if few else {})
    cells_end = slowdown * max(side_by_side(cells, stages, workers) for stages, workers in at_once.items())
    total = f"  in all {duration(sum(map(sum, around.values())) + cells_end)}, "
    total += f"{plural(engine.workers, 'cell')} at once with {plural(engine.threads, 'thread')} each"
    total += f"; finetune and embed of {here.gpus} at once, on {plural(here.gpus, 'GPU')}" if few else ""
    if slowdown > 1:
        total += f"; {slowdown:.1f} times slower than one alone, since processors are too few"
    return [f"{title}:", *rows, total]


def up_to(seconds: Sequence[float]) -> str:
    """Write the longest of some durations, with `up to` before it where others are shorter."""
    shortest, longest = duration(min(seconds)), duration(max(seconds))
    return f"{'' if shortest == longest else 'up to '}{longest}"


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_lines(cells: Cells, engine: Engine, here: Machine) -> list[str]:
    """Return how much memory the open stages need at once, and what would make one fit that does not."""
    needed = {stage: memory for stage, memory in memory_of(cells).items() if memory}
    if not needed:
        return []
    text = ", ".join(f"{stage} {size(memory)}" for stage, memory in needed.items())
    lines = [f"memory of one cell: {text}; {size(here.memory)} in this machine"]
    at_once = max(1, engine.workers)
    for stage, memory in needed.items():
        if memory * at_once > here.memory:
            where = f" in {at_once} cells at once" if at_once > 1 else ""
            remedy = "take fewer --workers" if at_once > 1 else SMALLER[stage]
            lines.append(f"warning: {stage}{where} may not fit; {remedy}")
    return lines
