"""All that is computed of one layer: its scores, its clusterings, and scores fitted again on parts of its images."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context

from ...shared.runtime.errors import listed
from ...shared.workflow.seeding import child_seed
from .arrays import Classes, Float32, Float64
from .catalogue import LAYER_SCORES, ScoreValue, needs_of, score_split
from .description import Normalize, scaled_as
from .embedded_split import EmbeddedSplit, Settings, scaled
from .kmeans import Search
from .neighbours import check_groups, others
from .refits import Parts, refit


@dataclass(frozen=True)
class LayerScores:
    """What was computed of one layer of one split.

    Attributes:
        scores: by name.
        clusterings: one row each, as `compare_clusterings` describes them; empty if no score needs any. Of scaled rows,
            if scores need clusterings of both.
        clusters: (N,) every image's cluster in the one of least inertia; None if no score needs any.
        refits: of scores that are fitted again, the values that `refit` gives.
        zero_rows: number of embeddings of zeros among rows that were L2-normalized.
    """

    scores: dict[str, ScoreValue] = field(default_factory=dict)
    clusterings: list[dict[str, float]] = field(default_factory=list)
    clusters: NDArray[np.int32] | None = None
    refits: dict[str, Float64] = field(default_factory=dict)
    zero_rows: int = 0


def score_layer(
    X: Float32,
    y: Classes,
    settings: Settings,
    metrics: Sequence[str],
    *,
    normalize: Normalize = "l2",
    refits: Sequence[str] = (),
    parts: Parts | None = None,
    clusters: NDArray[np.int32] | None = None,
    further: Mapping[Normalize, Callable[[EmbeddedSplit], None]] | None = None,
) -> LayerScores:
    """Compute what is asked for of one layer: first in rows as they are, then in L2-normalized embeddings.

    Args:
        X: (N, D) float32, finite.
        y: (N,) classes 0 ... K - 1, each occurring.
        settings: how to compute.
        metrics: names of scores.
        normalize: `none` takes rows as they are for all scores.
        refits: names of scores to fit again, of those that have `refit`.
        parts: of the images, for `refits`.
        clusters: (N,) those of an earlier call, from which refits start if no score of this one clusters.
        further: what else looks at the rows of either kind, once their scores are there.
    """
    further, scores, again = further or {}, dict[str, ScoreValue](), dict[str, Float64]()
    compared, found, zeros = list[dict[str, float]](), None, 0
    for scaling in get_args(Normalize):
        own, fitted = (
            [name for name in names if scaled_as(LAYER_SCORES[name].scaling, normalize) == scaling]
            for names in (metrics, refits)
        )
        if not (own or fitted or scaling in further):
            continue
        needs = needs_of(own)
        known = None if "clusterings" in needs else clusters
        split = EmbeddedSplit(scaled(X, scaling), y, settings, needs, known_clusters=known)
        with config_context(assume_finite=True, skip_parameter_validation=True):  # not in 28,000 small fits
            zeros = max(zeros, int(split.X[:, X.shape[1] :].sum()))  # `mark_zero_rows`
            scores |= score_split(split, own)
            if fitted and parts is not None:
                again |= refit(split, parts.groups, parts.halves, fitted, parts.search)
            if scaling in further:
                further[scaling](split)
            if "clusterings" in needs:
                compared, found = split.compared_clusterings, split.clusters
        del split  # before the next rows are made
    values, fitted_again = {name: scores[name] for name in metrics}, {name: again[name] for name in refits}
    return LayerScores(values, compared, found, fitted_again, zeros)


def split_settings(
    y: Classes,
    *,
    search: Search,
    C: float,
    folds: int,
    seed: int,
    groups: NDArray[np.str_] | None = None,
    largest: int | None = None,
    what: str = "the split `unseen`",
) -> Settings:
    """Settle how one split's scores are computed.

    Args:
        y: (N,) classes.
        search: how hard k-means looks.
        C, folds: of the linear probe.
        seed: root seed of the probe's folds and the few-shot episodes.
        groups: (N,) group of every image, none of whose images may be its neighbour; None: all may.
        largest: size of the class that sets k of `knn_purity`; None: the largest of this split.
        what: the split, for messages.

    Raises:
        UserError: all images are of one group.
    """
    own_groups = None
    if groups is not None:
        check_groups(groups, what)
        own_groups = np.unique(groups, return_inverse=True)[1]
    largest = int(np.bincount(y).max()) if largest is None else largest
    return Settings(
        neighbours=min(largest, int(others(y, own_groups)[1].min())),
        search=search,
        C=C,
        folds=folds,
        probe_seed=child_seed(seed, "probe folds"),
        few_shot_seed=child_seed(seed, "few-shot episodes"),
        own_groups=own_groups,
    )


def few_clusters(where: str, clusterings: Collection[Mapping[str, Any]], classes: int) -> list[str]:
    """Note that k-means found fewer clusters than classes in an embedding, which `where` names."""
    found = min((int(each["clusters"]) for each in clusterings), default=classes)
    told = f"{where}: k-means found {found} clusters where {classes} were asked for"
    return [f"{told}: single precision tells no more embeddings apart"] if found < classes else []


def zero_rows(found: Sequence[tuple[str, str, int]]) -> list[str]:
    """Count the embeddings of zeros, which have no direction, by split: of each embedding split, layer and number."""
    counts: dict[str, list[tuple[str, int]]] = {}
    for split, layer, count in found:
        if count:
            counts.setdefault(split, []).append((layer, count))
    return [
        f"split {split!r}: up to {max(count for _, count in own)} images have an embedding of zeros, in the layers "
        f"{listed(list(dict.fromkeys(layer for layer, _ in own)), 5)}: it has no direction, so its cosine similarity "
        "to every other image counts as 0"
        for split, own in counts.items()
    ]


def unusable_images(found: Sequence[tuple[str, Mapping[str, ScoreValue]]]) -> list[str]:
    """Count the images that a score could not use, by score and split: of each embedding its split and its scores."""
    counts: dict[tuple[str, str], list[int]] = {}
    for split, scores in found:
        for name, score in scores.items():
            if score.left_out:
                counts.setdefault((name, split), []).append(score.left_out)
    return [
        f"{name}, split {split!r}: up to {max(left_out)} images could not be used, in {len(left_out)} embeddings"
        for (name, split), left_out in counts.items()
    ]
