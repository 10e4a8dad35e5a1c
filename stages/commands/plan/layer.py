"""One layer of made-up embeddings, measured: in a process of its own, it takes what it takes in a real one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from stages.commands.plan.trial import Trial
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import Cell
from stages.measure.params import MeasureParams
from stages.measure.run import Job, limit_to_one_thread, plan_jobs, score
from stages.shared.core.digests import cell_id
from stages.shared.embeddings.embeddings import Embeddings, InMemory, Layer
from stages.shared.runtime.durations import process_peak

RANK = 60
"""Directions in which the made-up embeddings vary, with a falling spectrum."""


def make_layer(counts: Mapping[str, tuple[int, int]], width: int, steps: Sequence[int]) -> Embeddings:
    """Make embeddings of images and classes, by split, the same at every step: classes that overlap."""
    parts, values, rank = [], [], min(width, RANK)
    for split, (count, classes) in counts.items():
        labels = np.arange(count) % classes
        ids, names = [f"{split}{i}" for i in range(count)], [f"{split} {label}" for label in labels]
        parts.append(pd.DataFrame({"sample_id": ids, "split": split, "label": names, "group": ""}))
        random = np.random.default_rng([classes, width])
        latent = 0.6 * random.normal(size=(classes, rank))[labels] + random.normal(size=(count, rank))
        latent /= np.sqrt(1 + np.arange(rank))
        noise = 0.1 * random.normal(size=(count, width))
        values.append((latent @ random.normal(size=(rank, width)) + noise).astype(np.float32))
    layers, samples = (Layer("layer", "layer", 0, "mean", width, 1, 1),), pd.concat(parts, ignore_index=True)
    source = InMemory(cell_id(("plan", "plan", "0", 0)), {"layer": np.concatenate(values)})
    return Embeddings("plan", "plan", "0", 0, tuple(steps), layers, samples, (), source)


def measure_a_layer(
    params: MeasureParams, counts: Sequence[tuple[str, tuple[int, int]]], width: int, steps: Sequence[int]
) -> Trial:
    """Time what is computed of one layer at all checkpoints, on one thread; of steps with the same to do, one is timed.

    Analyses of images that are embedded at the last step only, and of all layers at once, are left out: they are the
    cheap ones.

    Args:
        params: the `measure` section.
        counts: splits, and how many images and classes each has.
        width: number of features.
        steps: of the checkpoints.
    """
    with limit_to_one_thread(params):
        cell, seconds = Cell(make_layer(dict(counts), width, steps), params), list[float]()
        start, before, known = time.process_time(), process_peak(), dict[Job, float]()
        for job in plan_jobs(cell.store, params):
            analyses = tuple(name for name in job.analyses if not ANALYSES[name].training)
            alike = replace(job, step=steps[-1], analyses=analyses)  # embeddings are the same at every step
            if alike not in known:
                began = time.process_time()
                score(cell, alike)
                known[alike] = time.process_time() - began
            seconds.append(known[alike])
    return Trial(start, sum(seconds), process_peak(), before)
