"""A cell's jobs, carried out in several processes of one thread each: the results do not depend on how many."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..core.scores.catalogue import HEAD_SCORES, LAYER_SCORES, PROBE, ScoreValue, is_clustered
from ..core.scores.description import Normalize, scaled_as
from ..core.scores.embedded_split import EmbeddedSplit
from ..core.scores.layer import LayerScores, score_layer
from ..shared.embeddings.embeddings import Embeddings, Layer
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.runtime.progress import progress
from ..shared.tables.metric_table import row_keys
from ..shared.workflow.pool import run_jobs
from .analyses.registry import ANALYSES, load
from .analyses.result import AnalysisResult
from .cell import Cell
from .params import MeasureParams, chosen_steps


@dataclass(frozen=True)
class Job:
    """One layer of one split at one step, and what to compute of it.

    Attributes:
        step: the checkpoint's step; for the raw-pixel baseline, which is the same at every step, the first.
        split: the split's name.
        layer: the layer.
        metrics: names of scores of layers.
        analyses: names from `ANALYSES`; at the last step, of some at the first as well, and of the baseline.
        refits: names of scores that are fitted again.
        of: the cell's set of classes, by its place among them.
    """

    step: int
    split: str
    layer: Layer
    metrics: tuple[str, ...]
    analyses: tuple[str, ...] = ()
    refits: tuple[str, ...] = ()
    of: int = 0

    @property
    def keys(self) -> dict[str, Any]:
        """What names the embedding's rows in tables."""
        return row_keys(self.step, self.split, *self.layer.keys)


def plan_jobs(store: Embeddings, params: MeasureParams, of: int = 0) -> list[Job]:
    """List every layer of every split at every step, the baseline once for each split, in the order of the tables.

    Args:
        store: the embeddings.
        params: the stage's parameters.
        of: place of this set of the cell's classes.
    """
    jobs = []
    for step, split, layer in product(store.steps, store.splits, store.layers):
        if not is_baseline(layer):
            jobs.append(job_at(step, split, layer, store.steps, params))
        elif step == store.steps[0]:  # once, with what is asked for at any step, in the order of the last
            at_steps = [job_at(each, split, layer, store.steps, params) for each in reversed(store.steps)]
            metrics, analyses, refits = (
                tuple(dict.fromkeys(name for job in at_steps for name in getattr(job, names)))
                for names in ("metrics", "analyses", "refits")
            )
            jobs.append(Job(step, split, layer, metrics, analyses, refits))
    return [replace(job, of=of) for job in jobs if job.metrics or job.analyses]


def is_baseline(layer: Layer) -> bool:
    """Whether a layer is the raw-pixel baseline."""
    return layer.depth < 0


def job_at(step: int, split: str, layer: Layer, steps: Sequence[int], params: MeasureParams) -> Job:
    """Name what is asked for of one layer of one split at one step: the probe only at its own steps, as are refits.

    Analyses are of the last of the checkpoints' `steps`, some of the first as well.
    """
    probed = step in chosen_steps(params.probe.steps, steps)
    wanted = wanted_at(step, steps, params)
    metrics = tuple(name for name in wanted if name in LAYER_SCORES and (probed or name != PROBE))
    here = [name for name in params.analyses if ANALYSES[name].belongs_to(split)]
    analyses = tuple(n for n in here if step == steps[-1] or (step == steps[0] and ANALYSES[n].ends))
    refitted = split == UNSEEN and step in chosen_steps(params.refits.steps, steps)
    names = [name for name in params.refits.metrics if params.refits_clusters or not is_clustered(name)]
    refits = tuple(name for name in names if name in metrics and refitted)
    return Job(step, split, layer, metrics, analyses, refits)


def wanted_at(step: int, steps: Sequence[int], params: MeasureParams) -> list[str]:
    """Names of the scores that are asked for at one step."""
    return params.all_metrics if step in chosen_steps(params.extra.steps, steps) else params.metrics


def head_metrics(step: int, store: Embeddings, params: MeasureParams) -> tuple[str, ...]:
    """Names of the scores of the network's own head at one step; none where there are no logits of its images."""
    if SEEN not in store.splits or not store.classes:
        return ()
    return tuple(name for name in wanted_at(step, store.steps, params) if name in HEAD_SCORES)


@dataclass(frozen=True, kw_only=True)
class Result(LayerScores):
    """The results of one layer of one split at one step.

    Attributes:
        job: the layer, split and step.
        analysed: results of the job's analyses, by the analysis.
    """

    job: Job
    analysed: dict[str, AnalysisResult] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """The results of one cell.

    Attributes:
        results: of every layer, split and step, in the order of the tables.
        heads: scores of the network's own head, by step and name.
        of_network: results of the analyses of all layers at once, by the analysis.
    """

    results: list[Result]
    heads: dict[int, dict[str, ScoreValue]]
    of_network: dict[str, AnalysisResult]


def measure(
    stores: Sequence[Embeddings], params: MeasureParams, jobs: Sequence[Job], *, workers: int
) -> list[Measured]:
    """Compute all that is asked for of one cell: its jobs in processes, what looks at all layers at once in this one.

    Args:
        stores: its embeddings, once for each set of its classes (`Embeddings.sets`).
        params: the stage's parameters.
        jobs: of all of them.
        workers: number of processes.

    Returns:
        One result for each store.

    Raises:
        UserError: an embedding is not finite, or a process was killed.
    """
    return complete(stores, params, score_jobs(stores, params, jobs, workers=workers))


