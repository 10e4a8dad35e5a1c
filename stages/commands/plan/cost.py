"""What the open stages take on this machine: as much as earlier runs of the same work, else by one timed piece."""

import os
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import stage_params, stage_path
from stages.commands.grid import CELL_STAGES, ON_GPU, stage_names
from stages.commands.plan.trial import Trial, embed_a_batch, in_own_process, measure_a_layer, train_a_batch
from stages.commands.plan.work import Images, Work, count_images, work_of
from stages.measure.params import available
from stages.measure.run import worker_count
from stages.shared.core.snapshot import value_at
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.console import progress
from stages.shared.runtime.durations import machine, read_durations

MAX_RATIO = 1.25
"""How many times as many images earlier runs may have had, or as few."""

RECENT = 5
"""Earlier runs whose median counts."""

IN_MEMORY = 2**30
"""Bytes of images up to which finetune holds them in memory."""

MAX_MEASURED = 1000
"""Images of a split of which a layer is measured; with more, seconds grow with their square, as distances do."""


@dataclass(frozen=True)
class Cost:
    """What a stage takes.

    Attributes:
        seconds: of a processor; where a GPU works, by the clock.
        memory: bytes at its peak.
        logged: whether earlier runs took so much.
    """

    seconds: float
    memory: float
    logged: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the plan: what a network has to do on each of the folds of a dataset that have as many images."""

    dataset: str
    model: str
    folds: Sequence[str]
    images: Images
    work: Work


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


class Predictor:
    """Predicts the stages of cells by what earlier runs logged on this machine; times a piece of the others."""

    def __init__(self, config: Config) -> None:
        self.config, self.on_gpu = config, torch.accelerator.is_available()
        rows = [row for row in read_durations(stage_path("aggregate", "--log")) if "cpu" in row]
        self.rows = [row for row in rows if row["machine"] == machine(os.environ) and not row.get("resumed")]
        self._timed: dict[str, Trial] = {}

    def costs(self, lines: Sequence[Line], stages: Collection[str]) -> dict[str, list[Cost]]:
        """Predict the stages of cells that are among some by their names: what each run takes, by stage."""
        found: dict[str, list[Cost]] = {stage: [] for stage in CELL_STAGES}
        for line in progress(lines, total=len(lines), what="plan: timing", unit="lines"):
            cells = [cell for cell in self.config.run.cells() if cell[:2] == (line.dataset, line.model)]
            names = [name for cell in cells if cell[2] in line.folds for name in stage_names(cell) if name in stages]
            for stage, runs in Counter(name.partition("@")[0] for name in names).items():
                found[stage] += [self.stage(stage, line)] * runs
        return found

    def stage(self, stage: str, line: Line) -> Cost:
        """Predict one stage of a cell of a line."""
        images, work = line.images, line.work
        of_splits = {SEEN: images.classes, UNSEEN: images.unseen_classes}
        classes = sum(of_splits.get(split, 0) for split in self.config.embed.splits if getattr(images, split))
        steps = {"images": work.embedded, "checkpoints": len(self.config.checkpoints(line.model))}
        counts = {
            "finetune": {"images": images.train + images.test},
            "embed": {**steps, "operations": work.layers[-1].layer.operations},
            "measure": {**steps, "classes": classes, "layers": len(work.layers) + work.baselines},
        }
        timed = {"finetune": self._finetune, "embed": self._embed, "measure": self._measure}
        return self._earlier(stage, line, **counts[stage]) or timed[stage](line)

    def _earlier(self, stage: str, line: Line, *, images: int, **counts: int) -> Cost | None:
        """Look up what earlier runs took that had the same to do, of about as many images; None: there were none."""
        keys = stage_params(stage, (line.dataset, line.model))
        wanted = counts | {"parameters": {key: value_at(self.config.content, key) for key in keys}}
        clock = "seconds" if self.on_gpu and stage in ON_GPU else "cpu"
        costs = []
        for row in (row for row in self.rows if row["stage"] == stage and row.items() >= wanted.items()):
            if 1 / MAX_RATIO <= (ratio := images / row["images"]) <= MAX_RATIO:
                costs.append((row[clock] * ratio, row["memory"] * (processes() if stage == "measure" else 1)))
        if not costs:
            return None
        seconds, memory = (statistics.median(column) for column in zip(*costs[-RECENT:], strict=True))
        return Cost(seconds, memory, logged=True)

    def _time(self, work: Callable[..., Trial], *args: object) -> Trial:
        """Time a piece in a process of its own, once."""
        key = repr((work.__name__, args))
        if key not in self._timed:
            self._timed[key] = in_own_process(work, *args)
        return self._timed[key]

    def _finetune(self, line: Line) -> Cost:
        """Time a batch; a forward pass takes a third of it."""
        entry, params, images = self.config.models[line.model].network, self.config.finetune, line.images
        if entry.frozen:  # the network is built and written
            found = self._embed_trial(line)
            return Cost(found.start, found.memory)
        size, count = self.config.datasets[line.dataset].image_size, min(params.batch_size, images.train)
        found = self._time(train_a_batch, entry, params, count, size, images.classes)
        passes, pixels = line.work.trained + line.work.tested / 3, 3 * size**2 * images.packed
        held = pixels if pixels <= IN_MEMORY else 0
        return Cost(found.start + passes / count * found.seconds, found.memory + held)

    def _embed_trial(self, line: Line) -> Trial:
        entry, size = self.config.models[line.model], self.config.datasets[line.dataset].image_size
        classes = max(1, line.images.classes)
        return self._time(embed_a_batch, entry.network, entry.taps, self.config.embed, size, classes)

    def _embed(self, line: Line) -> Cost:
        """Time a batch; beside the network a shard of every layer lies in memory."""
        found, passed = self._embed_trial(line), line.work.passed - line.work.tested
        seconds = found.start + passed / self.config.embed.batch_size * found.seconds
        return Cost(seconds, found.memory + line.work.embed_memory)

    def _measure(self, line: Line) -> Cost:
        """Measure a layer of mean width; further processes import the libraries once more."""
        work, steps, images = line.work, self.config.checkpoints(line.model), line.images.of_set
        classes = {SEEN: images.classes, UNSEEN: images.unseen_classes}
        splits = {split: getattr(images, split) for split in classes if getattr(images, split)}
        params, _ = available(self.config.measure, line.folds[0], [*splits], frozen=True)  # of others: as many
        share = min(1.0, MAX_MEASURED / max(splits.values()))
        counts = tuple((split, scaled(number, classes[split], share)) for split, number in splits.items())
        width = round(statistics.mean(layer.layer.width for layer in work.layers))
        found = self._time(measure_a_layer, params, counts, width, tuple(steps))
        layers = max(1, len(images.sets)) * (len(work.layers) + work.baselines / len(steps))  # pixels: at one step
        memory = found.before + (found.memory - found.before) / share
        return Cost(processes() * found.start + layers * found.seconds / share**2, processes() * memory)


def scaled(images: int, classes: int, share: float) -> tuple[int, int]:
    """Return a share of some images and of their classes, of which two at least have two images each."""
    kept = max(2, round(share * classes))
    return max(round(share * images), 2 * kept), kept


def processes() -> int:
    """Return the number of processes of a stage measure: the stage itself, and those that score if they are several."""
    workers = worker_count(None)
    return workers + 1 if workers > 1 else 1
