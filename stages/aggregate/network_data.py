"""The measured data of each network on each dataset, arranged for inference: scores fitted again, and of single images.

Of single images it is known whether the network's own head is right, and the mean score of every class. Groups of
images (of one writer, patient or video), where there are any, are what was drawn independently.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ..core.inference.contrasts import Float64
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF, KEYS
from ..shared.tables.scores import Score
from ..shared.workflow.params import RunParams
from .curves import Catalogue, Key, Name, sign_of
from .read import EMBEDDING, IMAGE, ReadImages, is_head, is_pixels

ByFold = dict[str, "pd.Series[float]"]
"""Fold -> by sample id, class (`label`) and group of a test image, the mean over seeds of whether it is classified
right."""

CLASS_KEYS = {name: type_ for name, type_ in KEYS.items() if name not in ("seed", "step")}
"""What names a score whose means over classes are given."""

MIN_DF = 5
"""Degrees of freedom below which nothing is said about other images: six groups, where each has images of every class.
With fewer, halves of the images are few different ones."""

MIN_GROUPS = 3
"""Groups of every class below which halves tell nothing about other images: of two, each half has one, so that how far
groups of one class lie apart is not seen."""

Groups = frozenset[tuple[str, str]]
"""The groups of some images: each group with each class that it has images of."""


def find_groups(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> Groups | None:
    """Find the groups of N images, from the class and the group of each; None where images are not grouped."""
    return frozenset(zip(groups.tolist(), labels.tolist(), strict=True)) if (groups != "").any() else None


@cache
def degrees_of_freedom(*folds: Groups) -> tuple[float, bool]:
    """Count what the groups of several folds leave free, and whether folds share groups, which then count once.

    Returns:
        Groups less the effective rank (participation ratio) of the table of which group has images of which class, its
        rows of length 1: less one where each has images of every class, and hardly more where some lack some; less
        classes where each has images of one.
    """
    groups, labels = zip(*frozenset().union(*folds), strict=True)
    rows, columns = (np.unique(names, return_inverse=True)[1] for names in (groups, labels))
    classes = np.bincount(rows)  # of each group
    table = csr_array((classes[rows] ** -0.5, (rows, columns)))
    alike = table.T @ table
    shared = len(classes) < sum(len({group for group, _ in each}) for each in folds)
    rank = max(connected_components(alike)[0], len(classes) ** 2 / float(alike.multiply(alike).sum()))
    return round(len(classes) - rank, 9), shared


def fewest_groups(folds: Iterable[Groups]) -> int:
    """Count the groups of the class that has the fewest."""
    return min(min(Counter(label for _, label in each).values()) for each in folds)


@dataclass(frozen=True)
class Refits:
    """One score of E embeddings of one network at one step, with J folds of unseen classes and S seeds in each.

    Attributes:
        keys: the embeddings.
        values: (J, S, E) of all unseen classes, turned so that higher is better, as what follows is.
        without: (J, S, K, E) of all classes but one, everything fitted again; K is 0 where that was not done.
        halves: (J, S, B, E) of halves of the images; halves 2 i and 2 i + 1 are a pair, the same for every seed. B is 0
            as well.
        score: the facts of the score.
        groups: of the images of each fold; None where these are not grouped.
        frozen: whether the network was measured before any training on these data: then every class is unseen, and one
            fold of many classes tells of others.
    """

    keys: tuple[Key, ...]
    values: Float64
    without: Float64
    halves: Float64
    score: Score
    groups: tuple[Groups, ...] | None = None
    frozen: bool = False

    def take(self, keys: Sequence[Key]) -> "Refits":
        """The same of some embeddings, in this order."""
        at = [self.keys.index(key) for key in keys]
        return replace(self._select((..., at)), keys=tuple(keys))

    def of_fold(self, fold: int) -> "Refits":
        """The same of one fold."""
        return replace(self._select([fold]), groups=self.groups and self.groups[fold : fold + 1])

    def _select(self, index: Any) -> "Refits":
        return replace(self, values=self.values[index], without=self.without[index], halves=self.halves[index])


def arrange(
    layers: pd.DataFrame, refits: pd.DataFrame, folds: Sequence[str], seeds: Sequence[int], score: Score
) -> Refits | None:
    """Arrange one score of one network at one step.

    Args:
        layers: its metric rows on the unseen split, of every fold and seed.
        refits: its rows fitted again; may have none.
        folds: in order.
        seeds: in order.
        score: the facts of the score.

    Returns:
        None where a score is missing or not finite.
    """
    keys = list(dict.fromkeys(zip(layers["layer"], layers["pooling"], strict=True)))
    half = refits[refits["kind"] == HALF]
    parts = (layers.assign(part=0), refits[refits["kind"] == ALL_BUT_ONE_CLASS], half.astype({"part": int}))
    values, without, halves = (_stack_parts(rows, keys, folds, seeds) * sign_of(score.better) for rows in parts)
    return Refits(tuple(keys), values[:, :, 0], without, halves, score) if values.size else None


def unseen_rows(table: pd.DataFrame, metric: str, step: int) -> pd.DataFrame:
    """Rows of one score on the unseen split at one step."""
    return table[(table["metric"] == metric) & (table["step"] == step) & (table["split"] == UNSEEN)]


def _stack_parts(rows: pd.DataFrame, keys: Sequence[Key], folds: Sequence[str], seeds: Sequence[int]) -> Float64:
    """Scores of every part, (J, S, P, E); P is 0 where some cell does not have as many finite ones as the others."""
    rows = rows.sort_values("part", kind="stable")
    rows = rows.assign(part=rows.groupby(["fold", "seed", "layer", "pooling"]).cumcount())
    cells = pd.MultiIndex.from_product([folds, seeds, sorted(rows["part"].unique())])
    table = rows.pivot(index=["fold", "seed", "part"], columns=["layer", "pooling"], values="value")
    arranged = table.reindex(index=cells, columns=pd.MultiIndex.from_tuples(keys)).to_numpy(dtype=np.float64)
    finite = arranged if np.isfinite(arranged).all() else arranged[:0]
    return finite.reshape(len(folds), len(seeds), len(finite) // (len(folds) * len(seeds)), len(keys))


@dataclass(frozen=True)
class ImageScores:
    """Scores of the images of every fold, of one network at its last step; empty where they are not known.

    Attributes:
        accuracy: of its own head; without entries where it has none.
        pixels: of the linear probe on raw pixels; without entries where that was not measured.
        classes: means over each class's images (`class_scores`), tables of one score and split each.
        groups: of the unseen images of each fold; without entries where these are not grouped.
    """

    accuracy: ByFold = field(default_factory=dict)
    pixels: ByFold = field(default_factory=dict)
    classes: list[pd.DataFrame] = field(default_factory=list)
    groups: dict[str, Groups] = field(default_factory=dict)


def score_images(images: ReadImages, layers: pd.DataFrame, run: RunParams, catalogue: Catalogue) -> ImageScores:
    """Sum up what the images of one dataset and model contribute, one fold in memory at a time.

    Args:
        images: gives what the images of a cell contribute.
        layers: metric rows of one dataset and model.
        run: the grid.
        catalogue: the facts of every score.
    """
    dataset, model = str(layers.iloc[0]["dataset"]), str(layers.iloc[0]["model"])
    scores = ImageScores()
    for fold, rows in layers.groupby("fold", sort=False):
        last = last_rows(rows)
        per_image = last[[catalogue[metric].per_image for metric in last["metric"]]]
        steps, columns = last["step"].unique().tolist(), per_image["metric"].unique()
        own = [images((dataset, model, str(fold), seed), steps, columns) for seed in run.seeds]
        of_fold = pd.concat(own, join="inner", ignore_index=True)
        unseen = of_fold.loc[of_fold["split"] == UNSEEN, IMAGE].drop_duplicates()
        groups = find_groups(unseen["label"].to_numpy(), unseen["group"].to_numpy())
        scores.groups.update({} if groups is None else {str(fold): groups})
        scores.classes.extend(class_scores(per_image, of_fold))
        tests = per_image[per_image["split"] == SEEN]
        head = tests[(tests["metric"] == "accuracy") & is_head(tests)]
        pixels = tests[(tests["metric"] == "probe_accuracy") & is_pixels(tests)]
        for by_fold, row in ((scores.accuracy, head.head(1)), (scores.pixels, pixels.head(1))):
            right = of_fold.merge(row[["step", "split", *EMBEDDING, "metric"]])
            for metric in right["metric"].unique():
                by_fold[str(fold)] = right.groupby(IMAGE)[metric].mean(skipna=False)
    return scores


def class_scores(layers: pd.DataFrame, images: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Average what images contribute over each class, for every score that is a mean over images.

    Args:
        layers: metric rows of such scores at one step each, of one dataset, model and fold and of all seeds.
        images: their contributions.

    Yields:
        `CLASS_KEYS`, step, label, n_images and value, the mean over seeds; the raw-pixel baseline and the head among
        the layers.
    """
    classes = images.groupby(["step", "split", *EMBEDDING, "label"])
    n_images = classes["sample_id"].nunique()
    for (metric, _), rows in layers.groupby(["metric", "split"], sort=False):
        if metric in images:
            means = pd.DataFrame({"n_images": n_images, "value": classes[str(metric)].mean(skipna=False)}).reset_index()
            yield rows.drop_duplicates(EMBEDDING)[[*CLASS_KEYS, "step"]].merge(means)


