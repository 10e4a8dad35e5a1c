"""How long measuring a cell takes on this machine: one layer of middle width, scored by the real code."""

import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.commands.plan.calibrate import Speed, own_memory
from stages.commands.plan.images import Images
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import Cell
from stages.measure.jobs import Job, plan_jobs
from stages.measure.params import MeasureParams
from stages.measure.run import limit_to_one_thread, score
from stages.shared.embeddings.embedding_store import Layer, open_embeddings
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.embeddings.split_names import SEEN, UNSEEN

MOST_IMAGES = 1000
"""Of a split that are timed: how much longer more take is extended from these and half of these."""

SLOWEST_GROWTH, FASTEST_GROWTH = 1.0, 2.0
"""Powers of the number of images: a pass over them, and all their distances."""

RANK = 60
"""Directions in which the made-up embeddings vary, with a falling spectrum."""


def time_measuring(
    params: MeasureParams, images: Images, width: int, steps: Sequence[int], began: float
) -> tuple[Speed, float]:
    """Time what is computed of one layer at the first, a middle and the last step, on one thread.

    Analyses of images that are embedded at the last step alone, and of all layers at once, are left out: they are the
    cheap ones.

    Args:
        params: the `measure` section.
        images: how many there are.
        width: number of features of the layer.
        steps: of the checkpoints.
        began: when the process was asked for.

    Returns:
        CPU seconds of one layer at all steps in the place of those per image; and those of the raw pixels.
    """
    start = time.time() - began
    counts = {SEEN: (images.test, images.classes), UNSEEN: (images.unseen, max(2, images.unseen_classes))}
    counts = {split: (count, classes) for split, (count, classes) in counts.items() if count}
    ratios = {split: max(1.0, count / MOST_IMAGES) for split, (count, _) in counts.items()}
    timed = seconds_by_job(params, counts, ratios, width, steps)
    if max(ratios.values()) > 1:
        halves = seconds_by_job(params, counts, {split: 2 * ratio for split, ratio in ratios.items()}, width, steps)
        timed = {at: extended(halves[at], seconds, ratios[at[0]]) for at, seconds in timed.items()}
    first, middle, last = (
        sum(seconds for (_, step), seconds in timed.items() if step == at) for at in timed_steps(steps)
    )
    between = (len(steps) - 2) * middle
    return Speed(first + between + last, own_memory(), start), last


def timed_steps(steps: Sequence[int]) -> tuple[int, int, int]:
    """The first, a middle and the last step."""
    return steps[0], steps[len(steps) // 2], steps[-1]


def extended(half: float, whole: float, ratio: float) -> float:
    """Extend the time of some images to `ratio` times as many, by the power by which it grew from half of them."""
    power = math.log2(whole / half) if half > 0 else SLOWEST_GROWTH
    power = min(max(power, SLOWEST_GROWTH), FASTEST_GROWTH)
    return float(whole * ratio**power)


def seconds_by_job(
    params: MeasureParams,
    counts: Mapping[str, tuple[int, int]],
    ratios: Mapping[str, float],
    width: int,
    steps: Sequence[int],
) -> dict[tuple[str, int], float]:
    """Measure one layer, and time its jobs by split and step.

    Args:
        params: the `measure` section.
        counts: images and classes of every split.
        ratios: by how much fewer images are measured.
        width: number of features.
        steps: of the checkpoints, of which the first, a middle and the last are timed.
    """
    spent: dict[tuple[str, int], float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        write_layer(Path(folder) / "store", counts, ratios, width, steps)
        cell = Cell(open_embeddings(Path(folder) / "store"), params)
        with limit_to_one_thread(params):
            for job in plan_jobs(cell.store, params):
                if job.step in timed_steps(steps):
                    spent[job.split, job.step] += seconds_of(cell, job)
    return dict(spent)


def write_layer(
    path: Path, counts: Mapping[str, tuple[int, int]], ratios: Mapping[str, float], width: int, steps: Sequence[int]
) -> None:
    """Write a store of one layer: classes that overlap, the same at every step.

    Args:
        path: of the store.
        counts: images and classes of every split.
        ratios: by how much fewer images are written.
        width: number of features.
        steps: of the checkpoints.
    """
    parts, values = [], []
    for split, (count, classes) in counts.items():
        kept = max(math.ceil(count / ratios[split]), 2 * classes)
        names = np.arange(kept) % classes
        ids = [f"{split}{i}" for i in range(kept)]
        labels = [f"{split} {name}" for name in names]
        parts.append(pd.DataFrame({"sample_id": ids, "split": split, "label": labels, "group": ""}))
        values.append(overlapping(names, classes, width))
    layer = Layer("layer", "layer", 0, "mean", width, 1, 1)
    cell = {"dataset": "plan", "model": "plan", "fold": "0", "seed": 0}
    with EmbeddingWriter(
        path, samples=pd.concat(parts, ignore_index=True), steps=list(steps), layers=[layer], classes=[],
        dtype="float32", attributes=cell,
    ) as writer:  # fmt: skip
        for step in steps:
            for array in values:
                writer.write("layer", step, array)


def overlapping(names: NDArray[np.integer], classes: int, width: int) -> NDArray[np.float32]:
    """Make embeddings (N, width) of classes that overlap, with a falling spectrum."""
    random = np.random.default_rng([classes, width])
    rank = min(width, RANK)
    latent = 0.6 * random.normal(size=(classes, rank))[names] + random.normal(size=(len(names), rank))
    latent /= np.sqrt(1 + np.arange(rank))
    noise = 0.1 * random.normal(size=(len(names), width))
    made: NDArray[np.float32] = (latent @ random.normal(size=(rank, width)) + noise).astype(np.float32)
    return made


def seconds_of(cell: Cell, job: Job) -> float:
    """CPU seconds of one job, without analyses of further images."""
    known = tuple(name for name in job.analyses if ANALYSES[name].extra is None)
    began = time.process_time()
    score(cell, replace(job, analyses=known))
    return time.process_time() - began
