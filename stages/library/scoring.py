"""Compute the scores of arrays: every layer of every fold of unseen classes, in waves, in one process or several."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..core.scores.catalogue import PROBE, is_clustered
from ..core.scores.description import Normalize
from ..core.scores.layer import LayerScores, score_layer
from ..measure.score_params import ScoreParams
from ..shared.runtime.progress import progress
from .checks import Arrays, remarks
from .scored import Fold, Scored, fold_of, notes, spare_halves


@dataclass(frozen=True)
class Job:
    """What to compute of one layer of one fold."""

    fold: int
    layer: str
    metrics: tuple[str, ...]
    refits: tuple[str, ...]
    clusters: NDArray[np.int32] | None


Shared = tuple[Arrays, Sequence[Fold], Normalize]


def _share(arrays: Arrays, folds: Sequence[Fold], normalize: Normalize) -> Shared:
    threadpool_limits(1)
    return arrays, folds, normalize


def _score(shared: Shared, job: Job) -> LayerScores:
    arrays, folds, normalize = shared
    fold, X = folds[job.fold], arrays[job.layer]
    return score_layer(
        X if len(fold.rows) == len(X) else X[fold.rows],
        fold.y,
        fold.settings,
        job.metrics,
        normalize=normalize,
        refits=job.refits,
        parts=fold.parts,
        clusters=job.clusters,
    )


def _carry_out(jobs: Sequence[Job], shared: Shared, workers: int) -> Iterator[LayerScores]:
    """Carry out jobs in so many processes; what these take is imported only for several."""
    if min(workers, len(jobs)) == 1:
        return (_score(shared, job) for job in jobs)
    from ..shared.workflow.pool import run_jobs

    return run_jobs(_share, shared, _score, jobs, workers)


_lock, _limits = Lock(), list[threadpool_limits]()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit the numerical libraries to one thread, until the last of several threads that ask for it is done."""
    with _lock:
        _limits.append(threadpool_limits(1))
    try:
        yield
    finally:
        with _lock:
            ended = _limits.pop()
            if not _limits:
                ended.restore_original_limits()


Wave = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of scores, and of those that are computed again."""


def score_arrays(
    arrays: Arrays,
    described: Sequence[Mapping[str, Any]],
    samples: pd.DataFrame,
    measure: ScoreParams,
    *,
    worthwhile: float,
    dataset: str,
    model: str,
    workers: int,
    on_scores: Callable[[pd.DataFrame], None] | None,
    drawn: list[str],
) -> Scored:
    """Score every layer, and again on parts of the images.

    Args:
        arrays: name -> (N, D), checked.
        described: of each layer, raw pixels first, what `LayerRecord` has beside its checkpoint, score and loss.
        samples: the N images, from `checks.tabulate`.
        measure: how, the main score first.
        worthwhile: gain up to which choosing does not pay.
        dataset, model: names.
        workers: number of processes; each holds a copy of the embeddings.
        on_scores: is given the table of cheap scores, then that of all, before anything is scored again, with the
            clock's seconds of each score, or of those that were computed together, in its `attrs`.
        drawn: what `draw_samples` notes.

    Raises:
        UserError: a process was killed, or images are all of one group.
    """
    folds = spare_halves([fold_of(samples, number, measure, dataset) for number in range(samples["fold"].max() + 1)])
    layers = {each["layer"]: each for each in described}
    metrics, refits = measure.metrics, measure.refits.metrics
    again = tuple(name for name in refits if name in metrics and (measure.refits_clusters or not is_clustered(name)))
    waves: list[list[Wave]] = [[(tuple(metrics), again)]]
    if on_scores is not None:
        cheap, of_probe = [name for name in metrics if name != PROBE], tuple({PROBE} & {*metrics})
        costly = tuple(name for name in again if name != PROBE)
        plain = [tuple(name for name in cheap if is_clustered(name) == clustered) for clustered in (False, True)]
        planned: list[list[Wave]] = [
            [(own, ()) for own in plain if own],
            [(of_probe, tuple({PROBE} & {*again}))],
            [((), costly)],
        ]
        waves = [kept for wave in planned if (kept := [own for own in wave if own[0] or own[1]])]
    found = {(fold, name): LayerScores() for fold in range(len(folds)) for name in layers}
    scored = Scored(layers, folds, found, measure, worthwhile, dataset, model, [], drawn)
    seconds = dict[str, float]()
    for number, wave in enumerate(waves):
        several = workers if number or on_scores is None else 1  # others would load libraries first
        for own_metrics, own_refits in wave:
            began = time.monotonic()
            _score_layers(scored, arrays, own_metrics, own_refits, several)
            seconds |= dict.fromkeys(own_metrics, time.monotonic() - began)
        if on_scores is not None and wave[0][0]:
            table = replace(scored).table
            table.attrs["seconds"] = dict(seconds)
            on_scores(table)
    return replace(scored, notes=[*drawn, *remarks(samples, arrays), *notes(scored)])


def _score_layers(
    scored: Scored, arrays: Arrays, metrics: tuple[str, ...], refits: tuple[str, ...], workers: int
) -> None:
    """Add scores and refits of every layer to what was found."""
    found, what = scored.found, ", ".join(metrics) if len(metrics) < 4 else f"{len(metrics)} scores"
    places = [(fold, name) for fold in range(len(scored.folds)) for name in scored.layers]
    jobs = [Job(*place, metrics, refits, found[place].clusters) for place in places]
    jobs.sort(key=lambda job: arrays[job.layer].shape[1], reverse=True)  # the longest first
    with one_thread():
        computed = _carry_out(jobs, (arrays, scored.folds, scored.measure.normalize), workers)
        named = f"score {what}" if metrics else "rescore for intervals"
        for job, own in zip(jobs, progress(computed, total=len(jobs), what=named, unit="layers"), strict=True):
            known = found[job.fold, job.layer]
            found[job.fold, job.layer] = replace(
                own if own.clusterings else replace(own, clusterings=known.clusterings, clusters=known.clusters),
                scores=known.scores | own.scores,
                refits=known.refits | own.refits,
                zero_rows=max(known.zero_rows, own.zero_rows),
            )
