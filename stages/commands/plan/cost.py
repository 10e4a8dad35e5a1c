"""What the open stages take: disk by counts; time and memory by earlier runs of the same work, else timed pieces."""

import os
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from tabulate import tabulate

from ...embed.embedder import pooled_layers
from ...embed.taps.find import find_taps
from ...measure.params import available
from ...prepare.splits import FoldPlan
from ...shared.embeddings.embedding_store import SAMPLES_PER_SHARD
from ...shared.embeddings.embeddings import Layer
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.networks.network import build_skeleton
from ...shared.runtime.durations import machine, read_durations
from ...shared.runtime.processors import processors, worker_count
from ...shared.runtime.progress import progress
from ...shared.workflow.params import ALL
from ...shared.workflow.snapshot import value_at
from ..config import Config
from ..dvc_project.workspace import stage_params, stage_path
from ..folds import find_folds
from ..grid import CELL_STAGES, ON_GPU, stage_names
from ..project import duration, size
from .model import START, UNTIMED, network_seconds, representations_seconds, score_seconds
from .trial import Trial, embed_a_batch, in_own_process, measure_a_layer, train_a_batch

BYTES = {"float32": 4, "float16": 2}

MAX_RATIO = 1.25
"""How many times as many images earlier runs may have had, or as few."""

IN_MEMORY = 2**30
"""Bytes of images up to which finetune holds them in memory."""


