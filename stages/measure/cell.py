"""One cell's embeddings as the scores see them: classes as integers, rows as each kind takes them.

And complementary halves of its unseen images, on which scores are fitted again. A half drawn without replacement
repeats no image, and a score of half as many images, drawn from a finite set of twice as many, has about the variance
of the score of all of them.
"""

from collections.abc import Collection, Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stages.measure.arrays import Classes, Float32, Need
from stages.measure.embedded_split import EmbeddedSplit, Settings, scaled
from stages.measure.params import MeasureParams
from stages.measure.refits import class_groups
from stages.measure.scores.kmeans import Search
from stages.measure.scores.neighbours import others
from stages.shared.core.seeding import child_seed
from stages.shared.embeddings.embeddings import Embeddings, Layer
from stages.shared.embeddings.split_names import SEEN, TRAIN, UNSEEN
from stages.shared.runtime.errors import UserError
from stages.shared.tables.scores import Normalize


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


TRIES = 100
"""Draws of groups before it is given up that every class stands in both halves."""

Half = NDArray[np.bool_]


def halves_seed(dataset: str, fold: str, sample_ids: Iterable[str]) -> int:
    """Seed of the halves of one split: the same for every layer, training seed and network that embeds these images."""
    return child_seed(0, "halves", dataset, fold, *sample_ids)


def complementary_halves(
    labels: NDArray[np.str_], count: int, seed: int, *, groups: NDArray[np.str_] | None = None
) -> NDArray[np.bool_]:
    """Draw halves in pairs, each half of a pair holding the images that the other lacks.

    Every class is split evenly; of an odd number of images either half may get one more. Where images have groups
    (a writer, a patient), a group stays whole, and classes are split as evenly as random groups allow.

    Args:
        labels: (N,) classes.
        count: number of halves, even.
        seed: of the draws.
        groups: (N,) group of every image.

    Returns:
        (count, N) whether an image is in the half; halves 2 i and 2 i + 1 are a pair.

    Raises:
        UserError: a class cannot stand in both halves, for lack of images or of groups; names it. Or no class has three
            images: one image each would tell nothing of a layer.
    """
    rng, pairs = np.random.default_rng(seed), []
    for _ in range(count // 2):
        half = _split_images(labels, rng) if groups is None else _split_groups(labels, groups, rng)
        pairs += [half, ~half]
    if pairs and np.unique(labels, return_counts=True)[1].max() < 3:
        raise UserError("no class has three images, so that each would have a single one in a half; add images")
    return np.array(pairs, dtype=bool).reshape(len(pairs), len(labels))


def _split_images(labels: NDArray[np.str_], rng: np.random.Generator) -> Half:
    half = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < 2:
            raise UserError(_too_few(str(label), "images"))
        half[rows[: (len(rows) + rng.integers(2)) // 2]] = True
    return half


def _split_groups(labels: NDArray[np.str_], groups: NDArray[np.str_], rng: np.random.Generator) -> Half:
    names, codes = np.unique(labels, return_inverse=True)
    group_of = np.unique(groups, return_inverse=True)[1]
    sizes = np.zeros((int(group_of.max()) + 1, len(names)))  # (G, K) images by group and class
    np.add.at(sizes, (group_of, codes), 1)
    for _ in range(TRIES):
        taken = _balanced(sizes, rng)
        lacking = ~(sizes[taken].any(axis=0) & sizes[~taken].any(axis=0))
        if not lacking.any():
            return np.asarray(taken[group_of])
    raise UserError(_too_few(str(names[lacking.argmax()]), "groups"))


def _balanced(sizes: NDArray[np.float64], rng: np.random.Generator) -> Half:
    """Deal groups in random order to the half that leaves the classes more evenly split, (G,)."""
    taken, surplus = np.zeros(len(sizes), dtype=bool), np.zeros(sizes.shape[1])
    for group in rng.permutation(len(sizes)):
        lean = float(surplus @ sizes[group])
        taken[group] = lean < 0 or (lean == 0 and rng.random() < 0.5)
        surplus += sizes[group] if taken[group] else -sizes[group]
    return taken


def _too_few(label: str, units: str) -> str:
    return (
        f"class {label!r} must have at least two {units} so that it stands in both halves of the images, found too "
        f"few; add {units}, leave the class out, or ask for no halves"
    )
