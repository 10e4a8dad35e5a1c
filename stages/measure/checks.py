"""What must hold of a cell's embeddings before any work is done, for the parameters asked for."""

from collections.abc import Sequence

import numpy as np

from ..core.representations.choice import check_classes
from ..core.scores.catalogue import LAYER_SCORES
from ..shared.embeddings.embeddings import Embeddings
from ..shared.embeddings.split_names import SEEN, TRAIN, UNSEEN
from ..shared.runtime.errors import UserError
from ..shared.workflow.params import Cell
from .analyses.registry import ANALYSES, check_embedded
from .cell import has_training, own_groups, store_of_seen
from .params import MeasureParams, check_class_sizes, check_steps
from .run import Job, head_metrics, plan_jobs


def check_cell(store: Embeddings, wanted: Cell, where: str = "--embeddings") -> None:
    """Check that the embeddings are those of the cell asked for.

    Args:
        store: the embeddings.
        wanted: the cell.
        where: what names them, for the message.

    Raises:
        UserError: naming both.
    """
    if store.cell != wanted:
        raise UserError(
            f"{where} must hold the cell {'-'.join(map(str, wanted))}, found {'-'.join(map(str, store.cell))}; "
            "run through `dvc repro`, or give the cell's own folder"
        )


def check_params(store: Embeddings, params: MeasureParams) -> None:
    """Check the parameters that depend on what was embedded.

    Raises:
        UserError: naming the parameter, what must hold and what was found.
    """
    for section in ("extra", "probe", "refits"):
        check_steps(section, params, store.steps, frozen=store.frozen)
    if params.knn_k == "paper" and UNSEEN not in store.splits:
        raise UserError(
            f"measure.knn_k: paper uses k from the split `unseen`, found only {', '.join(store.splits)}; "
            "add it to embed.splits, or use `measure.knn_k: split`"
        )
    if not plan_jobs(store, params) and not any(head_metrics(step, store, params) for step in store.steps):
        raise UserError(
            f"measure.metrics must name a score of what was embedded, found only {', '.join(params.all_metrics)}, "
            f"which needs the split {SEEN!r}; add it to embed.splits, or choose a score of layers: "
            f"{', '.join(LAYER_SCORES)}"
        )
    splits = dict.fromkeys([*store.splits, SEEN]) if store_of_seen(store) else store.splits
    check_embedded(params.analyses, splits, training=has_training(store), frozen=store.frozen)
    for split in store.splits:
        check_class_sizes(store.labels(split), split, params)


def check_sets(stores: Sequence[Embeddings], params: MeasureParams) -> None:
    """Check what analyses of all sets of a cell's classes, or of the unseen ones, need of each.

    Raises:
        UserError: a class has too few images, or images of one group only.
    """
    if (len(stores) > 1 or not stores[0].frozen) and any(ANALYSES[name].all_sets for name in params.analyses):
        for store in stores:
            names, y = np.unique(store.labels(UNSEEN), return_inverse=True)
            check_classes(names, y, own_groups(store, params))


def check_finite(store: Embeddings, jobs: Sequence[Job], params: MeasureParams) -> None:
    """Read every embedding once, a layer of a split at a time, so that a broken one stops the stage before the work.

    Raises:
        UserError: an embedding holds NaN or infinity; names layer, step, split and count.
    """
    for job in jobs:
        store.features(job.layer, job.step, job.split)
    if store.last_step is not None and any(ANALYSES[name].training for name in params.analyses):
        for layer in store.layers:
            store.last_step.features(layer, store.steps[-1], TRAIN)