@dataclass(frozen=True)
class Images:
    """How many images a fold of a dataset has by split, how many seen and unseen classes, and in how many sets."""

    train: int
    test: int
    unseen: int
    classes: int
    unseen_classes: int = 0
    sets: int = 1

    @property
    def of_splits(self) -> dict[str, tuple[int, int]]:
        """Images and classes that are scored at once, by split."""
        unseen = (self.unseen // self.sets, self.unseen_classes // self.sets)
        counts = {SEEN: (self.test, self.classes), UNSEEN: unseen}
        return {split: each for split, each in counts.items() if each[0]}


def count_images(plan: FoldPlan, fold: str) -> Images:
    """Count the images of a fold."""
    splits = [plan.splits[fold][split] for split in ("train", "test", "unseen")]
    seen, _, unseen = (len({candidate.label for candidate in split}) for split in splits)
    train, test, others = map(len, splits)
    return Images(train, test, others, seen, unseen, max(1, len(plan.sets)))


@dataclass(frozen=True)
class Work:
    """What one network has to do on one fold of a dataset, for one seed.

    Attributes:
        passed: images that pass forward in embed.
        embedded: images of which every checkpoint's embedding is stored.
        disk: bytes of checkpoints and embeddings, before compression.
        shards: bytes of the weights and of the shards being written.
        layers: without the raw pixels.
    """

    passed: int
    embedded: int
    disk: int
    shards: int
    layers: Sequence[Layer]


def work_of(config: Config, model: str, images: Images) -> Work:
    """Work out what one network has to do on one fold of a dataset, from its true layers and parameters.

    Raises:
        UserError: the network cannot be built.
    """
    entry, embed, saved = config.models[model].network, config.embed, len(config.checkpoints(model))
    classes = 0 if entry.frozen else images.classes  # a frozen network has no head
    network = build_skeleton(entry, max(1, classes))
    taps = find_taps(network, entry, config.models[model].taps)
    layers = [pooled.layer for pooled in pooled_layers(taps, embed.pooling)]
    embedded = sum(getattr(images, split) for split in embed.splits)
    extra = min(images.train, images.classes * embed.train_per_class)  # at the last checkpoint only, at most
    state = network.body_state() if entry.frozen else network.module.state_dict()
    weights = sum(tensor.nbytes for tensor in state.values())
    row = sum(layer.width for layer in layers) * BYTES[embed.dtype] + classes * 4
    pixels = 3 * embed.baseline_size**2 * BYTES[embed.dtype]
    disk = weights * saved + embedded * (row * saved + pixels) + extra * (row + pixels)
    shards = weights + min(max(embedded, extra), SAMPLES_PER_SHARD) * row
    return Work(saved * embedded + extra, embedded, disk, shards, layers)


@dataclass(frozen=True)
class Cost:
    """What a stage takes.

    Attributes:
        seconds: of a processor; where a GPU works, by the clock.
        memory: bytes at its peak; 0: not estimated.
    """

    seconds: float
    memory: float


class Predictor:
    """Predicts the stages of cells by what earlier runs logged on this machine; times a piece of the others."""

    def __init__(self, config: Config, raw: Path) -> None:
        """Count the images, as listing their files gives, or the entry of a dataset that is yet to be downloaded.

        Raises:
            UserError: a dataset lacks a fold of the grid or its images cannot be listed, or a network cannot be built.
        """
        self.config, self.on_gpu = config, torch.accelerator.is_available()
        self.images, self.pixels = dict[tuple[str, str], Images](), dict[str, int]()
        for dataset in config.run.datasets:
            plan = find_folds(config, raw, dataset, counted=True)
            self.images |= {(dataset, fold): count_images(plan, fold) for fold in config.run.folds}
            self.pixels[dataset] = 3 * config.datasets[dataset].image_size ** 2 * len(plan.packed)
        counts = dict.fromkeys(self.images.values())
        self.work = {(model, each): work_of(config, model, each) for model in config.run.models for each in counts}
        rows = [row for row in read_durations(stage_path("aggregate", "--log")) if "cpu" in row]
        self.rows = [row for row in rows if row["machine"] == machine(os.environ) and not row.get("resumed")]
        self.processes = worker_count(None) + (worker_count(None) > 1)  # of measure: the stage, and several that score
        self._trials: dict[str, Trial] = {}
        self.is_timed = False

    def disk(self) -> int:
        """Sum up the bytes of prepared images, checkpoints and stores of the grid, before compression."""
        cells = self.config.run.cells()
        of_cells = sum(self.work[model, self.images[dataset, fold]].disk for dataset, model, fold, _ in cells)
        return of_cells + sum(self.pixels.values())

    def costs(self, stages: Collection[str]) -> dict[str, list[Cost]]:
        """Predict the stages of cells that are among some by their names: what each run takes, by stage.

        Nothing is timed if all take less than a minute by counts alone.
        """
        alike = Counter(
            (name.partition("@")[0], cell[0], cell[1], self.images[cell[0], cell[2]])
            for cell in self.config.run.cells()
            for name in stage_names(cell)
            if name in stages
        )
        known = {key: self._earlier(*key) for key in alike}
        counted = {key: known[key] or self._counted(*key) for key in alike}
        self.is_timed = sum(counted[key].seconds * runs for key, runs in alike.items()) >= UNTIMED
        if self.is_timed:
            work = progress(alike, total=len(alike), what="plan: timing")
            counted = {key: known[key] or self._multiplied(*key) for key in work}
        return {stage: [counted[key] for key in alike.elements() if key[0] == stage] for stage in CELL_STAGES}

    def _earlier(self, stage: str, dataset: str, model: str, images: Images) -> Cost | None:
        """Look up what earlier runs took that had the same to do, of about as many images; None: there were none."""
        work, embed = self.work[model, images], self.config.embed
        count = images.train + images.test if stage == "finetune" else work.embedded
        keys = stage_params(stage, (dataset, model))
        same: dict[str, Any] = {"stage": stage, "parameters": {key: value_at(self.config.content, key) for key in keys}}
        if stage != "finetune":
            same["checkpoints"] = len(self.config.checkpoints(model))
        if stage == "embed":
            same["operations"] = work.layers[-1].operations
        if stage == "measure":
            same["layers"] = len(work.layers) + (embed.baseline_size > 0)
            classes = {SEEN: images.classes, UNSEEN: images.unseen_classes}
            same["classes"] = sum(classes[split] for split in classes.keys() & embed.splits)
        alike = (row for row in self.rows if row.items() >= same.items())
        rows = [row for row in alike if 1 / MAX_RATIO <= count / row["images"] <= MAX_RATIO]
        if not rows:
            return None
        clock = "seconds" if self.on_gpu and stage in ON_GPU else "cpu"
        seconds = statistics.median(row[clock] * count / row["images"] for row in rows)
        memory = statistics.median(row["memory"] for row in rows)
        return Cost(seconds, memory * (self.processes if stage == "measure" else 1))

    def _counted(self, stage: str, dataset: str, model: str, images: Images) -> Cost:
        """Predict a stage by counts alone, without its memory."""
        config, work = self.config, self.work[model, images]
        operations, finetune = work.layers[-1].operations, config.finetune
        if stage == "measure":
            layers = images.sets * (
                len(work.layers) * len(config.checkpoints(model)) + (config.embed.baseline_size > 0)
            )
            seconds = self.processes * START + score_seconds(layers, [*images.of_splits.values()])
            return Cost(seconds + self._representations(model, images), 0)
        if stage == "embed":
            return Cost(network_seconds(work.passed, operations), 0)
        if config.models[model].network.frozen:
            return Cost(START, 0)
        trained = 3 * finetune.steps[-1] * min(finetune.batch_size, images.train)
        return Cost(network_seconds(trained + len(finetune.steps) * images.test, operations), 0)

    def _representations(self, model: str, images: Images) -> float:
        """Seconds of the analysis `representations`, if there is one."""
        measure = self.config.measure
        if "representations" not in measure.analyses:
            return 0.0
        layers = [layer.name for layer in self.work[model, images].layers if layer.name == layer.module]
        return representations_seconds(
            measure.representations, layers, images.unseen, images.unseen_classes, images.sets
        )

    def _multiplied(self, stage: str, dataset: str, model: str, images: Images) -> Cost:
        """Time a batch, or a layer of mean width, in a process of its own, and multiply it."""
        config, work, size = self.config, self.work[model, images], self.config.datasets[dataset].image_size
        if stage == "measure":
            steps, of_splits = config.checkpoints(model), images.of_splits
            params, _ = available(config.measure, "0" if images.unseen else ALL, of_splits, frozen=True)
            width = round(statistics.mean(layer.width for layer in work.layers))
            trial = self._trial(measure_a_layer, params, of_splits, width, steps)
            layers = images.sets * (len(work.layers) + (config.embed.baseline_size > 0) / len(steps))
            seconds = self.processes * trial.start + layers * trial.seconds + self._representations(model, images)
            return Cost(seconds, self.processes * trial.memory)
        if stage == "embed" or config.models[model].network.frozen:
            trial = self._trial(embed_a_batch, config, model, size, max(1, images.classes))
            if stage == "finetune":  # the network is built and written
                return Cost(trial.start, trial.memory)
            batches = work.passed / config.embed.batch_size
            return Cost(trial.start + batches * trial.seconds, trial.memory + work.shards)
        stops, count = config.finetune.steps, min(config.finetune.batch_size, images.train)
        trial = self._trial(train_a_batch, config, model, count, size, images.classes)
        batches = stops[-1] + len(stops) * images.test / count / 3  # a forward pass takes a third
        held = pixels if (pixels := self.pixels[dataset]) <= IN_MEMORY else 0
        return Cost(trial.start + batches * trial.seconds, trial.memory + held)

    def _trial(self, work: Callable[..., Trial], *args: object) -> Trial:
        """Time a piece once."""
        key = repr((work.__name__, args))
        if key not in self._trials:
            self._trials[key] = in_own_process(work, *args)
        return self._trials[key]


def estimates(costs: Mapping[str, Sequence[Cost]], *, on_gpu: bool, timed: bool = True) -> Iterator[str]:
    """Yield lines: how long each stage takes, and how much of the machine's memory (of a GPU's, none is estimated).

    Args:
        costs: of each run, by stage.
        on_gpu: whether networks run on a GPU.
        timed: whether anything was timed; else seconds are of counts.
    """
    count, room, rows = processors(), size(psutil.virtual_memory().total), []
    for stage, runs in ((stage, runs) for stage, runs in costs.items() if runs):
        memory = 0.0 if on_gpu and stage in ON_GPU else max(run.memory for run in runs)
        rows.append((stage, len(runs), duration(max(run.seconds for run in runs)), size(memory) if memory else "-"))
    total = sum(run.seconds for runs in costs.values() for run in runs)
    how = "this machine when idle, within a factor of 2" if timed else "a common processor, by counts alone"
    yield f"estimated for {how}, without prepare, aggregate and DVC itself:"
    yield tabulate(rows, headers=["stage", "runs", "time each", f"memory of {room}"], tablefmt="plain")
    yield f"in all {duration(total)} on one processor, {duration(total / count)} if all {count} are at work"
