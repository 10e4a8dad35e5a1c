"""The measured data of each network on each dataset, arranged for inference: scores fitted again, and of single images.

Of single images it is known whether the network's own head is right, and the mean score of every class. Groups of
images (of one writer, patient or video), where there are any, are what was drawn independently.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ..core.inference.contrasts import Float64
from ..core.inference.refitted import Groups, Key, Refits, find_groups
from ..core.scores.description import Score
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF, KEYS
from ..shared.workflow.params import RunParams
from .curves import Catalogue, Name
from .read import EMBEDDING, IMAGE, ReadImages, is_head, is_pixels

ByFold = dict[str, "pd.Series[float]"]
"""Fold -> by sample id, class (`label`) and group of a test image, the mean over seeds of whether it is classified
right."""

CLASS_KEYS = {name: type_ for name, type_ in KEYS.items() if name not in ("seed", "step")}
"""What names a score whose means over classes are given."""


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
    values, without, halves = (_stack_parts(rows, keys, folds, seeds) for rows in parts)
    return Refits.of(keys, score, values[:, :, 0], without, halves) if np.isfinite(values).all() else None


def unseen_rows(table: pd.DataFrame, metric: str, step: int) -> pd.DataFrame:
    """Rows of one score on the unseen split at one step."""
    return table[(table["metric"] == metric) & (table["step"] == step) & (table["split"] == UNSEEN)]


def _stack_parts(rows: pd.DataFrame, keys: Sequence[Key], folds: Sequence[str], seeds: Sequence[int]) -> Float64:
    """Scores of every part, (J, S, P, E); NaN where some cell has fewer than others."""
    rows = rows.sort_values("part", kind="stable")
    rows = rows.assign(part=rows.groupby(["fold", "seed", "layer", "pooling"]).cumcount())
    cells = pd.MultiIndex.from_product([folds, seeds, sorted(rows["part"].unique())])
    table = rows.pivot(index=["fold", "seed", "part"], columns=["layer", "pooling"], values="value")
    arranged = table.reindex(index=cells, columns=pd.MultiIndex.from_tuples(keys)).to_numpy(dtype=np.float64)
    return arranged.reshape(len(folds), len(seeds), len(arranged) // (len(folds) * len(seeds)), len(keys))


@dataclass(frozen=True)
class ImageScores:
    """Scores of the images of every fold, of one network at its last step; empty where they are not known.

    Attributes:
        accuracy: of its own head; without entries where it has none.
        pixels: of the linear probe on raw pixels; without entries where that was not measured.
        classes: means over each class's images (`class_scores`), tables of one score and split each.
        groups: of the unseen images of each fold; without entries where these are not grouped.
        least: unseen images of the smallest class of each fold.
    """

    accuracy: ByFold = field(default_factory=dict)
    pixels: ByFold = field(default_factory=dict)
    classes: list[pd.DataFrame] = field(default_factory=list)
    groups: dict[str, Groups] = field(default_factory=dict)
    least: dict[str, int] = field(default_factory=dict)


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
        scores.least.update({} if unseen.empty else {str(fold): int(unseen["label"].astype(str).value_counts().min())})
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
