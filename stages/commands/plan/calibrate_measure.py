"""What measuring a cell takes on this machine: the real code measures a layer of some images and classes, then more."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.commands.plan.calibrate import Cost, grown, timed
from stages.commands.plan.work import Images
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import Cell
from stages.measure.jobs import Job, plan_jobs
from stages.measure.params import MeasureParams
from stages.measure.run import limit_to_one_thread, score
from stages.shared.embeddings.embedding_store import Layer, open_embeddings
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.embeddings.split_names import SEEN, UNSEEN

MIN_IMAGES, MIN_CLASSES = 250, 5
"""Of a split that are timed first."""

GROWTH = 2
"""Power by which seconds grow with images and classes, as their distances do."""

RANK = 60
"""Directions in which the made-up embeddings vary, with a falling spectrum."""


def time_measuring(
    params: MeasureParams, images: Images, width: int, steps: Sequence[int], allowed: float, most: float
) -> Cost:
    """Time what is computed of one layer: of some images and classes, of twice as many, and so on while it may.

    Analyses of images that are embedded at the last step only, and of all layers at once, are left out: they are the
    cheap ones.

    Args:
        params: the `measure` section.
        images: how many there are.
        width: number of features of the layer.
        steps: of the checkpoints.
        allowed: processor's seconds that it may take in any case.
        most: those that it may take of a layer that takes long.

    Returns:
        What a layer takes at all checkpoints, on one thread.
    """
    counts = {SEEN: (images.test, images.classes), UNSEEN: (images.unseen, max(2, images.unseen_classes))}
    counts = {split: (count, classes) for split, (count, classes) in counts.items() if count}
    share = min(1.0, MIN_IMAGES / max(count for count, _ in counts.values()))
    cost_of = partial(measure_share, params, counts, width, steps)
    return grown(cost_of, share, allowed, times=2, growth=GROWTH, pieces=2, most=most)


def measure_share(
    params: MeasureParams, counts: Mapping[str, tuple[int, int]], width: int, steps: Sequence[int], share: float
) -> Cost:
    """Measure one layer of a share of the images and classes; jobs that compute the same take as long as one of them.

    Args:
        params: the `measure` section.
        counts: images and classes of every split.
        width: number of features.
        steps: of the checkpoints.
        share: of the images and classes.
    """
    costs: dict[Job, Cost] = {}
    with tempfile.TemporaryDirectory() as folder, limit_to_one_thread(params):
        write_layer(Path(folder) / "store", counts, share, width, steps)
        cell = Cell(open_embeddings(Path(folder) / "store"), params)
        jobs = plan_jobs(cell.store, params)
        for job in jobs:
            without_extra = tuple(name for name in job.analyses if ANALYSES[name].extra is None)
            alike = replace(job, step=0)
            if alike not in costs:
                costs[alike] = timed(partial(score, cell, replace(job, analyses=without_extra)))
    seconds = sum(costs[replace(job, step=0)].seconds for job in jobs)
    return Cost(seconds, max(cost.memory for cost in costs.values()))


def write_layer(
    path: Path, counts: Mapping[str, tuple[int, int]], share: float, width: int, steps: Sequence[int]
) -> None:
    """Write a store of one layer of a share of the images: classes that overlap, the same at every step."""
    parts, values = [], []
    for split, (count, classes) in counts.items():
        classes = min(classes, max(MIN_CLASSES, ceil(share * classes)))
        kept = max(ceil(share * count), 2 * classes)
        labels = np.arange(kept) % classes
        ids, names = [f"{split}{i}" for i in range(kept)], [f"{split} {label}" for label in labels]
        parts.append(pd.DataFrame({"sample_id": ids, "split": split, "label": names, "group": ""}))
        values.append(overlapping(labels, classes, width))
    with EmbeddingWriter(
        path,
        samples=pd.concat(parts, ignore_index=True),
        steps=list(steps),
        layers=[Layer("layer", "layer", 0, "mean", width, 1, 1)],
        classes=[],
        dtype="float32",
        attributes={"dataset": "plan", "model": "plan", "fold": "0", "seed": 0},
    ) as writer:
        for step in steps:
            for array in values:
                writer.write("layer", step, array)


def overlapping(labels: NDArray[np.integer], classes: int, width: int) -> NDArray[np.float32]:
    """Make embeddings (N, width) of classes that overlap, with a falling spectrum."""
    random = np.random.default_rng([classes, width])
    rank = min(width, RANK)
    latent = 0.6 * random.normal(size=(classes, rank))[labels] + random.normal(size=(len(labels), rank))
    latent /= np.sqrt(1 + np.arange(rank))
    noise = 0.1 * random.normal(size=(len(labels), width))
    made: NDArray[np.float32] = (latent @ random.normal(size=(rank, width)) + noise).astype(np.float32)
    return made
