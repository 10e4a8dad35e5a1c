"""Scores of single images of one network: whether its own head is right, and the mean score of every class.

Groups of images (of one writer, patient or video), where there are any, are what was drawn independently.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.aggregate.curves import Catalogue
from stages.aggregate.read import image_paths, is_head, is_pixels
from stages.shared.core.csv_table import require_columns
from stages.shared.core.params import RunParams
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import KEYS, MEASURE_AGAIN

EMBEDDING = ["layer", "pooling"]
"""What names an embedding; the head's pooling is empty."""

IMAGE = ["sample_id", "label", "group"]

ByFold = dict[str, "pd.Series[float]"]
"""Fold -> by sample id, class (`label`) and group of a test image, the mean over seeds of whether it is classified
right."""

CLASS_KEYS = {name: type_ for name, type_ in KEYS.items() if name not in ("seed", "step")}
"""What names a score whose means over classes are given."""


MIN_DF = 5
"""Degrees of freedom below which nothing is said about other images: six groups, where each has images of every class.
With fewer, halves of the images are few different ones."""


@dataclass(frozen=True)
class Groups:
    """The groups of some images.

    Attributes:
        names: of the groups.
        classes: of the images, if each group has images of one class alone (nested); else 1.
    """

    names: frozenset[str]
    classes: int


