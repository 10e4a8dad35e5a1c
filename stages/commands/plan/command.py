"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import psutil
from tabulate import tabulate

from stages.aggregate.facts import read_facts
from stages.aggregate.words.power import power_sentence
from stages.commands.config import Config, read_config
from stages.commands.dvc_project.workspace import cache_folder, stage_path
from stages.commands.grid import CELL_STAGES, ON_GPU, all_stages, count_stages, open_stages
from stages.commands.plan.cost import Cost, Line, Predictor
from stages.commands.plan.work import count_images, work_of
from stages.commands.project import RAW, ROOT, FiniteRange, ProjectCommand, json_option, params_option, size
from stages.prepare.raw_files import check_regular
from stages.shared.runtime.durations import processors
from stages.shared.runtime.errors import UserError

Seconds = dict[str, list[float]]
"""What every run of a stage takes, by stage."""


@click.command(cls=ProjectCommand)
@params_option
@click.option("--time/--no-time", "timed", default=True, help="Estimate time and memory, by timing what no run tells.")
@click.option(
    "--lead", type=FiniteRange(min=0, min_open=True), help="Say what would show such a lead over the last layer."
)
@json_option
def plan(params: Path, timed: bool, as_json: bool, lead: float | None) -> None:
    """Print what would run in the current grid, and what it would take on this machine.

    How many images pass through which network, disk, time and memory. Time and memory are estimates: what earlier runs
    of the same work took here, else from one batch of training and of embedding, and one layer that is measured.
    Networks get random weights, so that a plan needs no downloads.

    --lead says how many folds, seeds or unseen classes would show such a lead over the last layer, by this project's
    finished study.
    """
    shown = [] if lead is None else pilot(stage_path("aggregate", "--out"), lead)
    config = read_config(params)
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
    predictor = Predictor(config)
    cells = [*predictor.cells(lines, stages).values()] if timed else []
    seconds, memory = stage_seconds(predictor, cells, stages), memory_of(cells)
    if predictor.on_gpu:
        memory |= dict.fromkeys(ON_GPU, 0.0)  # theirs is the GPU's
    if as_json:
        planned: dict[str, Any] = {"stages": count_stages(stages), "lines": [asdict(line) for line in lines]}
        planned |= {"disk": needed_disk(config, lines)} | ({"pilot": shown} if shown else {})
        if timed:
            planned |= {"seconds": {name: sum(each) for name, each in seconds.items()}, "memory": memory}
        print(json.dumps(planned, indent=2, ensure_ascii=False))
        return
    if cells:
        print(*time_lines(cells, seconds, on_gpu=predictor.on_gpu), sep="\n")
        print(*memory_lines(memory, psutil.virtual_memory().total), sep="\n")
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
    """Compare the bytes that are needed with what is free where results go, and where DVC keeps a copy of them."""
    cache = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    alike, free = here.stat().st_dev == cache.stat().st_dev, [shutil.disk_usage(each).free for each in (here, cache)]
    line = f"disk: {size(needed)} for prepared images, checkpoints and stores, and as much for DVC's cache (unless "
    line += f"`cache.type` links); {size(free[0])} free{'' if alike else f', {size(free[1])} for the cache'}"
    if needed > min(free) / (2 if alike else 1):
        line += (
            "\nwarning: that may not fit; `finetune.keep: last` keeps one checkpoint per cell, "
            "`embed.dtype: float16` halves the stores"
        )
    return line


def stage_seconds(predictor: Predictor, cells: Sequence[Mapping[str, Cost]], stages: Collection[str]) -> Seconds:
    """Return what every run of a stage takes, by stage; of prepare and aggregate only what earlier runs tell."""
    found = {stage: [cell[stage].seconds for cell in cells if stage in cell] for stage in CELL_STAGES}
    for name in stages:
        stage, _, dataset = name.partition("@")
        if stage not in CELL_STAGES and (earlier := predictor.earlier(stage, dataset)):
            found.setdefault(stage, []).append(earlier.seconds)
    return found


def memory_of(cells: Sequence[Mapping[str, Cost]]) -> dict[str, float]:
    """Return the bytes that the largest run of each stage of cells needs."""
    return {stage: max((cell[stage].memory for cell in cells if stage in cell), default=0) for stage in CELL_STAGES}


def time_lines(cells: Sequence[Mapping[str, Cost]], seconds: Seconds, *, on_gpu: bool) -> list[str]:
    """Return how long each stage takes, and all.

    Args:
        cells: what the open stages of every cell take.
        seconds: of every run, by stage.
        on_gpu: whether networks run on one.
    """
    logged = {cost.logged for cell in cells for cost in cell.values()}
    sources = {True: "earlier runs here", False: "one timed batch or layer of each network"}
    source = " and ".join(text for kind, text in sources.items() if kind in (logged or {True}))
    rows = [f"  {stage:9s} {len(each):4d} x {duration(max(each))}" for stage, each in seconds.items() if each]
    total, count = sum(map(sum, seconds.values())), processors()
    unit = "processor's time (finetune, embed: by the clock)" if on_gpu else "processor's time"
    return [
        f"estimated {unit} on an idle machine, within a factor of 2, from {source}:",
        *rows,
        f"  in all {duration(total)}; by the clock {duration(total / count)} where all {count} processors are at work",
        "  DVC itself is not counted, nor prepare and aggregate before their first run here",
    ]


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_lines(needed: Mapping[str, float], room: int) -> list[str]:
    """Return how many bytes each stage needs, and what would make one fit that does not into a machine's."""
    text = ", ".join(f"{stage} {size(memory)}" for stage, memory in needed.items() if memory)
    lines = [f"estimated memory of one cell, within a factor of 2: {text}; {size(room)} in this machine"]
    smaller = "lower finetune.batch_size or embed.batch_size, or measure in fewer processes (WHICHLAYER_WORKERS=1)"
    lines += [f"warning: {stage} may not fit; {smaller}" for stage in needed if needed[stage] > room]
    return lines if text else []
