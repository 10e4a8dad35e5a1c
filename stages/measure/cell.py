"""One cell's embeddings as the scores see them: classes as integers, features scaled as asked for."""

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Classes, Float32, Need, Rows
from stages.measure.embedded_split import EmbeddedSplit, unit_rows
from stages.measure.halves import complementary_halves, halves_seed
from stages.measure.jobs import check_groups, extra_splits, groups_of, settings_of
from stages.measure.params import MeasureParams
from stages.measure.refits import class_groups
from stages.measure.scores.kmeans import Search
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import UserError


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
        self, layer: Layer, step: int, split: str, *, needs: Collection[Need] = (), copies: bool = False
    ) -> EmbeddedSplit:
        """Read one layer of one split.

        Args:
            layer, step, split: which.
            needs: what scores will need of it.
            copies: whether to read the corrupted copies of seen test images beside it.
        """
        X = self.store.features(layer, step, split)
        corrupted = self.corruptions if copies else ()
        read = {name: (self.copied_rows, self.features_of_last(layer, name)) for name in corrupted}
        return EmbeddedSplit(X, self.classes[split], self.settings[split], needs, read)

    def unscaled(self, layer: Layer, step: int, split: str) -> EmbeddedSplit:
        """Read one layer of one split with its rows as they are stored, whatever `measure.normalize` asks for."""
        settings = replace(self.settings[split], normalize="none")
        return EmbeddedSplit(self.store.features(layer, step, split), self.classes[split], settings)

    def features_of_last(self, layer: Layer, split: str) -> Float32:
        """One layer's embedding of a split that was embedded at the last step only, scaled as asked for, (M, D)."""
        X = self.last.features(layer, self.step, split)
        return unit_rows(X) if self.params.normalize == "l2" else X

    @property
    def corruptions(self) -> tuple[str, ...]:
        """Splits of corrupted copies of seen test images."""
        return extra_splits(self.store).get("corrupted", ())

    @property
    def halves_search(self) -> Search:
        """How hard k-means searches on halves."""
        refits = self.params.refits
        return Search(refits.starts, refits.polished, self.params.kmeans.seed)

    @cached_property
    def class_groups(self) -> list[Classes]:
        """Groups of unseen classes that are left out one at a time."""
        return class_groups(np.unique(self.store.labels(UNSEEN)).tolist())

    @cached_property
    def halves(self) -> NDArray[np.bool_]:
        """Halves of the unseen images, (B, N)."""
        return draw_halves(self.store, self.params)[0]

    @cached_property
    def copied_rows(self) -> Rows:
        """Indices of the copies' originals among the seen test images, (m,), the same for every corruption.

        Raises:
            ValueError: corruptions hold copies of different images, or in another order.
        """
        index = {sample: row for row, sample in enumerate(sample_ids(self.store, SEEN))}
        first, *others = ([index[name] for name in sample_ids(self.last, split)] for split in self.corruptions)
        if any(other != first for other in others):
            raise ValueError("every corruption must hold copies of the same images in the same order")
        return np.array(first, dtype=np.int64)


def sample_ids(store: Embeddings, split: str) -> list[str]:
    """Names of one split's images, in row order."""
    return store.samples.loc[store.samples["split"] == split, "sample_id"].tolist()


def draw_halves(store: Embeddings, params: MeasureParams) -> tuple[NDArray[np.bool_], str | None]:
    """Draw the halves of the unseen images, the same for every layer, training seed and network.

    Returns:
        (B, N), without rows where there can be none; and then why.
    """
    labels, ids, groups = store.labels(UNSEEN), sample_ids(store, UNSEEN), groups_of(store, UNSEEN)
    seed = halves_seed(store.dataset, store.fold, ids)
    try:
        halves = complementary_halves(labels, params.refits.halves, seed, groups=groups)
        if params.neighbours == "other_groups" and groups is not None:
            for half in halves:
                check_groups(groups[half], "a half of the unseen images")
    except UserError as error:
        return np.empty((0, len(labels)), dtype=bool), str(error)
    return halves, None