def find_groups(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> Groups | None:
    """Find the groups of N images, from the class and the group of each; None where images are not grouped."""
    if not (groups != "").any():
        return None
    names = np.unique(groups)
    nested = len(set(zip(groups, labels, strict=True))) == len(names)
    return Groups(frozenset(names.tolist()), len(np.unique(labels)) if nested else 1)


def degrees_of_freedom(folds: Iterable[Groups]) -> tuple[int, bool]:
    """Count what the groups of several folds leave free, and whether folds share groups.

    Returns:
        Groups less classes of every fold where groups are nested in classes, groups less one where they are not; groups
        that folds share count once.
    """
    folds = list(folds)
    names = frozenset().union(*(each.names for each in folds))
    shared = len(names) < sum(len(each.names) for each in folds)
    return (len(names) - 1 if shared else sum(len(each.names) - each.classes for each in folds)), shared


@dataclass(frozen=True)
class ImageScores:
    """Scores of the images of every fold, of one network at its last step.

    Attributes:
        accuracy: of its own head; without entries where it has none.
        pixels: of the linear probe on raw pixels; without entries where that was not measured.
        classes: means over each class's images (`class_scores`), tables of one score and split each.
        groups: of the unseen images of each fold; without entries where these are not grouped.
    """

    accuracy: ByFold
    pixels: ByFold
    classes: list[pd.DataFrame]
    groups: dict[str, Groups]


def read_image_scores(measures: Path, layers: pd.DataFrame, run: RunParams, catalogue: Catalogue) -> ImageScores | None:
    """Read the images' contributions of one dataset and model, one fold in memory at a time.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/images.parquet`.
        layers: metric rows of one dataset and model.
        run: the grid.
        catalogue: the facts of every score.

    Returns:
        None where a cell kept no contributions.
    """
    dataset, model = str(layers.iloc[0]["dataset"]), str(layers.iloc[0]["model"])
    scores = ImageScores({}, {}, [], {})
    for fold, rows in layers.groupby("fold", sort=False):
        last = last_rows(rows)
        per_image = last[[catalogue[metric].per_image for metric in last["metric"]]]
        paths = image_paths(measures, dataset, model, str(fold), run)
        images = read_contributions(paths, last["step"].unique().tolist(), per_image["metric"].unique())
        if images is None:
            return None
        unseen = images.loc[images["split"] == UNSEEN, IMAGE].drop_duplicates()
        groups = find_groups(unseen["label"].to_numpy(), unseen["group"].to_numpy())
        scores.groups.update({} if groups is None else {str(fold): groups})
        scores.classes.extend(class_scores(per_image, images))
        tests = per_image[per_image["split"] == SEEN]
        head = tests[(tests["metric"] == "accuracy") & is_head(tests)]
        pixels = tests[(tests["metric"] == "probe_accuracy") & is_pixels(tests)]
        for by_fold, row in ((scores.accuracy, head.head(1)), (scores.pixels, pixels.head(1))):
            own = images.merge(row[["step", "split", *EMBEDDING, "metric"]])
            by_fold |= {str(fold): own.groupby(IMAGE)[metric].mean(skipna=False) for metric in own["metric"].unique()}
    return scores


def read_contributions(paths: Mapping[int, Path], steps: Sequence[int], columns: Iterable[str]) -> pd.DataFrame | None:
    """Read the contributions of all seeds at some steps, on seen test images and on unseen ones.

    Args:
        paths: seed -> its `images.parquet`.
        steps: the steps wanted.
        columns: contributions, clusters and distances wanted, where all files have them.

    Returns:
        A row for each seed, step, split, embedding and image; None where a seed has no such file.

    Raises:
        UserError: the seeds or layers do not hold the same images.
    """
    if not all(path.is_file() for path in paths.values()):
        return None
    tables: list[pd.DataFrame] = []
    ids_of_splits: dict[str, list[str]] = {}
    for path in paths.values():
        tables.append(_read(path, steps, columns))
        for (_, split, layer, _), rows in tables[-1].groupby(["step", "split", *EMBEDDING], sort=False, observed=True):
            ids = rows["sample_id"].tolist()
            expected = ids_of_splits.setdefault(str(split), ids)
            if ids != expected:
                raise UserError(
                    f"{path}: layer {layer} must hold the same {len(expected)} {split} images as every layer and seed "
                    f"of this dataset and model, found {len(ids)}, others or in another order; {MEASURE_AGAIN}"
                )
    return pd.concat(tables, join="inner", ignore_index=True)


def class_scores(layers: pd.DataFrame, images: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Average what images contribute over each class, for every score that is a mean over images.

    Args:
        layers: metric rows of such scores at their last step, of one dataset, model and fold and of all seeds.
        images: their contributions.

    Yields:
        `CLASS_KEYS`, label, n_images and value, the mean over seeds; the raw-pixel baseline and the head among the
        layers.
    """
    classes = images.groupby(["step", "split", *EMBEDDING, "label"], observed=True)
    n_images = classes["sample_id"].nunique()
    for (metric, _), rows in layers.groupby(["metric", "split"], sort=False):
        if metric in images:
            means = pd.DataFrame({"n_images": n_images, "value": classes[str(metric)].mean(skipna=False)}).reset_index()
            yield rows.drop_duplicates(EMBEDDING)[[*CLASS_KEYS, "step"]].merge(means).drop(columns="step")


def last_rows(layers: pd.DataFrame) -> pd.DataFrame:
    """Rows of the seen and the unseen split at the last step at which their score was measured there.

    Analyses of the last checkpoint may have scored other splits later than that.

    Args:
        layers: metric rows of one dataset and model.
    """
    rows = layers[layers["split"].isin([SEEN, UNSEEN])]
    return rows[rows["step"] == rows.groupby("metric")["step"].transform("max")]


def _read(path: Path, steps: Sequence[int], columns: Iterable[str]) -> pd.DataFrame:
    present = pq.read_schema(path).names
    require_columns(path, present, IMAGE, "measure")
    values = [name for name in columns if name in present]
    wanted = ["step", "split", *EMBEDDING, *IMAGE, *values]
    filters: list[tuple[str, str, list[Any]]] = [("split", "in", [SEEN, UNSEEN]), ("step", "in", list(steps))]
    table: pd.DataFrame = pq.read_table(path, columns=wanted, filters=filters).to_pandas()
    return table.astype(dict.fromkeys(values, np.float64))
