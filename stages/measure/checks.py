"""What must hold of a cell's embeddings before any work is done, for the parameters asked for."""

from collections.abc import Sequence

import numpy as np

from stages.measure.jobs import PROBE, SPLITS, Job, corrupted_splits, head_metrics, last_step_splits, plan_jobs
from stages.measure.metrics import METRICS
from stages.measure.params import MeasureParams, chosen_steps
from stages.shared.console import UserError
from stages.shared.embedding_store import Embeddings
from stages.shared.split_names import SEEN, TRAIN, UNSEEN


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
    for section in ("extra", "probe"):
        check_steps(store, section, params)
    if params.knn_k == "paper" and UNSEEN not in store.splits:
        raise UserError(
            f"measure.knn_k: paper takes k from the split `unseen`, found only {', '.join(store.splits)}; "
            "add it to embed.splits, or use `measure.knn_k: split`"
        )
    if not plan_jobs(store, params) and not any(head_metrics(step, store, params) for step in store.steps):
        raise UserError(
            f"measure.metrics must name a score of what was embedded, found only {', '.join(params.all_metrics)}, "
            f"which needs the split {SEEN!r}; add it to embed.splits, or name a score of layers: {', '.join(METRICS)}"
        )
    check_analyses(store, params)
    for split in store.splits:
        check_classes(store, split, params)


def check_steps(store: Embeddings, section: str, params: MeasureParams) -> None:
    """Check that the steps of `measure.extra` or `measure.probe` are checkpoints.

    Raises:
        UserError: naming those that are not.
    """
    unknown = [step for step in chosen_steps(getattr(params, section).steps, store.steps) if step not in store.steps]
    if unknown:
        raise UserError(
            f"measure.{section}.steps must name checkpoints, found {', '.join(map(str, unknown))}; "
            f"the steps of finetune.steps are {', '.join(map(str, store.steps))}"
        )


def check_analyses(store: Embeddings, params: MeasureParams) -> None:
    """Check that what the analyses of the last step look at was embedded.

    Raises:
        UserError: naming the analysis and both remedies.
    """
    for name in params.analyses:
        absent = [split for split in SPLITS.get(name, ()) if split not in store.splits]
        if absent:
            raise UserError(
                f"measure.analyses: {name} needs the split {absent[0]!r}, found only {', '.join(store.splits)}; "
                f"add it to embed.splits, or take {name} out of measure.analyses"
            )
    if "ood" in params.analyses and TRAIN not in last_step_splits(store):
        raise UserError(
            "measure.analyses: ood needs training images embedded at the last step, found none; set "
            "embed.train_per_class to more than 0, or take ood out of measure.analyses"
        )
    if "corruptions" in params.analyses and not corrupted_splits(store):
        raise UserError(
            "measure.analyses: corruptions needs corrupted images embedded at the last step, found none; name kinds "
            "in embed.corruptions.kinds, or take corruptions out of measure.analyses"
        )


def check_classes(store: Embeddings, split: str, params: MeasureParams) -> None:
    """Check that a split has classes to separate, of enough images for the probe's folds.

    Raises:
        UserError: naming the split and the class.
    """
    names, sizes = np.unique(store.labels(split), return_counts=True)
    if len(names) < 2:
        raise UserError(f"split {split!r} must have at least 2 classes to separate, found only {str(names[0])!r}")
    users = [f"{PROBE} out of measure.metrics"] if PROBE in params.all_metrics else []
    users += ["corruptions out of measure.analyses"] if "corruptions" in params.analyses and split == SEEN else []
    if users and sizes.min() < params.probe.folds:
        raise UserError(
            f"measure.probe.folds: {params.probe.folds} needs as many images of every class; split {split!r} has "
            f"{sizes.min()} of class {str(names[sizes.argmin()])!r}; lower it, embed more "
            f"images, or take {' and '.join(users)}"
        )


def check_finite(store: Embeddings, jobs: Sequence[Job], params: MeasureParams) -> None:
    """Read every embedding once, a layer of a split at a time, so that a broken one stops the stage before the work.

    Raises:
        UserError: an embedding holds NaN or infinity; names layer, step, split and count.
    """
    for job in jobs:
        store.features(job.layer, job.step, job.split)
    if store.last_step is not None:
        needed = {"ood": (TRAIN,), "corruptions": corrupted_splits(store)}
        for split in (split for name in params.analyses for split in needed.get(name, ())):
            for layer in store.layers:
                store.last_step.features(layer, store.steps[-1], split)
