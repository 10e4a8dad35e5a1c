"""How long the open stages take on this machine, and what they need of it: as earlier runs did, else by pieces."""

import re
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import stage_params
from stages.commands.plan.calibrate import Speed, time_decoding, time_embedding, time_training
from stages.commands.plan.calibrate_measure import time_measuring
from stages.commands.plan.machine import Engine, Machine
from stages.commands.plan.work import Images, Work
from stages.shared.runtime.durations import machine, read_durations
from stages.shared.settings.params import Params
from stages.shared.stage_run.snapshot import flat, value_at

T = TypeVar("T")

IMPORTED = time.process_time()
"""Processor's seconds in which this process has imported what all stages need together."""

START, START_MEMORY = 0.6, {"finetune": 335 * 2**20, "embed": 335 * 2**20, "measure": 215 * 2**20}
"""What a stage's libraries take: their part of `IMPORTED`, and bytes."""

ALLOWED, MAX_ALLOWED = 1.2, 60.0
"""Processor's seconds that timing one piece may take, and all pieces of a plan together."""

MAX_RATIO = 1.25
"""How many times as many images earlier runs may have had, or as few."""

RECENT = 5
"""Earlier runs whose median counts."""

OF_NO_COST = ("weights", "epochs", "learning_rate", "weight_decay", "schedule_epochs", "schedule_steps", "seed")
"""Names of parameters that do not change how long a stage takes."""

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


@dataclass(frozen=True)
class Line:
    """A line of the plan: what a network has to do on each of the folds of a dataset that have as many images."""

    dataset: str
    model: str
    folds: Sequence[str]
    images: Images
    work: Work


@dataclass(frozen=True)
class Prediction:
    """What a stage of one cell takes: seconds without DVC, and bytes at the peak, on a GPU of finetune and embed."""

    seconds: float
    memory: float
    logged: bool = False


