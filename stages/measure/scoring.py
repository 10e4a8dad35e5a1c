"""Carry out a cell's jobs, in several processes of one thread each: the results do not depend on how many."""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from stages.measure.catalogue import HEAD_METRICS, METRICS
from stages.measure.clustering import Clustering
from stages.measure.layer import EmbeddedSplit, Score
from stages.measure.params import MeasureParams
from stages.measure.plan import HEAD_SPLIT, Job, head_metrics, is_baseline, metrics_at, settings_of
from stages.shared.console import UserError, progress
from stages.shared.embeddings import Embeddings, open_embeddings

WORKERS = "WHICHLAYER_WORKERS"
LIBRARIES = ["scipy.stats", "sklearn.cluster", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection"]


@dataclass(frozen=True)
class Result:
    """What was computed of one layer of one split at one step.

    Attributes:
        job: the layer, split and step.
        scores: by name.
        classes: number of classes, K.
        clusterings: every k-means start; empty if no score needs them.
        start_nmi: normalized mutual information of the classes with every start.
        best_start: index of the start of least inertia.
    """

    job: Job
    scores: dict[str, Score]
    classes: int
    clusterings: list[Clustering]
    start_nmi: list[float]
    best_start: int


class Scorer:
    """Computes the scores of one cell's jobs, holding one layer of one split at a time."""

    def __init__(self, path: Path, params: MeasureParams) -> None:
        """Open the embeddings at `path`."""
        self.store = open_embeddings(path)
        self.settings = {split: settings_of(self.store, split, params) for split in self.store.splits}
        self.classes = {s: np.unique(self.store.labels(s), return_inverse=True)[1] for s in self.store.splits}

    def score(self, job: Job) -> Result:
        """Read one layer of one split and compute its scores."""
        X = self.store.features(job.layer, job.step, job.split)
        split = EmbeddedSplit(X, self.classes[job.split], self.settings[job.split])
        scores = {name: METRICS[name](split) for name in job.metrics}
        starts = (split.clusterings, split.start_nmi, split.best_start) if split.clustered else ([], [], 0)
        return Result(job, scores, len(split.class_sizes), *starts)


def worker_count(flag: str | None) -> int:
    """Number of processes: from the command line, else from WHICHLAYER_WORKERS, else one per processor.

    Raises:
        UserError: it is not a whole number >= 1.
    """
    text = flag or os.environ.get(WORKERS) or str(os.cpu_count() or 1)
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--workers (or {WORKERS}) must be a whole number >= 1, found {text!r}")
    return int(text)


def score_jobs(path: Path, params: MeasureParams, jobs: Sequence[Job], *, workers: int) -> list[Result]:
    """Compute the scores of all jobs.

    Args:
        path: the cell's embeddings.
        params: the stage's parameters.
        jobs: what to compute.
        workers: number of processes; 1 computes in this one.

    Returns:
        One result for each job, in their order.

    Raises:
        UserError: an embedding is not finite, or a process was killed.
    """
    if not jobs:
        return []
    widest_first = sorted(range(len(jobs)), key=lambda i: -jobs[i].layer.width)
    ordered = [jobs[i] for i in widest_first]
    computed = _in_processes(path, params, ordered, workers) if workers > 1 else _here(path, params, ordered)
    results = dict(zip(widest_first, progress(computed, total=len(jobs), what="measure", unit="layers"), strict=True))
    return [results[i] for i in range(len(jobs))]


def _here(path: Path, params: MeasureParams, jobs: Sequence[Job]) -> Iterator[Result]:
    _import_libraries()
    with threadpool_limits(1):
        yield from map(Scorer(path, params).score, jobs)


def _in_processes(path: Path, params: MeasureParams, jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload(LIBRARIES)
    workers = min(workers, len(jobs))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(path, params))
    try:
        yield from pool.map(_score, jobs)
    except BrokenProcessPool:
        raise UserError(
            f"one of {workers} measuring processes was killed, most likely for want of memory; use fewer with "
            "--workers or WHICHLAYER_WORKERS"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_scorer: Scorer
"""The scorer of a worker process, made once when it starts."""


def _start(path: Path, params: MeasureParams) -> None:
    global _scorer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _import_libraries()
    threadpool_limits(1)
    _scorer = Scorer(path, params)


def _end_with_parent() -> None:
    """Leave no process behind when the stage itself is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _score(job: Job) -> Result:
    return _scorer.score(job)


def _import_libraries() -> None:
    """Load the numerical libraries: a limit on their threads reaches only those that are loaded."""
    for name in LIBRARIES:
        __import__(name)


def spread_baseline(results: Sequence[Result], store: Embeddings, params: MeasureParams) -> list[Result]:
    """Repeat the baseline's results at every step, with the scores computed there, in the order of the tables."""
    spread = []
    for number, result in enumerate(results):
        steps = store.steps if is_baseline(result.job.layer) else (result.job.step,)
        for step in steps:
            job = replace(result.job, step=step, metrics=metrics_at(step, store.steps, params))
            if job.metrics:
                at_step = replace(result, job=job, scores={name: result.scores[name] for name in job.metrics})
                spread.append((step, store.splits.index(job.split), number, at_step))
    return [at_step for *_, at_step in sorted(spread, key=lambda row: row[:3])]


def score_head(store: Embeddings, params: MeasureParams) -> dict[int, dict[str, Score]]:
    """Compute the scores of the network's own head on the seen classes, by step and name; empty if none is wanted."""
    names = head_metrics(store, params)
    if not names:
        return {}
    heads, labels = np.array(store.classes, dtype=str), store.labels(HEAD_SPLIT)
    return {s: {n: HEAD_METRICS[n](store.logits(s, HEAD_SPLIT), heads, labels) for n in names} for s in store.steps}