def complete(stores: Sequence[Embeddings], params: MeasureParams, results: Sequence[Result]) -> list[Measured]:
    """Add to the results of all jobs what looks at all layers at once, and the head's scores.

    Args:
        stores: the cell's embeddings, once for each set of its classes (`Embeddings.sets`).
        params: the stage's parameters.
        results: of the jobs of all of them.
    """
    cells, measured = [Cell(store, params) for store in stores], []
    with limit_to_one_thread(params):
        of_all = {name: load(name)(cells) for name in params.analyses if ANALYSES[name].all_sets}
    for number, (store, cell) in enumerate(zip(stores, cells, strict=True)):
        own = repeat_baseline_at_steps([each for each in results if each.job.of == number], store, params)
        with limit_to_one_thread(params):
            of_network = {
                name: load(name)(cell)
                for name in params.analyses
                if ANALYSES[name].whole_network and name not in of_all
            }
        of_network |= {name: found[number] for name, found in of_all.items()}
        measured.append(Measured(own, score_head(store, params), of_network))
    return measured


def score(cell: Cell, job: Job) -> Result:
    """Compute what is asked for of one layer of one split."""
    analysed: dict[str, AnalysisResult] = {}
    at = {name: (job.step,) if ANALYSES[name].ends else () for name in job.analyses}

    def analyse(names: list[str], split: EmbeddedSplit) -> None:
        analysed.update({name: load(name)(cell, job.layer, split, *at[name]) for name in names})

    params, own = cell.params, dict[Normalize, list[str]]()
    for name in job.analyses:
        own.setdefault(scaled_as(ANALYSES[name].scaling, params.normalize), []).append(name)
    found = score_layer(
        cell.store.features(job.layer, job.step, job.split),
        cell.classes[job.split],
        cell.settings[job.split],
        job.metrics,
        normalize=params.normalize,
        refits=job.refits,
        parts=cell.parts if job.refits else None,
        further={scaling: partial(analyse, names) for scaling, names in own.items()},
    )
    return Result(**vars(found), job=job, analysed={name: analysed[name] for name in job.analyses})


def score_jobs(
    stores: Sequence[Embeddings], params: MeasureParams, jobs: Sequence[Job], *, workers: int
) -> list[Result]:
    """Compute the scores of all jobs.

    Args:
        stores: the cell's embeddings, once for each set of its classes; each process gets a copy of those in memory.
        params: the stage's parameters.
        jobs: what to compute.
        workers: number of processes, at most one for each job; 1 computes in this one.

    Returns:
        One result for each job, in their order.

    Raises:
        UserError: an embedding is not finite, or a process was killed.
    """
    longest_first = sorted(range(len(jobs)), key=lambda i: expected_cost(jobs[i]), reverse=True)
    ordered = [jobs[i] for i in longest_first]
    several = min(workers, len(jobs)) > 1
    with nullcontext() if several else limit_to_one_thread(params):
        computed = run_jobs(_open, (stores, params), _score, ordered, workers)
        done = progress(computed, total=len(jobs), what="measure", unit="layers")
        results = dict(zip(longest_first, done, strict=True))
    return [results[i] for i in range(len(jobs))]


def expected_cost(job: Job) -> tuple[bool, int, int]:
    """Order jobs by what takes longest: refits, then analyses, then wide layers."""
    return bool(job.refits), len(job.analyses), job.layer.width


def _open(stores: Sequence[Embeddings], params: MeasureParams) -> list[Cell]:
    """The cell, once for each set of its classes; of a process that measures nothing else."""
    limit_to_one_thread(params)
    return [Cell(store, params) for store in stores]


def _score(cells: Sequence[Cell], job: Job) -> Result:
    return score(cells[job.of], job)


def limit_to_one_thread(params: MeasureParams) -> threadpool_limits:
    """Limit the numerical libraries to one thread, for good or until the context ends; it reaches only those loaded."""
    for name in params.analyses:
        load(name)
    return threadpool_limits(1)


def repeat_baseline_at_steps(results: Sequence[Result], store: Embeddings, params: MeasureParams) -> list[Result]:
    """Repeat the baseline's results at every step, with what is computed there, in the order of the tables."""
    repeated = []
    for result in results:
        layer, split = result.job.layer, result.job.split
        steps = store.steps if is_baseline(layer) else (result.job.step,)
        jobs = [job_at(step, split, layer, store.steps, params) for step in steps]
        repeated += [_restricted(result, job) for job in jobs if job.metrics or job.analyses]
    return sorted(repeated, key=lambda result: (result.job.step, store.splits.index(result.job.split)))


def _restricted(result: Result, job: Job) -> Result:
    """Take from a result what is computed at one of its steps."""
    scores = {name: result.scores[name] for name in job.metrics}
    return replace(result, job=job, scores=scores, analysed={name: result.analysed[name] for name in job.analyses})


def score_head(store: Embeddings, params: MeasureParams) -> dict[int, dict[str, ScoreValue]]:
    """Compute the scores of the network's own head on the seen classes, by step and name, at steps that have any."""
    wanted = {step: names for step in store.steps if (names := head_metrics(step, store, params))}
    if not wanted:
        return {}
    heads, labels = np.array(store.classes, dtype=str), store.labels(SEEN)
    return {
        step: {name: HEAD_SCORES[name].compute(store.logits(step, SEEN), heads, labels) for name in names}
        for step, names in wanted.items()
    }
