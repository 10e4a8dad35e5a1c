"""How long the open stages take on this machine, and what they need of it: as earlier runs did, else by pieces."""

import os
import re
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import torch

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import stage_params, stage_path
from stages.commands.fleet.worker import Source, environment
from stages.commands.folds import is_absent
from stages.commands.grid import all_stages, stage_names
from stages.commands.plan.calibrate import Cost, time_decoding, time_embedding, time_measuring, time_training
from stages.commands.plan.work import Images, Work
from stages.measure.params import available
from stages.measure.run import worker_count
from stages.shared.core.digests import flat, value_at
from stages.shared.core.made_of import read_entries
from stages.shared.core.params import Cell
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.networks.device import choose_device
from stages.shared.runtime.console import progress
from stages.shared.runtime.durations import machine, processors, read_durations

T = TypeVar("T")

LOADED = 0.6 * time.process_time()
"""Seconds in which a stage imports its libraries: a part of those that this process took for those of all stages."""

LIBRARIES = {"finetune": 480 * 2**20, "embed": 480 * 2**20, "measure": 220 * 2**20}
"""Bytes that a stage's libraries take."""

ALLOWED, MAX_ALLOWED = 0.5, 40.0
"""Processor's seconds that timing one piece may take, and all pieces of a plan together."""

MAX_RATIO = 1.25
"""How many times as many images earlier runs may have had, or as few."""

RECENT = 5
"""Earlier runs whose median counts."""

OF_NO_COST = {"weights", "epochs", "learning_rate", "weight_decay", "schedule_epochs", "schedule_steps", "seed"}
"""Names of parameters that do not change how long a stage takes."""

DVC_SECONDS = (1.0, 0.01)
"""What DVC itself takes around each stage: in any case, and for each entry of dvc.lock, all of which it reads and
writes."""

FLEET_CELL_SECONDS = 3.5
"""What DVC takes around each cell of a fleet, whose worker sees a grid of one cell."""

AGGREGATE_STARTS = {1: 5.0, 4: 7.7, 42: 54.0, 168: 90.0, 1008: 103.0}
"""What the aggregate stage takes, by the number of cells, in times of `LOADED`, so that it holds on slower machines.
Those of few cells and the last are measured; those between were seconds, scaled to the first."""


@dataclass(frozen=True)
class Machine:
    """What there is to compute with.

    Attributes:
        processors: that this process may use.
        memory: bytes.
        device: on which networks run: `cpu`, `cuda`, ...
        gpus: how many of kind `cuda`.
    """

    processors: int
    memory: int
    device: str = "cpu"
    gpus: int = 0

    def __str__(self) -> str:
        return f"{self.processors} processors, {'no GPU' if self.device == 'cpu' else f'a GPU ({self.device})'}"


def this_machine() -> Machine:
    """Return what this machine has."""
    device = choose_device().device.type
    gpus = torch.cuda.device_count() if device == "cuda" else 0
    return Machine(processors(), psutil.virtual_memory().total, device, gpus)


