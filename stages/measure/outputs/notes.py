"""What a measurement left out or met on its way, in words: nothing is skipped in silence."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from stages.measure.jobs import SPLITS
from stages.measure.metrics import HEAD_METRICS
from stages.measure.params import MeasureParams
from stages.measure.run import Result
from stages.shared.embedding_store import Embeddings
from stages.shared.split_names import SEEN, UNSEEN


def notes(store: Embeddings, params: MeasureParams, results: Sequence[Result]) -> list[str]:
    """List what a user should know about the scores."""
    return [
        *left_out(store, params),
        *too_few_classes(store, params),
        *single_images(store),
        *unmatched_images(store, params),
        *few_clusters(results),
        *unusable_images(results),
    ]


def left_out(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Name the scores of the head that were asked for and not computed."""
    for name in params.all_metrics:
        if name in HEAD_METRICS and not (SEEN in store.splits and store.classes):
            yield (
                f"{name} left out: it needs the head's logits of the split {SEEN!r}; embedded were "
                f"{', '.join(store.splits)}, with {len(store.classes)} outputs of the head"
            )


def too_few_classes(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Say where no class can be left out, since two are needed."""
    count = len(np.unique(store.labels(UNSEEN))) if UNSEEN in store.splits else 0
    if "class_subsets" in params.analyses and count == 2:
        yield f"class_subsets: the split {UNSEEN!r} has 2 classes, so that none can be left out; only all are scored"


def single_images(store: Embeddings) -> Iterator[str]:
    """Count the classes of one image, which has no neighbour of its class and counts as wrong in neighbour scores."""
    for split in store.splits:
        alone = classes_of_one(store, split)
        if alone:
            yield f"split {split!r} has {alone} classes of one image, which no neighbour can match (column `ceiling`)"


def unmatched_images(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Say where matched selections hold one image of each class, which has no scores."""
    splits = SPLITS["seen_matched"] if "seen_matched" in params.analyses else ()
    alone = [split for split in splits if classes_of_one(store, split)]
    if alone:
        yield (
            f"seen_matched: the split {alone[0]!r} has a class of one image, so that selections hold one of every "
            "class; the scores need two and are empty"
        )


def classes_of_one(store: Embeddings, split: str) -> int:
    """Number of a split's classes that have one image."""
    return int((np.unique(store.labels(split), return_counts=True)[1] == 1).sum())


def few_clusters(results: Sequence[Result]) -> Iterator[str]:
    """Name the embeddings in which k-means found fewer clusters than classes."""
    for result in results:
        found = min((clustering.found for clustering in result.clusterings), default=None)
        if found is not None and found < result.classes:
            job = result.job
            yield (
                f"layer {job.layer.name!r}, step {job.step}, split {job.split!r}: k-means found {found} clusters where "
                f"{result.classes} were asked for: there are only so many distinct embeddings"
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
