"""How long measuring a cell takes on this machine: one layer of middle width, scored by the real code.

Scores of some of the images and classes are timed, then of twice as many, as long as that is allowed. Refits are many
and alike: one without a class and one of a half are timed in the place of all.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, log
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context

from stages.commands.plan.calibrate import peak_memory, reset_peak
from stages.commands.plan.work import Images
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import Cell
from stages.measure.jobs import Job, plan_jobs
from stages.measure.metrics import needs_of
from stages.measure.params import MeasureParams
from stages.measure.refits import MIN_CLASSES as MIN_LEFT_OUT
from stages.measure.refits import subset_scores
from stages.measure.run import limit_to_one_thread, score
from stages.measure.scores.kmeans import Search
from stages.shared.embeddings.embedding_store import Layer, open_embeddings
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.embeddings.split_names import SEEN, UNSEEN

MIN_IMAGES, MIN_CLASSES = 250, 5
"""Of a split that are timed first."""

MIN_GROWTH, USUAL_GROWTH, MAX_GROWTH = 1.0, 2.0, 3.0
"""Powers of the share of images and classes: a pass over them, their distances, clusters of them."""

LONG = 0.1
"""Part of what a layer takes that may be spent on timing it, beyond what is allowed in any case."""

RANK = 60
"""Directions in which the made-up embeddings vary, with a falling spectrum."""

Group = tuple[str, ...]
"""What jobs that take equally long have in common."""


@dataclass(frozen=True)
class Measuring:
    """What measuring takes on one thread.

    Attributes:
        layer: seconds of one layer at all checkpoints.
        baseline: those of the raw pixels.
        memory: bytes of a process, beside its libraries.
    """

    layer: float
    baseline: float
    memory: float


@dataclass(frozen=True)
class Piece:
    """A share of the images and classes, what it took by groups of jobs, and the jobs of the layer."""

    share: float
    seconds: Mapping[Group, float]
    memory: float
    jobs: Sequence[Job]


def time_measuring(
    params: MeasureParams, images: Images, width: int, steps: Sequence[int], allowed: float, most: float
) -> Measuring:
    """Time what is computed of one layer.

    Analyses of images that are embedded at the last step only, and of all layers at once, are left out: they are the
    cheap ones.

    Args:
        params: the `measure` section.
        images: how many there are.
        width: number of features of the layer.
        steps: of the checkpoints.
        allowed: processor's seconds that it may take in any case.
        most: those that it may take of a layer that takes long.
    """
    counts = {SEEN: (images.test, images.classes), UNSEEN: (images.unseen, max(2, images.unseen_classes))}
    counts = {split: (count, classes) for split, (count, classes) in counts.items() if count}
    share, spent, pieces = min(1.0, MIN_IMAGES / max(n for n, _ in counts.values())), inf, list[Piece]()
    while True:
        began, before = time.process_time(), spent
        pieces.append(time_piece(params, counts, share, width, steps))
        spent = time.process_time() - began
        found = extended(pieces, params, counts)
        following = spent * max(2.0, spent / before)
        if share == 1 or (len(pieces) > 1 and following > max(allowed, min(most, LONG * found.layer))):
            return found
        share = min(1.0, 2 * share)


def time_piece(
    params: MeasureParams,
    counts: Mapping[str, tuple[int, int]],
    share: float,
    width: int,
    steps: Sequence[int],
) -> Piece:
    """Measure one layer of some of the images and classes.

    Args:
        params: the `measure` section.
        counts: images and classes of every split.
        share: of them that are measured.
        width: number of features.
        steps: of the checkpoints.
    """
    seconds: dict[Group, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_layer(Path(folder) / "store", counts, share, width, steps)
        cell = Cell(open_embeddings(Path(folder) / "store"), params)
        jobs, before = plan_jobs(cell.store, params), reset_peak()
        with limit_to_one_thread(params), config_context(assume_finite=True, skip_parameter_validation=True):
            for job in jobs:
                if group_of(job) not in seconds:
                    seconds[group_of(job)] = seconds_of(cell, job)
                if job.refits and ("half", *job.refits) not in seconds:
                    seconds |= time_refits(cell, job)
    return Piece(share, seconds, max(0.0, peak_memory() - before), jobs)


def group_of(job: Job) -> Group:
    """Return what decides how long a job's scores and analyses take."""
    return (job.split, *job.metrics, *job.analyses)