@dataclass(frozen=True)
class Engine:
    """What runs the cells.

    Attributes:
        workers: of a fleet, cells at once; 0: `dvc repro`, one stage after another.
        threads: of each cell in a fleet.
    """

    workers: int = 0
    threads: int = 1

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of the stages."""
        return environment(Source(b"", "", self.threads)) if self.workers else os.environ

    @property
    def processes(self) -> int:
        """Number of processes in which one cell is measured."""
        return worker_count(self.environment.get("WHICHLAYER_WORKERS"))

    def slowdown(self, here: Machine) -> float:
        """Return how many times slower cells are at once than one alone, for want of processors."""
        return max(1.0, self.workers * min(self.threads, here.processors) / here.processors)

    def __str__(self) -> str:
        threads = f" --threads {self.threads}" if self.threads > 1 else ""
        return f"whichlayer fleet run --workers {self.workers}{threads}" if self.workers else "dvc repro"


@dataclass(frozen=True)
class Line:
    """A line of the plan: what a network has to do on each of the folds of a dataset that have as many images."""

    dataset: str
    model: str
    folds: Sequence[str]
    images: Images
    work: Work


Cells = Sequence[Mapping[str, Cost]]
"""What the open stages of every cell take."""

Around = Mapping[str, Sequence[float]]
"""Seconds of other stages, and of what runs them."""


class Predictor:
    """Predicts stages by what earlier runs of the same work logged on this machine; times pieces of the others.

    Args:
        config: the parameters.
        engine: what runs the cells.
        lines: of the plan.
    """

    def __init__(self, config: Config, engine: Engine, lines: Sequence[Line]) -> None:
        self.config, self.engine, self.lines, self.here = config, engine, lines, this_machine()
        self.most = MAX_ALLOWED / max(1, len(lines))
        self.allowed = min(ALLOWED, self.most / 3)
        crowded = engine.slowdown(self.here) > 1  # what was logged then took longer than one cell alone
        name, rows = machine(engine.environment), () if crowded else read_durations(stage_path("aggregate", "--log"))
        self.rows = [row for row in rows if row.get("machine") == name and not row.get("resumed")]
        self._timed: dict[object, Any] = {}

    def predict(self, raw: Path, stages: Collection[str]) -> tuple[Cells, Around]:
        """Predict how long the open stages take, and what memory they need, under a progress bar."""
        cells, run = [*self.cells(stages).values()], self.config.run
        around = {
            "prepare": [self.prepare(raw, name) for name in run.datasets if f"prepare@{name}" in stages],
            "aggregate": [self.aggregate(len([*run.cells()]))],
        }
        if self.engine.workers:
            around["fleet"] = [fleet_seconds(len(all_stages(run)))]
        else:
            around["DVC"] = [predict_dvc(stages, read_entries())] * len(stages)
        return cells, around

    def earlier(self, stage: str, *item: str, images: int = 0, **counts: int) -> Cost | None:
        """Look up what earlier runs of a stage took that had the same to do; None if there were none.

        Args:
            stage: its name.
            *item: dataset and model of the cell.
            images: how many it has; earlier runs may have had some more or fewer.
            **counts: other numbers that must be equal.
        """
        wanted = comparable({key: value_at(self.config.content, key) for key in stage_params(stage, item)})
        processes = self.engine.processes if stage == "measure" else 1  # each logs its own memory
        costs = []
        for row in self.rows:
            ratio = images / row["images"] if images and row.get("images") else 1.0
            same = row["stage"] == stage and all(row.get(name) == count for name, count in counts.items())
            if same and 1 / MAX_RATIO <= ratio <= MAX_RATIO and comparable(row["parameters"]) == wanted:
                costs.append((row["seconds"] * ratio, row["memory"] * processes))
        if not costs:
            return None
        seconds, memory = (statistics.median(column) for column in zip(*costs[-RECENT:], strict=True))
        return Cost(seconds, memory, logged=True)

    def cells(self, stages: Collection[str]) -> dict[Cell, dict[str, Cost]]:
        """Predict the stages of every cell that are among some by their names, under a progress bar."""
        if self.engine.workers:
            torch.set_num_threads(self.engine.threads)
        found: dict[Cell, dict[str, Cost]] = {}
        for line in progress(self.lines, total=len(self.lines), what="timing", unit="lines of the plan"):
            keys = [(line.dataset, line.model, fold) for fold in line.folds]
            named = {cell: stage_names(cell) for cell in self.config.run.cells() if cell[:3] in keys}
            kinds = {cell: [name.split("@")[0] for name in named[cell] if name in stages] for cell in named}
            predicted = self.stages(line, {stage for of in kinds.values() for stage in of})
            found |= {cell: {stage: predicted[stage] for stage in of} for cell, of in kinds.items() if of}
        return found

    def stages(self, line: Line, stages: Collection[str]) -> dict[str, Cost]:
        """Predict the open stages of one cell of a line."""
        images, work = line.images, line.work
        stored = {split: getattr(images, split) for split in self.config.embed.splits}
        classes = (images.classes if stored.get("test") else 0) + (images.unseen_classes if stored.get("unseen") else 0)
        steps, operations = len(self.config.checkpoints(line.model)), work.layers[-1].layer.operations
        layers = len(work.layers) + work.baselines
        counts = {
            "finetune": {"images": images.train + images.test},
            "embed": {"images": work.embedded, "checkpoints": steps, "operations": operations},
            "measure": {"images": work.embedded, "checkpoints": steps, "classes": classes, "layers": layers},
        }
        timed = {"finetune": self._finetune, "embed": self._embed, "measure": self._measure}
        predictions = {}
        for stage in (stage for stage in counts if stage in stages):
            predictions[stage] = self.earlier(stage, line.dataset, line.model, **counts[stage]) or timed[stage](line)
            if self.here.device != "cpu" and stage != "measure":
                predictions[stage] = replace(predictions[stage], memory=0)
        return predictions

    def _finetune(self, line: Line) -> Cost:
        """Train and test; a frozen network is only written."""
        entry, params, work = self.config.models[line.model].network, self.config.finetune, line.work
        build, embedding = self._embedding(line)
        seconds, memory = LOADED + build + work.tested * embedding.seconds, float(LIBRARIES["finetune"])
        if entry.frozen:
            return Cost(seconds, memory + work.embed_memory)
        size, classes = self.config.datasets[line.dataset].image_size, line.images.classes
        allowed = 4 * self.allowed  # a step has much to do that does not depend on its images
        key = "train", entry.model_dump_json(exclude=OF_NO_COST)
        train = self._once(key, lambda: time_training(entry, params, size, classes=classes, allowed=allowed))
        memory += 4 * 4 * work.parameters  # weights, gradients and AdamW's two moments
        memory += min(params.batch_size, line.images.train) * train.memory
        return Cost(seconds + work.trained * train.seconds, memory)

    def _embed(self, line: Line) -> Cost:
        (build, embedding), work = self._embedding(line), line.work
        memory = work.embed_memory + self.config.embed.batch_size * embedding.memory
        seconds = LOADED + build + (work.passed - work.tested) * embedding.seconds
        return Cost(seconds, LIBRARIES["embed"] + memory)

    def _measure(self, line: Line) -> Cost:
        """Measure a layer of middle width; a cell is measured in processes that import the libraries once more."""
        work, processes, steps = line.work, self.engine.processes, self.config.checkpoints(line.model)
        images, sets = line.images.of_set, max(1, len(line.images.sets))
        splits = [split for split in (SEEN, UNSEEN) if getattr(images, split)]
        params, _ = available(self.config.measure, line.folds[0], splits, frozen=True)  # the other folds have as many
        width = sorted(layer.layer.width for layer in work.layers)[len(work.layers) // 2]
        key = images, width, steps
        layer = self._once(key, lambda: time_measuring(params, images, width, steps, self.allowed, self.most))
        layers = len(work.layers) + work.baselines / len(steps)  # raw pixels are alike at all steps
        seconds = sets * layers * layer.seconds
        memory = (LIBRARIES["measure"] + layer.memory) * processes
        return Cost(2 * LOADED + seconds / min(processes, len(work.layers)), memory)

    def _embedding(self, line: Line) -> tuple[float, Cost]:
        """Time forward passes; the number of classes hardly matters."""
        entry, size = self.config.models[line.model].network, self.config.datasets[line.dataset].image_size
        batch, layers, classes = self.config.embed.batch_size, tuple(line.work.layers), max(1, line.images.classes)
        key = entry.model_dump_json(exclude=OF_NO_COST), layers
        return self._once(
            key, lambda: time_embedding(entry, layers, batch, size, classes=classes, allowed=self.allowed)
        )

    def _once(self, key: object, work: Callable[[], T]) -> T:
        """Time a piece, unless one of the same key was timed."""
        if key not in self._timed:
            self._timed[key] = work()
        timed: T = self._timed[key]
        return timed

    def prepare(self, raw: Path, dataset: str) -> float:
        """Predict the seconds of prepare; nobody knows what a download takes."""
        earlier = self.earlier("prepare", dataset)
        if earlier:
            return earlier.seconds
        return 0.0 if is_absent(self.config, raw, dataset) else time_decoding(self.config, raw / dataset, dataset)

    def aggregate(self, cells: int) -> float:
        """Predict the seconds of aggregate; without an earlier run, by the number of cells."""
        earlier = self.earlier("aggregate")
        starts = np.interp(cells, [*AGGREGATE_STARTS], [*AGGREGATE_STARTS.values()])
        return earlier.seconds if earlier else LOADED * float(starts)


def side_by_side(cells: Cells, stages: Collection[str], workers: int) -> float:
    """Return when the last of some stages ends that a fleet's workers take cell by cell, the longest first."""
    seconds = [sum(cost.seconds for stage, cost in cell.items() if stage in stages) for cell in cells]
    ends = [0.0] * workers
    for cell in sorted(seconds, reverse=True):
        ends[ends.index(min(ends))] += cell + FLEET_CELL_SECONDS
    return max(ends)


def comparable(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters by dotted names, whatever the entries are called, without those that change no duration."""
    names = {key: re.sub(r"^(models|datasets)\.\w+", r"\1", key) for key in parameters}
    leaves = [leaf for key, value in parameters.items() for leaf in flat(value, names[key]).items()]
    return {name: value for name, value in leaves if not set(name.split(".")) & OF_NO_COST}


def predict_dvc(stages: Collection[str], recorded: Collection[str]) -> float:
    """Return how long `dvc repro` itself takes around a stage, on average.

    Args:
        stages: names of those that run.
        recorded: names of those that dvc.lock has; the others enter it one after another.
    """
    entries = len(recorded) + len(set(stages) - set(recorded)) / 2
    return DVC_SECONDS[0] + DVC_SECONDS[1] * entries


def fleet_seconds(stages: int) -> float:
    """Return what a fleet's start takes, and DVC before and after it, by the number of stages.

    Measured for 14 stages; for 44, 506 and 3,002 fitted to what `dvc status`, three times, and `dvc repro` of nothing
    take there.
    """
    return 17 + 0.04 * stages + 3.2e-5 * stages**2
