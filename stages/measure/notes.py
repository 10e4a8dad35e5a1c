"""What a measurement left out or met on its way, in words: nothing is skipped in silence."""

from collections.abc import Iterator, Sequence

from stages.measure.catalogue import HEAD_METRICS
from stages.measure.params import MeasureParams
from stages.measure.plan import HEAD_SPLIT, head_metrics
from stages.measure.scoring import Result
from stages.shared.embeddings import Embeddings


def notes(store: Embeddings, params: MeasureParams, results: Sequence[Result]) -> list[str]:
    """List what a user should know about the scores."""
    return [*left_out(store, params), *single_images(store), *few_clusters(results)]


def left_out(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Name the scores of the head that were asked for and not computed."""
    for name in params.metrics:
        if name in HEAD_METRICS and name not in head_metrics(store, params):
            yield (
                f"{name} left out: it needs the head's logits of the split {HEAD_SPLIT!r}; embedded were "
                f"{', '.join(store.splits)}, with {len(store.classes)} outputs of the head"
            )


def single_images(store: Embeddings) -> Iterator[str]:
    """Count the classes of one image, which has no neighbour of its class and counts as wrong in neighbour scores."""
    for split in store.splits:
        sizes = store.samples.loc[store.samples["split"] == split, "label"].value_counts()
        alone = int((sizes == 1).sum())
        if alone:
            yield f"split {split!r} has {alone} classes of one image, which no neighbour can match (column `ceiling`)"


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
