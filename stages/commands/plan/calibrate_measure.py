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
from stages.measure.run import one_thread, score
from stages.shared.embedding_store import Layer, open_embeddings
from stages.shared.embedding_writer import EmbeddingWriter
from stages.shared.split_names import SEEN, UNSEEN

MOST_IMAGES = 1000
"""Of a split: more take proportionally longer."""

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
    shrunk = {split: math.ceil(count / MOST_IMAGES) for split, (count, _) in counts.items()}
    spent: dict[int, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        write_layer(Path(folder) / "store", counts, shrunk, width, steps)
        cell = Cell(open_embeddings(Path(folder) / "store"), params)
        with one_thread(params):
            for job in plan_jobs(cell.store, params):
                if job.step in (steps[0], steps[len(steps) // 2], steps[-1]):
                    spent[job.step] += seconds_of(cell, job) * shrunk[job.split]
    middle = spent[steps[len(steps) // 2]] if len(steps) > 2 else 0.0
    ends = sum(spent[step] for step in {steps[0], steps[-1]})
    return Speed(ends + (len(steps) - 2) * middle, own_memory(), start), spent[steps[-1]]


def write_layer(
    path: Path, counts: Mapping[str, tuple[int, int]], shrunk: Mapping[str, int], width: int, steps: Sequence[int]
) -> None:
    """Write a store of one layer: classes that overlap, the same at every step.

    Args:
        path: of the store.
        counts: images and classes of every split.
        shrunk: by how much fewer images are written.
        width: number of features.
        steps: of the checkpoints.
    """
    parts, values = [], []
    for split, (count, classes) in counts.items():
        kept = max(-(-count // shrunk[split]), 2 * classes)
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
