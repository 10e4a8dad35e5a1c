"""What one cell's measurement consists of: its jobs, the settings of each split, and what must hold beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.measure.catalogue import HEAD_METRICS, METRICS
from stages.measure.layer import Settings
from stages.measure.params import MeasureParams
from stages.shared.console import UserError
from stages.shared.embeddings import Embeddings, Layer
from stages.shared.seeding import child_seed

HEAD_SPLIT = "test"
"""The split of the seen classes' images, on which the network's own head is scored."""

UNSEEN = "unseen"
PROBE = "probe_accuracy"


@dataclass(frozen=True)
class Job:
    """One layer of one split at one step, and the scores to compute of it.

    Attributes:
        step: the checkpoint's step; for the raw-pixel baseline, which is the same at every step, the first.
        split: the split's name.
        layer: the layer.
        metrics: names from `METRICS`.
    """

    step: int
    split: str
    layer: Layer
    metrics: tuple[str, ...]


def plan_jobs(store: Embeddings, params: MeasureParams) -> list[Job]:
    """List every layer of every split at every step, the baseline once for each split, in the order of the tables."""
    jobs = []
    for step in store.steps:
        for split in store.splits:
            for layer in store.layers:
                if not is_baseline(layer):
                    jobs.append(Job(step, split, layer, metrics_at(step, store.steps, params)))
                elif step == store.steps[0]:
                    jobs.append(Job(step, split, layer, tuple(m for m in params.metrics if m in METRICS)))
    return [job for job in jobs if job.metrics]


def is_baseline(layer: Layer) -> bool:
    """Say whether a layer is the raw-pixel baseline."""
    return layer.depth < 0


def metrics_at(step: int, steps: Sequence[int], params: MeasureParams) -> tuple[str, ...]:
    """Names of the scores that are computed of every layer at one step: the probe only at its own steps."""
    chosen = tuple(name for name in params.metrics if name in METRICS)
    return chosen if step in probe_steps(steps, params) else tuple(name for name in chosen if name != PROBE)


def probe_steps(steps: Sequence[int], params: MeasureParams) -> tuple[int, ...]:
    """Steps at which the probe is fitted."""
    wanted = params.probe.steps
    if wanted == "ends":
        return (steps[0], steps[-1])
    return tuple(steps) if wanted == "all" else tuple(wanted)


def head_metrics(store: Embeddings, params: MeasureParams) -> tuple[str, ...]:
    """Names of the scores of the network's own head; none where there are no logits of its images."""
    chosen = tuple(name for name in params.metrics if name in HEAD_METRICS)
    return chosen if HEAD_SPLIT in store.splits and store.classes else ()


def settings_of(store: Embeddings, split: str, params: MeasureParams) -> Settings:
    """How one split's scores are computed."""
    reference = UNSEEN if params.knn_k == "paper" else split
    largest = int(np.unique(store.labels(reference), return_counts=True)[1].max())
    return Settings(
        normalize=params.normalize,
        neighbours=min(largest, len(store.labels(split)) - 1),
        starts=params.kmeans.starts,
        kmeans_seed=params.kmeans.seed,
        C=params.probe.C,
        folds=params.probe.folds,
        probe_seed=child_seed(store.seed, "probe folds"),
    )


def check_cell(store: Embeddings, dataset: str, model: str, seed: int) -> None:
    """Check that the embeddings are those of the cell asked for.

    Raises:
        UserError: naming both.
    """
    found, wanted = (store.dataset, store.model, store.seed), (dataset, model, seed)
    if found != wanted:
        raise UserError(
            f"--embeddings must hold the cell {'-'.join(map(str, wanted))}, found {'-'.join(map(str, found))}; "
            "run through `dvc repro`, or name the cell's own folder"
        )


def check_params(store: Embeddings, params: MeasureParams) -> None:
    """Check the parameters that depend on what was embedded.

    Raises:
        UserError: naming the parameter, what must hold and what was found.
    """
    unknown = [step for step in probe_steps(store.steps, params) if step not in store.steps]
    if unknown:
        raise UserError(
            f"measure.probe.steps must name checkpoints, found {', '.join(map(str, unknown))}; "
            f"the steps of finetune.steps are {', '.join(map(str, store.steps))}"
        )
    if params.knn_k == "paper" and UNSEEN not in store.splits:
        raise UserError(
            f"measure.knn_k: paper takes k from the split `unseen`, found only {', '.join(store.splits)}; "
            "add it to embed.splits, or use `measure.knn_k: split`"
        )
    if not plan_jobs(store, params) and not head_metrics(store, params):
        raise UserError(
            f"measure.metrics must name a score of what was embedded, found only {', '.join(params.metrics)}, which "
            f"needs the split {HEAD_SPLIT!r}; add it to embed.splits, or name a score of layers: {', '.join(METRICS)}"
        )
    for split in store.splits:
        check_classes(store, split, params)


def check_classes(store: Embeddings, split: str, params: MeasureParams) -> None:
    """Check that a split has classes to separate, of enough images for the probe's folds.

    Raises:
        UserError: naming the split and the class.
    """
    names, sizes = np.unique(store.labels(split), return_counts=True)
    if len(names) < 2:
        raise UserError(f"split {split!r} must have at least 2 classes to separate, found only {str(names[0])!r}")
    if PROBE in params.metrics and sizes.min() < params.probe.folds:
        raise UserError(
            f"measure.probe.folds: {params.probe.folds} needs as many images of every class; split {split!r} has "
            f"{sizes.min()} of class {str(names[sizes.argmin()])!r}; lower it, embed more "
            f"images, or take {PROBE} out of measure.metrics"
        )


def check_finite(store: Embeddings, jobs: Sequence[Job]) -> None:
    """Read every embedding once, a layer of a split at a time, so that a broken one stops the stage before the work.

    Raises:
        UserError: an embedding holds NaN or infinity; names layer, step, split and count.
    """
    for job in jobs:
        store.features(job.layer, job.step, job.split)
