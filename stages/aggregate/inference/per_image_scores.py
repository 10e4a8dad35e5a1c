"""Scores of single images of one network: whether its own head is right, and the mean score of every class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.aggregate.curves import Catalogue, last_rows
from stages.aggregate.inference.groups import Groups, find_groups
from stages.aggregate.read import image_paths
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import RunParams
from stages.shared.tables.metric_table import HEAD, MEASURE_AGAIN

Key = tuple[str, str]
"""An embedding's `layer` and `pooling`; the head's pooling is empty."""

Place = tuple[int, str, str, str]
"""A block's step, split, layer and pooling."""

ByFold = dict[str, "pd.Series[float]"]
"""Fold -> by sample id, class (`label`) and group of a test image, the mean over seeds of whether it is classified
right."""

CLASS_KEYS = ["dataset", "model", "fold", "split", "layer", "depth", "pooling", "metric"]


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


@dataclass(frozen=True)
class Contributions:
    """Contributions of the images of one dataset to one model's scores: a block per seed, step, split and embedding.

    Attributes:
        labels: split -> (N,) class of every image.
        ids: split -> (N,) its sample id.
        groups: split -> (N,) its group, empty without one.
        blocks: seed -> (step, split, layer, pooling) -> column -> (N,) float32, images in the same order.
    """

    labels: dict[str, NDArray[np.str_]]
    ids: dict[str, NDArray[np.str_]]
    groups: dict[str, NDArray[np.str_]]
    blocks: dict[int, dict[Place, dict[str, NDArray[Any]]]]

    def stack(self, column: str, step: int, split: str, keys: Sequence[Key]) -> NDArray[np.float64] | None:
        """Stack one column of several embeddings, (S, L, N) float64; None where a seed or embedding lacks it."""
        columns = [[seed.get((step, split, *key), {}).get(column) for key in keys] for seed in self.blocks.values()]
        if not keys or any(values is None for seed in columns for values in seed):
            return None
        return np.asarray(columns, dtype=np.float64)


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
        columns = [metric for metric in last["metric"].unique() if catalogue[metric].per_image]
        paths = image_paths(measures, dataset, model, str(fold), run)
        contributions = read_contributions(paths, sorted(last["step"].unique()), columns)
        if contributions is None:
            return None
        if UNSEEN in contributions.labels:
            groups = find_groups(contributions.labels[UNSEEN], contributions.groups[UNSEEN])
            scores.groups.update({} if groups is None else {str(fold): groups})
        scores.classes.extend(class_scores(rows, contributions, catalogue))
        head, pixels = (last["layer"] == HEAD) & last["depth"].isna(), (last["depth"] == -1).fillna(False)
        _add(scores.accuracy, str(fold), contributions, last[head & (last["metric"] == "accuracy")])
        _add(scores.pixels, str(fold), contributions, last[pixels & (last["metric"] == "probe_accuracy")])
    return scores


def read_contributions(paths: Mapping[int, Path], steps: Sequence[int], columns: Iterable[str]) -> Contributions | None:
    """Read the contributions of all seeds at some steps, on seen test images and on unseen ones.

    Args:
        paths: seed -> its `images.parquet`.
        steps: the steps wanted.
        columns: contributions, clusters and distances wanted, where a file has them.

    Returns:
        None where a seed has no such file.

    Raises:
        UserError: the seeds or layers do not hold the same images.
    """
    if not all(path.is_file() for path in paths.values()):
        return None
    read = Contributions({}, {}, {}, {seed: {} for seed in paths})
    for seed, path in paths.items():
        for place, rows in _read(path, steps, columns):
            split, ids = place[1], rows["sample_id"].to_numpy(dtype=str)
            read.labels.setdefault(split, rows["label"].to_numpy(dtype=str))
            read.groups.setdefault(split, rows["group"].to_numpy(dtype=str))
            if not np.array_equal(read.ids.setdefault(split, ids), ids):
                raise UserError(
                    f"{path}: layer {place[2]} must hold the same {len(read.ids[split])} {split} images as every layer "
                    f"and seed of this dataset and model, found {len(ids)}, others or in another order; {MEASURE_AGAIN}"
                )
            read.blocks[seed][place] = {name: rows[name].to_numpy(dtype=np.float32) for name in rows.columns[3:]}
    return read


