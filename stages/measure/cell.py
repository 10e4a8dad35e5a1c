"""One cell's embeddings as the scores see them: classes as integers, rows as each kind takes them."""

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.scores import refits as refits_of
from ..core.scores.arrays import Classes, Float32, Need
from ..core.scores.description import Normalize
from ..core.scores.embedded_split import EmbeddedSplit, Settings, scaled
from ..core.scores.halves import halves_seed
from ..core.scores.kmeans import Search
from ..core.scores.layer import split_settings
from ..core.scores.refits import Parts
from ..core.scores.sampling import describe_drawn, draw_images
from ..shared.embeddings.embeddings import Embeddings, Layer
from ..shared.embeddings.split_names import SEEN, TRAIN, UNSEEN
from .params import MeasureParams, SearchParams


class Cell:
    """One cell's embeddings, with the classes and settings of every split."""

    def __init__(self, store: Embeddings, params: MeasureParams) -> None:
        """Take opened embeddings and the stage's parameters."""
        self.store, self.params = store, params
        self.settings = {split: settings_of(store, split, params) for split in store.splits}
        self.classes = {split: np.unique(store.labels(split), return_inverse=True)[1] for split in store.splits}

    @property
    def step(self) -> int:
        """The last checkpoint's step."""
        return self.store.steps[-1]

    @property
    def last(self) -> Embeddings:
        """What was embedded at the last step only; asked for where `checks` found that it is there."""
        if self.store.last_step is None:
            raise ValueError("this cell has no embeddings of the last step alone")
        return self.store.last_step

    def embedded(
        self,
        layer: Layer,
        step: int,
        split: str,
        scaling: Normalize = "none",
        *,
        needs: Collection[Need] = (),
    ) -> EmbeddedSplit:
        """Read one layer of one split.

        Args:
            layer, step, split: which.
            scaling: of its rows.
            needs: what scores will need of it.
        """
        X = scaled(self.store.features(layer, step, split), scaling)
        return EmbeddedSplit(X, self.classes[split], self.settings[split], needs)

    def features_of_last(self, layer: Layer, split: str) -> Float32:
        """One layer's embedding of a split that was embedded at the last step only, (M, D)."""
        return self.last.features(layer, self.step, split)

    @cached_property
    def parts(self) -> Parts:
        """Parts of the unseen images on which scores are fitted again."""
        return draw_parts(self.store, self.params)[0]


def sample_ids(store: Embeddings, split: str) -> list[str]:
    """Names of one split's images, in row order."""
    return store.samples.loc[store.samples["split"] == split, "sample_id"].tolist()


def draw_parts(store: Embeddings, params: MeasureParams) -> tuple[Parts, list[str]]:
    """Draw the parts of the unseen images on which scores are fitted again; and what there is not."""
    refits, apart = params.refits, params.neighbours == "other_groups"
    seed, search = halves_seed(store.dataset, store.fold, sample_ids(store, UNSEEN)), search_of(refits, params)
    groups = groups_of(store, UNSEEN)
    return refits_of.draw_parts(
        store.labels(UNSEEN), groups, count=refits.halves, seed=seed, search=search, apart=apart
    )


def judged_images(store: Embeddings, params: MeasureParams) -> Embeddings:
    """Return the embeddings of the images that are scored, at most `measure.max_images` of each split."""
    splits = pd.Series("", index=store.samples.index)
    for split in store.splits:
        ids = sample_ids(store, split)
        groups = groups_of(store, split)
        rows = draw_images(store.labels(split), ids, params.max_images, params.probe.folds, groups)
        splits.iloc[np.flatnonzero(store.samples["split"] == split)[rows]] = split
    last_step = store.last_step and judged_images(store.last_step, params)
    return replace(store, samples=store.samples.assign(split=splits), last_step=last_step)


def notes_on_drawn(whole: Embeddings, judged: Embeddings) -> list[str]:
    """Name the splits of which a sample is scored."""
    counts = {split: (len(judged.labels(split)), len(whole.labels(split))) for split in whole.splits}
    return [describe_drawn(split, *own) for split, own in counts.items() if own[0] < own[1]]


def store_of_seen(store: Embeddings) -> Embeddings | None:
    """Return the store that has the seen test images: of a set of classes those of other sets, which are not scored."""
    return next((each for each in (store, store.last_step) if each and SEEN in each.splits), None)


def has_training(store: Embeddings) -> bool:
    """Return whether training images were embedded at the last checkpoint."""
    return store.last_step is not None and TRAIN in store.last_step.splits


def settings_of(store: Embeddings, split: str, params: MeasureParams) -> Settings:
    """How one split's scores are computed."""
    reference = UNSEEN if params.knn_k == "paper" else split
    return split_settings(
        np.unique(store.labels(split), return_inverse=True)[1],
        search=search_of(params.kmeans, params),
        C=params.probe.C,
        folds=params.probe.folds,
        seed=store.seed,
        groups=groups_of(store, split) if params.neighbours == "other_groups" else None,
        largest=int(np.unique(store.labels(reference), return_counts=True)[1].max()),
        what=f"the split `{split}`",
    )


def search_of(section: SearchParams, params: MeasureParams) -> Search:
    """How hard k-means looks on all images, or on halves."""
    return Search(section.starts, section.polished, params.kmeans.seed)


def own_groups(store: Embeddings, params: MeasureParams) -> Classes:
    """What each unseen image has in common with those that are not its neighbours: its group, or itself alone."""
    groups = groups_of(store, UNSEEN) if params.neighbours == "other_groups" else None
    return np.arange(len(store.labels(UNSEEN))) if groups is None else np.unique(groups, return_inverse=True)[1]


def groups_of(store: Embeddings, split: str) -> NDArray[np.str_] | None:
    """Groups of one split's images; None where images have none."""
    samples = store.samples[store.samples["split"] == split]
    grouped = "group" in samples and (samples["group"] != "").any()
    return samples["group"].to_numpy(dtype=str) if grouped else None