def seconds_of(cell: Cell, job: Job) -> float:
    """Return the processor's seconds of a job, without refits and analyses of further images."""
    analyses = tuple(name for name in job.analyses if ANALYSES[name].extra is None)
    began = time.process_time()
    score(cell, replace(job, analyses=analyses, refits=()))
    return time.process_time() - began


def time_refits(cell: Cell, job: Job) -> dict[Group, float]:
    """Time the refits of a job: what each class left out and each half takes, and what all of them share."""
    split = cell.embedded(job.layer, job.step, job.split, needs=needs_of(job.metrics))
    refits, search = cell.params.refits, split.settings.search
    searches = [search, Search(refits.starts, refits.polished, search.seed)]
    subsets = np.array([split.y != 0, np.arange(len(split.y)) % 2 == 0])

    def seconds(*chosen: int) -> float:
        began = time.process_time()
        subset_scores(split, subsets[[*chosen]], [searches[i] for i in chosen], job.refits)
        return time.process_time() - began

    seconds(1)  # what the split computes once
    one, half, both = seconds(0), seconds(1), seconds(0, 1)
    parts = {"shared": one + half - both, "class": both - half, "half": both - one}
    return {(name, *job.refits): max(0.0, part) for name, part in parts.items()}


def extended(pieces: Sequence[Piece], params: MeasureParams, counts: Mapping[str, tuple[int, int]]) -> Measuring:
    """Extend what the last piece took to all images and classes, by the power by which it grew from the one before."""
    last, before = pieces[-1], pieces[-2] if len(pieces) > 1 else None

    def whole(group: Group) -> float:
        power, now = USUAL_GROWTH, last.seconds.get(group, 0.0)
        if before and before.seconds.get(group, 0.0) > 0 and now > 0:
            power = log(now / before.seconds[group]) / log(last.share / before.share)
        return float(now * (1 / last.share) ** min(max(power, MIN_GROWTH), MAX_GROWTH))

    def of(job: Job) -> float:
        classes = counts[job.split][1]
        times = {"shared": 1, "class": classes if classes >= MIN_LEFT_OUT else 0, "half": params.refits.halves}
        refits = sum(count * whole((name, *job.refits)) for name, count in times.items()) if job.refits else 0.0
        return whole(group_of(job)) + refits

    slope = (last.memory - before.memory) / (last.share - before.share) if before else last.memory / last.share
    end = max(job.step for job in last.jobs)
    return Measuring(
        layer=sum(map(of, last.jobs)),
        baseline=sum(of(job) for job in last.jobs if job.step == end),
        memory=last.memory + max(0.0, slope) * (1 - last.share),
    )


def write_layer(
    path: Path, counts: Mapping[str, tuple[int, int]], share: float, width: int, steps: Sequence[int]
) -> None:
    """Write a store of one layer: classes that overlap, the same at every step.

    Args:
        path: of the store.
        counts: images and classes of every split.
        share: of the images and classes that are written.
        width: number of features.
        steps: of the checkpoints.
    """
    parts, values = [], []
    for split, (count, classes) in counts.items():
        classes = min(classes, max(MIN_CLASSES, ceil(share * classes)))
        kept = max(ceil(share * count), 2 * classes)
        labels = np.arange(kept) % classes
        ids, names = [f"{split}{i}" for i in range(kept)], [f"{split} {label}" for label in labels]
        parts.append(pd.DataFrame({"sample_id": ids, "split": split, "label": names, "group": ""}))
        values.append(overlapping(labels, classes, width))
    layer = Layer("layer", "layer", 0, "mean", width, 1, 1)
    cell = {"dataset": "plan", "model": "plan", "fold": "0", "seed": 0}
    with EmbeddingWriter(
        path, samples=pd.concat(parts, ignore_index=True), steps=list(steps), layers=[layer], classes=[],
        dtype="float32", attributes=cell,
    ) as writer:  # fmt: skip
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
