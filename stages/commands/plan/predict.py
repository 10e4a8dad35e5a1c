"""How long the open stages will take on this machine, and what they need of it."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.commands.config import Config
from stages.commands.fleet.worker import read_durations
from stages.commands.plan.calibrate import time_start
from stages.commands.plan.cost import Cost
from stages.commands.plan.images import Images
from stages.commands.plan.machine import Engine, Machine
from stages.commands.plan.timer import Timer
from stages.prepare.decode import decode_many
from stages.prepare.limits import Resources
from stages.prepare.packing import list_images
from stages.shared.runtime.console import progress
from stages.shared.settings.params import Cell

DVC_SECONDS = (1.0, 0.031)
"""What DVC itself takes around each stage: in any case, and for each entry of dvc.lock, all of which it reads and
writes."""

FLEET_CELL_SECONDS = 3.5
"""What DVC takes around each cell of a fleet, whose worker sees a grid of one cell."""

FLEET_SECONDS = {14: 20.0, 128: 40.0, 506: 120.0, 3002: 1240.0}
"""Of a fleet's start and of DVC before and after it, by the number of stages.

The first is measured, the others are sums of what `dvc status` (three times) and `dvc repro` of nothing take there.
"""

AGGREGATE_STARTS = {4: 7.7, 42: 54.0, 168: 90.0, 1008: 103.0}
"""What the aggregate stage takes, by the number of cells, in times of what importing its libraries takes: so it holds
on slower machines, too. The first and the last are measured; those between were seconds, scaled to the first."""

DECODED = 64
"""Images that are decoded to time prepare, at most."""

Planned = Sequence[tuple[str, str, Images, Sequence[str], Cost]]
"""Dataset, network, images of a fold, the folds that have as many, and what one of them costs."""


@dataclass(frozen=True)
class CellTime:
    """What the open stages of one cell take, by their names.

    Attributes:
        seconds: without DVC.
        memory: bytes at the peak; of finetune and embed those of the GPU, if there is one.
    """

    seconds: Mapping[str, float]
    memory: Mapping[str, float]


def predict_cells(
    timer: Timer, planned: Planned, open_of: Mapping[Cell, Collection[str]], engine: Engine, machine: Machine
) -> dict[tuple[str, str, str], CellTime]:
    """Time pieces of the open stages, under a progress bar.

    Args:
        timer: of the pieces.
        planned: all lines of the plan.
        open_of: the open stages of every cell, such as `embed`.
        engine, machine: what runs the cells.

    Returns:
        By dataset, network and fold, for those that have an open cell.
    """
    lines = []
    for dataset, model, images, folds, cost in planned:
        stages = {
            stage
            for cell, some in open_of.items()
            if cell[:2] == (dataset, model) and cell[2] in folds
            for stage in some
        }
        if stages:
            lines.append(((dataset, model, images, cost), folds, stages))
    return {
        (*cell[:2], fold): predicted
        for cell, folds, stages in progress(lines, total=len(lines), what="timing", unit="lines of the table")
        for predicted in [predict_cell(timer, cell, stages, engine, machine)]
        for fold in folds
    }


def predict_cell(
    timer: Timer, cell: tuple[str, str, Images, Cost], stages: Collection[str], engine: Engine, machine: Machine
) -> CellTime:
    """Time a piece of every open stage of one cell, and multiply.

    Args:
        timer: of the pieces.
        cell: its dataset, its network, the images of its fold, and its passes.
        stages: names of the open ones, such as `embed`; measure is among them, since it depends on the others.
        engine, machine: what runs it.
    """
    dataset, model, images, cost = cell
    frozen, classes = timer.config.models[model].network.frozen, max(1, images.classes)
    layer, pixels = timer.measuring(model, images, cost.middle_width)
    parallel = min(engine.processes, cost.layers)
    seconds = {"measure": 2 * layer.start + (cost.layers * layer.seconds + pixels) / parallel}
    memory = {"measure": layer.memory * engine.processes}
    tested = 0 if frozen else len(timer.config.finetune.steps) * images.test
    if "embed" in stages:
        embed = timer.embedding(dataset, model, classes)
        seconds["embed"] = embed.start + (cost.passed - tested) * embed.seconds
        memory["embed"] = embed.memory + (0 if machine.gpus else cost.embed_memory)
    if "finetune" in stages:  # and so is embed
        train = embed if frozen else timer.training(dataset, model, classes)
        seconds["finetune"] = train.start + cost.trained * train.seconds + tested * embed.seconds
        memory["finetune"] = train.memory
    return CellTime(seconds, memory)


def predict_prepare(config: Config, raw: Path, dataset: str, log: Path) -> float:
    """Say how long prepare takes: as the last time, else as long as some of its images take to decode.

    Args:
        config: the parameters.
        raw: holds the dataset.
        dataset: its id.
        log: of durations.
    """
    known = [row["seconds"] for row in read_durations(log) if (row["stage"], row["cell"]) == ("prepare", dataset)]
    if known:
        return float(known[-1])
    params = config.datasets[dataset]
    with Resources(config.prepare.limits) as resources:
        contents = [c.content for c in list_images(raw, params, config.root_seed(dataset), resources).candidates]
        some = contents[:: max(1, len(contents) // DECODED)]
        began = time.perf_counter()
        list(decode_many(some, size=params.image_size, fit=params.fit, fill=params.fill))
        each = (time.perf_counter() - began) / len(some)
    return each * len(contents)


def predict_aggregate(cells: Collection[str], log: Path) -> float:
    """Say how long aggregate takes: as the last time if it was of these cells, else by their number.

    Args:
        cells: names of those of the grid.
        log: of durations.
    """
    rows = read_durations(log)
    last = max((number for number, row in enumerate(rows) if row["stage"] == "aggregate"), default=0)
    measured = {row["cell"] for row in rows[:last] if row["stage"] == "measure"}
    if measured == set(cells):
        return float(rows[last]["seconds"])
    return time_start("aggregate") * between(AGGREGATE_STARTS, len(cells))


def predict_dvc(stages: Collection[str], recorded: Collection[str]) -> float:
    """Say how long `dvc repro` itself takes around a stage, on average.

    Args:
        stages: names of those that run.
        recorded: names of those that dvc.lock has; the others enter it one after another.
    """
    entries = len(recorded) + len(set(stages) - set(recorded)) / 2
    return DVC_SECONDS[0] + DVC_SECONDS[1] * entries


def between(measured: Mapping[int, float], number: float) -> float:
    """Interpolate what was measured; beyond its ends it stays as it is there."""
    return float(np.interp(number, list(measured), list(measured.values())))


def side_by_side(seconds: list[float], workers: int) -> float:
    """Say when the last of some cells ends that workers take one after another, longest first."""
    ends = [0.0] * workers
    for cell in sorted(seconds, reverse=True):
        first = min(range(workers), key=ends.__getitem__)
        ends[first] += cell
    return max(ends)