def class_scores(layers: pd.DataFrame, contributions: Contributions, catalogue: Catalogue) -> Iterator[pd.DataFrame]:
    """Average what images contribute over each class, for every score at its last step that is a mean over images.

    Args:
        layers: metric rows of one dataset, model and fold, of all seeds.
        contributions: of its images.
        catalogue: the facts of every score.

    Yields:
        `CLASS_KEYS`, label, n_images and value, the mean over seeds; the raw-pixel baseline and the head among the
        layers.
    """
    for (metric, split), rows in last_rows(layers).groupby(["metric", "split"], sort=False):
        if not catalogue[str(metric)].per_image:
            continue
        places = rows.drop_duplicates(["layer", "pooling"])
        keys: list[Key] = list(zip(places["layer"], places["pooling"], strict=True))
        values = contributions.stack(str(metric), int(rows.iloc[0]["step"]), str(split), keys)
        if values is not None:
            yield _by_class(places, values.mean(axis=0), contributions.labels[str(split)])


def _by_class(places: pd.DataFrame, values: NDArray[np.float64], labels: NDArray[np.str_]) -> pd.DataFrame:
    """One row per embedding and class, from (L, N) contributions."""
    classes, codes = np.unique(labels, return_inverse=True)
    members = codes == np.arange(len(classes))[:, None]  # (K, N)
    table = places.loc[places.index.repeat(len(classes)), CLASS_KEYS]
    means = np.stack([values[:, member].mean(axis=1) for member in members], axis=1)
    sizes = np.tile(members.sum(axis=1), len(places))
    return table.assign(label=np.tile(classes, len(places)), n_images=sizes, value=means.ravel())


def _add(into: ByFold, fold: str, contributions: Contributions, rows: pd.DataFrame) -> None:
    """Add the mean over seeds of one embedding's contributions of seen test images."""
    rows = rows[rows["split"] == SEEN]
    if rows.empty:
        return
    first = rows.iloc[0]
    key = (str(first["layer"]), str(first["pooling"]))
    values = contributions.stack(str(first["metric"]), int(first["step"]), SEEN, [key])
    if values is not None:
        columns = [table[SEEN] for table in (contributions.ids, contributions.labels, contributions.groups)]
        images = pd.MultiIndex.from_arrays(columns, names=["sample_id", "label", "group"])
        into[fold] = pd.Series(np.asarray(values[:, 0].mean(axis=0)), index=images)


def _read(path: Path, steps: Sequence[int], columns: Iterable[str]) -> Iterator[tuple[Place, pd.DataFrame]]:
    """Read one file's rows, grouped by step, split, layer and pooling."""
    try:
        present = set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: must be a Parquet table, found it damaged ({error}); {MEASURE_AGAIN}") from None
    if "group" not in present:
        raise UserError(
            f"{path}: must have a column group, found none: it was written by another version; {MEASURE_AGAIN}"
        )
    wanted = ["sample_id", "label", "group", *(name for name in dict.fromkeys(columns) if name in present)]
    places = ["step", "split", "layer", "pooling"]
    filters: list[tuple[str, str, list[Any]]] = [("split", "in", [SEEN, UNSEEN]), ("step", "in", list(steps))]
    table = pq.read_table(path, columns=[*places, *wanted], filters=filters).to_pandas()
    for place, rows in table.groupby(places, sort=False, observed=True):
        step, split, layer, pooling = cast(Place, place)
        yield (int(step), str(split), str(layer), str(pooling)), rows[wanted]