def last_rows(layers: pd.DataFrame) -> pd.DataFrame:
    """Rows of the seen and the unseen split at the last step at which their score was measured there.

    Analyses of the last checkpoint may have scored other splits later than that.

    Args:
        layers: metric rows of one dataset and model.
    """
    rows = layers[layers["split"].isin([SEEN, UNSEEN])]
    return rows[rows["step"] == rows.groupby("metric")["step"].transform("max")]


@dataclass(frozen=True)
class NetworkData:
    """The measured data of one network on one dataset.

    Attributes:
        layers: its metric rows, of all folds that leave classes out and all seeds.
        refits: its rows fitted again; may have none.
        run: the grid.
        catalogue: the facts of every score.
        images: scores of single images.
    """

    layers: pd.DataFrame
    refits: pd.DataFrame
    run: RunParams
    catalogue: Catalogue
    images: ImageScores
    _arranged: dict[tuple[str, int], Refits | None] = field(default_factory=dict)

    def at(self, metric: str, step: int, keys: Sequence[Key]) -> Refits | None:
        """Arrange one score of some embeddings at one step; None where the value of any embedding is missing."""
        if (metric, step) not in self._arranged:
            rows, again = (unseen_rows(table, metric, step) for table in (self.layers, self.refits))
            arranged = arrange(rows, again, self.run.numbered, self.run.seeds, self.catalogue[metric])
            groups = tuple(self.images.groups.values()) or None
            self._arranged[metric, step] = arranged and replace(arranged, groups=groups, frozen=step == 0)
        refits = self._arranged[metric, step]
        return refits and refits.take(keys)

    def classes_at(self, step: int, images: ReadImages) -> Iterator[pd.DataFrame]:
        """Average what images contribute at one step over each class, fold by fold, as `class_scores`."""
        rows = self.layers[(self.layers["step"] == step) & self.layers["split"].isin([SEEN, UNSEEN])]
        rows = rows[[self.catalogue[metric].per_image for metric in rows["metric"]]]
        for (dataset, model, fold), own in rows.groupby(["dataset", "model", "fold"], sort=False):
            cells = [(str(dataset), str(model), str(fold), seed) for seed in self.run.seeds]
            read = [images(cell, [step], own["metric"].unique()) for cell in cells]
            yield from class_scores(own, pd.concat(read, join="inner", ignore_index=True))

    @property
    def pixels(self) -> Key | None:
        """The embedding of raw pixels; None where it was not measured."""
        rows = self.layers[is_pixels(self.layers)]
        return None if rows.empty else (str(rows.iloc[0]["layer"]), str(rows.iloc[0]["pooling"]))


def collect_network_data(
    layers: pd.DataFrame,
    refits: pd.DataFrame,
    run: RunParams,
    catalogue: Catalogue,
    images: ReadImages | None = None,
) -> dict[Name, NetworkData]:
    """Take the tables of all cells apart by network, and sum up the images' scores.

    Args:
        layers: metric rows of all cells that leave classes out.
        refits: scores fitted again, of the same cells.
        run: the grid.
        catalogue: the facts of every score.
        images: gives what the images of a cell contribute; None: nothing is known of single images.
    """
    by_network = dict(list(refits.groupby(["dataset", "model"])))
    networks: dict[Name, NetworkData] = {}
    for name, rows in layers.groupby(["dataset", "model"], sort=False):
        dataset, model = map(str, name)
        of_images = score_images(images, rows, run, catalogue) if images else ImageScores()
        networks[dataset, model] = NetworkData(rows, by_network.get(name, refits.head(0)), run, catalogue, of_images)
    return networks
