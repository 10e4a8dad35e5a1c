"""One cell's embeddings as the scores see them: classes as integers, rows as each kind takes them."""

from collections.abc import Collection
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..core.scores.arrays import Classes, Float32, Need
from ..core.scores.description import Normalize
from ..core.scores.embedded_split import EmbeddedSplit, Settings, scaled
from ..core.scores.halves import complementary_halves, halves_seed
from ..core.scores.kmeans import Search
from ..core.scores.neighbours import others
from ..core.scores.refits import class_groups
from ..shared.embeddings.embeddings import Embeddings, Layer
from ..shared.embeddings.split_names import SEEN, TRAIN, UNSEEN
from ..shared.runtime.errors import UserError
from ..shared.workflow.seeding import child_seed
from .params import MeasureParams


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


def store_of_seen(store: Embeddings) -> Embeddings | None:
    """Return the store that has the seen test images: of a set of classes those of other sets, which are not scored."""
    return next((each for each in (store, store.last_step) if each and SEEN in each.splits), None)


def has_training(store: Embeddings) -> bool:
    """Return whether training images were embedded at the last checkpoint."""
    return store.last_step is not None and TRAIN in store.last_step.splits


def settings_of(store: Embeddings, split: str, params: MeasureParams) -> Settings:
    """How one split's scores are computed."""
    reference = UNSEEN if params.knn_k == "paper" else split
    largest = int(np.unique(store.labels(reference), return_counts=True)[1].max())
    y, own_groups = np.unique(store.labels(split), return_inverse=True)[1], None
    groups = groups_of(store, split) if params.neighbours == "other_groups" else None
    if groups is not None:
        check_groups(groups, f"the split `{split}`")
        own_groups = np.unique(groups, return_inverse=True)[1]
    return Settings(
        neighbours=min(largest, int(others(y, own_groups)[1].min())),
        search=Search(params.kmeans.starts, params.kmeans.polished, params.kmeans.seed),
        C=params.probe.C,
        folds=params.probe.folds,
        probe_seed=child_seed(store.seed, "probe folds"),
        few_shot_seed=child_seed(store.seed, "few-shot episodes"),
        own_groups=own_groups,
    )


def check_groups(groups: NDArray[np.str_], what: str) -> None:
    """Refuse images of one group, of which none would have a neighbour of another.

    Raises:
        UserError: there is one; names it.
    """
    if len(np.unique(groups)) < 2:
        raise UserError(
            f"measure.neighbours: {what} must have images of at least two groups, so that all have neighbours of "
            f"another one, found {groups[0]!r} alone; choose `all`, or add groups"
        )


def groups_of(store: Embeddings, split: str) -> NDArray[np.str_] | None:
    """Groups of one split's images; None where images have none."""
    samples = store.samples[store.samples["split"] == split]
    grouped = "group" in samples and (samples["group"] != "").any()
    return samples["group"].to_numpy(dtype=str) if grouped else None
