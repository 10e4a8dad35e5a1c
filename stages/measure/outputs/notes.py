"""What a measurement left out or met on its way, in words: nothing is skipped in silence."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from stages.measure.cell import draw_halves
from stages.measure.jobs import groups_of
from stages.measure.metrics import HEAD_SCORES, is_clustered
from stages.measure.params import MeasureParams
from stages.measure.refits import class_groups
from stages.measure.run import Result
from stages.shared.embeddings.embedding_store import Embeddings
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.tables.metric_table import MIN_CLASSES, left_out_part


def notes(store: Embeddings, params: MeasureParams, results: Sequence[Result]) -> list[str]:
    """List what a user should know about the scores."""
    return [
        *left_out(store, params),
        *single_images(store),
        *dict.fromkeys(note for result in results for found in result.analysed.values() for note in found.notes),
        *not_refitted(store, params),
        *few_clusters(store, results),
        *unusable_images(results),
    ]


def left_out(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Name the scores of the head that were asked for and not computed."""
    for name in params.all_metrics:
        if name in HEAD_SCORES and not (SEEN in store.splits and store.classes):
            yield (
                f"{name} left out: it needs the head's logits of the split {SEEN!r}; embedded were "
                f"{', '.join(store.splits)}, with {len(store.classes)} outputs of the head"
            )


def single_images(store: Embeddings) -> Iterator[str]:
    """Count the classes of one image, which has no neighbour of its class and counts as wrong in neighbour scores."""
    for split in store.splits:
        alone = int((np.unique(store.labels(split), return_counts=True)[1] == 1).sum())
        if alone:
            yield f"split {split!r} has {alone} classes of one image, which no neighbour can match (column `ceiling`)"


def not_refitted(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Say what `measure.refits` asks for and was not fitted again."""
    asked = [name for name in params.refits.metrics if name in params.all_metrics]
    if UNSEEN not in store.splits or not asked:
        return
    clustered = [name for name in asked if is_clustered(name)]
    if clustered and not params.refits_clusters:
        yield (
            f"measure.refits leaves out {', '.join(clustered)}: measure.kmeans has {params.kmeans.starts} starts, "
            f"fewer than the {params.refits.starts} of measure.refits, and so few say little about an interval"
        )
    labels = store.labels(UNSEEN)
    classes = np.unique(labels)
    if len(classes) < MIN_CLASSES:
        yield f"measure.refits leaves no class out: the split {UNSEEN!r} has fewer than {MIN_CLASSES}"
    groups = groups_of(store, UNSEEN) if params.neighbours == "other_groups" else None
    for names in (classes[group] for group in class_groups(classes.tolist())):
        if groups is not None and len(np.unique(groups[~np.isin(labels, names)])) < 2:
            yield (
                f"measure.refits gives no interval over other classes: without {left_out_part(names.tolist())} all "
                "images are of one group, so that none has a neighbour (measure.neighbours)"
            )
    why = draw_halves(store, params)[1]
    if why:
        yield f"measure.refits has no halves: {why}"


def few_clusters(store: Embeddings, results: Sequence[Result]) -> Iterator[str]:
    """Name the embeddings in which k-means found fewer clusters than classes."""
    count = {split: len(np.unique(store.labels(split))) for split in store.splits}
    for result in results:
        job, found = result.job, min((int(each["clusters"]) for each in result.clusterings), default=None)
        if found is not None and found < (classes := count[job.split]):
            yield (
                f"layer {job.layer.name!r}, step {job.step}, split {job.split!r}: k-means found {found} clusters where "
                f"{classes} were asked for: single precision tells no more embeddings apart"
            )


def unusable_images(results: Sequence[Result]) -> Iterator[str]:
    """Count the images that a score could not use, by score and split."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for result in results:
        for name, score in result.scores.items():
            if score.left_out:
                counts[name, result.job.split].append(score.left_out)
    for (name, split), left_out in counts.items():
        yield f"{name}, split {split!r}: up to {max(left_out)} images could not be used, in {len(left_out)} embeddings"
