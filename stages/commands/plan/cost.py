"""What the open stages take on this machine: as much as earlier runs of the same work, else by one timed piece."""

import os
import re
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import stage_params, stage_path
from stages.commands.grid import stage_names
from stages.commands.plan.layer import measure_a_layer
from stages.commands.plan.trial import Trial, embed_a_batch, in_own_process, train_a_batch
from stages.commands.plan.work import Images, Work
from stages.measure.params import available
from stages.measure.run import worker_count
from stages.shared.core.params import Cell
from stages.shared.core.snapshot import flat, value_at
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.console import progress
from stages.shared.runtime.durations import machine, read_durations

MAX_RATIO = 1.25
"""How many times as many images earlier runs may have had, or as few."""

RECENT = 5
"""Earlier runs whose median counts."""

OF_NO_COST = {"weights", "epochs", "learning_rate", "weight_decay", "schedule_epochs", "schedule_steps", "seed"}
"""Names of parameters that do not change how long a stage takes."""

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


class Predictor:
    """Predicts the stages of cells by what earlier runs logged on this machine; times a piece of the others."""

    def __init__(self, config: Config) -> None:
        self.config, self.on_gpu = config, torch.accelerator.is_available()
        rows = read_durations(stage_path("aggregate", "--log"))
        here = [row for row in rows if row.get("machine") == machine(os.environ) and not row.get("resumed")]
        self.rows = [row for row in here if "cpu" in row]
        self._timed: dict[str, Trial] = {}

    def cells(self, lines: Sequence[Line], stages: Collection[str]) -> dict[Cell, dict[str, Cost]]:
        """Predict the stages of every cell that are among some by their names, under a progress bar."""
        found: dict[Cell, dict[str, Cost]] = {}
        for line in progress(lines, total=len(lines), what="timing", unit="lines of the plan"):
            keys, known = [(line.dataset, line.model, fold) for fold in line.folds], dict[str, Cost]()
            for cell in (cell for cell in self.config.run.cells() if cell[:3] in keys):
                of_cell = [name.split("@")[0] for name in stage_names(cell) if name in stages]
                known |= {stage: self.stage(stage, line) for stage in of_cell if stage not in known}
                found |= {cell: {stage: known[stage] for stage in of_cell}} if of_cell else {}
        return found

    def stage(self, stage: str, line: Line) -> Cost:
        """Predict one stage of a cell of a line."""
        images, work = line.images, line.work
        of_splits = {"test": images.classes, "unseen": images.unseen_classes}
        classes = sum(of_splits.get(split, 0) for split in self.config.embed.splits if getattr(images, split))
        steps = {"images": work.embedded, "checkpoints": len(self.config.checkpoints(line.model))}
        counts = {
            "finetune": {"images": images.train + images.test},
            "embed": {**steps, "operations": work.layers[-1].layer.operations},
            "measure": {**steps, "classes": classes, "layers": len(work.layers) + work.baselines},
        }
        timed = {"finetune": self._finetune, "embed": self._embed, "measure": self._measure}
        return self.earlier(stage, line.dataset, line.model, **counts[stage]) or timed[stage](line)

    def earlier(self, stage: str, *item: str, images: int = 0, **counts: int) -> Cost | None:
        """Look up what earlier runs of a stage took that had the same to do; None if there were none.

        Args:
            stage: its name.
            *item: dataset and model of the cell.
            images: how many it has; earlier runs may have had some more or fewer.
            **counts: other numbers that must be equal.
        """
        wanted = comparable({key: value_at(self.config.content, key) for key in stage_params(stage, item)})
        clock = "seconds" if self.on_gpu and stage in ("finetune", "embed") else "cpu"
        costs = []
        for row in (row for row in self.rows if row["stage"] == stage):
            ratio = images / row["images"] if images else 1.0
            same = all(row[name] == count for name, count in counts.items())
            if same and 1 / MAX_RATIO <= ratio <= MAX_RATIO and comparable(row["parameters"]) == wanted:
                costs.append((row[clock] * ratio, row["memory"] * (processes() if stage == "measure" else 1)))
        if not costs:
            return None
        seconds, memory = (statistics.median(column) for column in zip(*costs[-RECENT:], strict=True))
        return Cost(seconds, memory, logged=True)

    def timed(self, work: Callable[..., Trial], *args: object) -> Trial:
        """Time a piece in a process of its own, unless one that costs the same was timed."""
        plain = [comparable({"": each.model_dump()}) if isinstance(each, BaseModel) else each for each in args]
        key = repr((work.__name__, plain))
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
        found = self.timed(train_a_batch, entry, params, count, size, images.classes)
        passes = line.work.trained + line.work.tested / 3
        pixels = 3 * size**2 * images.packed
        held = pixels if pixels <= IN_MEMORY else 0
        return Cost(found.start + passes / count * found.seconds, found.memory + held)

    def _embed_trial(self, line: Line) -> Trial:
        entry, size = self.config.models[line.model], self.config.datasets[line.dataset].image_size
        classes = max(1, line.images.classes)
        return self.timed(embed_a_batch, entry.network, entry.taps, self.config.embed, size, classes)

    def _embed(self, line: Line) -> Cost:
        """Time a batch; beside the network a shard of every layer lies in memory."""
        found, passed = self._embed_trial(line), line.work.passed - line.work.tested
        seconds = found.start + passed / self.config.embed.batch_size * found.seconds
        return Cost(seconds, found.memory + line.work.embed_memory)

    def _measure(self, line: Line) -> Cost:
        """Measure a layer of mean width; further processes import the libraries once more."""
        work, steps, images = line.work, self.config.checkpoints(line.model), line.images.of_set
        splits = [split for split in (SEEN, UNSEEN) if getattr(images, split)]
        params, _ = available(self.config.measure, line.folds[0], splits, frozen=True)  # the other folds have as many
        share = min(1.0, MAX_MEASURED / max(getattr(images, split) for split in splits))
        classes = {SEEN: images.classes, UNSEEN: images.unseen_classes}
        counts = tuple((s, scaled(getattr(images, s), classes[s], share)) for s in splits)
        width = round(statistics.mean(layer.layer.width for layer in work.layers))
        found = self.timed(measure_a_layer, params, counts, width, tuple(steps))
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


def comparable(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters by dotted names, whatever the entries are called, without those that change no duration."""
    names = {key: re.sub(r"^(models|datasets)\.\w+", r"\1", key) for key in parameters}
    leaves = [leaf for key, value in parameters.items() for leaf in flat(value, names[key]).items()]
    return {name: value for name, value in leaves if not set(name.split(".")) & OF_NO_COST}