class Predictor:
    """Predicts stages by what earlier runs of the same work logged on this machine; times pieces of the others.

    Args:
        config: the parameters, and `content`: their plain values.
        engine, here: what runs the cells.
        log: of durations.
        lines: how many lines there are to predict.
    """

    def __init__(
        self, config: Config, content: Mapping[str, Any], engine: Engine, here: Machine, log: Path, lines: int
    ) -> None:
        self.config, self.content, self.engine, self.here = config, content, engine, here
        self.allowed, self.most = min(ALLOWED, MAX_ALLOWED / (3 * lines)), MAX_ALLOWED / lines
        crowded = engine.slowdown(here) > 1  # what was logged then took longer than one cell alone
        name = machine(engine.environment)
        self.rows = [
            row
            for row in (() if crowded else read_durations(log))
            if row.get("machine") == name and not row.get("resumed")
        ]
        self._timed: dict[tuple[object, ...], Any] = {}

    def earlier(self, stage: str, *, images: int = 0, item: Mapping[str, str], **counts: int) -> Prediction | None:
        """Look up what earlier runs of a stage took that had the same to do; None if there were none.

        Args:
            stage: its name.
            images: how many it has; earlier runs may have had some more or fewer.
            item: `dataset` and `model` of the cell.
            **counts: other numbers that must be equal.
        """
        keys = [re.sub(r"\$\{item\.(\w+)\}", lambda name: item[name[1]], key) for key in stage_params(stage)]
        wanted = comparable({key: value_at(self.content, key) for key in keys})
        found = []
        for row in self.rows:
            ratio = images / row["images"] if images and row.get("images") else 1.0
            same = row["stage"] == stage and all(row.get(name) == count for name, count in counts.items())
            if same and 1 / MAX_RATIO <= ratio <= MAX_RATIO and comparable(row["parameters"]) == wanted:
                found.append((row["seconds"] * ratio, row["memory"]))
        if not found:
            return None
        seconds, memory = (statistics.median(column) for column in zip(*found[-RECENT:], strict=True))
        return Prediction(seconds, memory, logged=True)

    def stages(self, line: Line, stages: Collection[str]) -> dict[str, Prediction]:
        """Predict the open stages of one cell of a line."""
        images, work, item = line.images, line.work, {"dataset": line.dataset, "model": line.model}
        stored = {split: getattr(images, split) for split in self.config.embed.splits}
        classes = (images.classes if stored.get("test") else 0) + (images.unseen_classes if stored.get("unseen") else 0)
        counts = {
            "finetune": {"images": images.train + images.test},
            "embed": {"images": work.embedded},
            "measure": {"images": work.embedded, "classes": classes, "layers": work.layers + work.baselines},
        }
        predictions = {}
        for stage in (stage for stage in counts if stage in stages):
            prediction = self.earlier(stage, item=item, **counts[stage]) or getattr(self, f"_{stage}")(line)
            if stage == "measure" and prediction.logged:
                prediction = Prediction(prediction.seconds, prediction.memory * self.engine.processes, logged=True)
            predictions[stage] = prediction
        return predictions

    def _finetune(self, line: Line) -> Prediction:
        """Time training, whose number of classes hardly matters; of a frozen network only its start."""
        entry, finetune, work = self.config.models[line.model].network, self.config.finetune, line.work
        embed = self._embedding(line)
        seconds, memory = START * IMPORTED + embed.build, self._libraries("finetune")
        if entry.frozen:
            return Prediction(seconds, memory + work.embed_memory)
        size = self.config.datasets[line.dataset].image_size
        allowed = 4 * self.allowed  # a step has much to do that does not depend on its images
        train = self._once(time_training, entry, finetune, size, classes=line.images.classes, allowed=allowed)
        seconds += work.trained * train.seconds + work.tested * embed.seconds
        memory += work.training_memory + min(finetune.batch_size, line.images.train) * train.memory
        return Prediction(seconds, memory)

    def _embed(self, line: Line) -> Prediction:
        speed, work = self._embedding(line), line.work
        seconds = START * IMPORTED + speed.build + (work.passed - work.tested) * speed.seconds
        memory = self._libraries("embed") + work.embed_memory + self.config.embed.batch_size * speed.memory
        return Prediction(seconds, memory)

    def _measure(self, line: Line) -> Prediction:
        """Time a layer of middle width; a cell is measured in processes that import the libraries once more."""
        work, processes, steps = line.work, self.engine.processes, self.config.checkpoints(line.model)
        measure, allowed = self.config.measure, self.allowed
        one = self._once(
            time_measuring, measure, line.images, work.middle_width, steps, allowed=allowed, most=self.most
        )
        layers = (work.layers * one.layer + work.baselines * one.baseline) / min(processes, work.layers)
        return Prediction(2 * START * IMPORTED + layers, (START_MEMORY["measure"] + one.memory) * processes)

    def _embedding(self, line: Line) -> Speed:
        model, size = self.config.models[line.model], self.config.datasets[line.dataset].image_size
        embed, classes = self.config.embed, max(1, line.images.classes)
        return self._once(time_embedding, model.network, model.taps, embed, size, classes=classes, allowed=self.allowed)

    def _libraries(self, stage: str) -> float:
        return 0 if self.here.gpus else START_MEMORY[stage]

    def _once(self, work: Callable[..., T], *arguments: object, **options: object) -> T:
        """Time a piece, unless one of the same arguments was timed."""
        key, usual = (work.__name__, *map(costly, arguments)), torch.get_num_threads()
        if key not in self._timed:
            torch.set_num_threads(self.engine.threads if self.engine.workers else usual)
            self._timed[key] = work(*arguments, **options)
            torch.set_num_threads(usual)
        timed: T = self._timed[key]
        return timed

    def prepare(self, raw: Path, dataset: str) -> float:
        """Predict the seconds of prepare."""
        earlier = self.earlier("prepare", item={"dataset": dataset})
        return earlier.seconds if earlier else time_decoding(self.config, raw / dataset, dataset)

    def aggregate(self, cells: int) -> float:
        """Predict the seconds of aggregate; without an earlier run, by the number of cells."""
        earlier = self.earlier("aggregate", item={})
        return earlier.seconds if earlier else START * IMPORTED * between(AGGREGATE_STARTS, cells)


def comparable(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters by dotted names, whatever the entries are called, without those that change no duration."""
    names = {key: re.sub(r"^(models|datasets)\.\w+", r"\1", key) for key in parameters}
    leaves = [leaf for key, value in parameters.items() for leaf in flat(value, names[key]).items()]
    return {name: value for name, value in leaves if not set(name.split(".")) & set(OF_NO_COST)}


def costly(argument: object) -> object:
    """Return an argument without the parameters that change no duration, to be compared."""
    if isinstance(argument, Params):
        return argument.model_dump_json(exclude=set(OF_NO_COST))
    return tuple(argument) if isinstance(argument, list) else argument


def predict_dvc(stages: Collection[str], recorded: Collection[str]) -> float:
    """Return how long `dvc repro` itself takes around a stage, on average.

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
    """Return when the last of some cells ends that workers take one after another, longest first."""
    ends = [0.0] * workers
    for cell in sorted(seconds, reverse=True):
        first = min(range(workers), key=ends.__getitem__)
        ends[first] += cell
    return max(ends)
