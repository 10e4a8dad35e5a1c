"""What the picture of a study shows: images, planes of embeddings, and the curve of the main score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from stages.aggregate.curves import CURVE, MEAN
from stages.aggregate.result_files import check_result
from stages.aggregate.tables.depth import DEPTH_COLUMNS
from stages.aggregate.tables.summary import SummaryRow, read_summary
from stages.measure.checks import check_cell
from stages.shared.embeddings.embedding_store import Embeddings, Float32, open_embeddings
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.files.csv_table import read_table
from stages.shared.images.image_store import PackedImages, Pixels, open_images
from stages.shared.runtime.errors import UserError, nearest

MOST_CLASSES = 5
"""Classes of each split that are shown."""

IMAGES_EACH = 2
"""Images of each class that are shown."""


@dataclass(frozen=True)
class Cell:
    """Of which dataset and network, and whose unseen classes and embeddings are shown."""

    dataset: str
    model: str
    fold: str
    seed: int


@dataclass(frozen=True)
class Plane:
    """Where one layer puts the unseen images.

    Attributes:
        depth: of the layer.
        places: (N, 2) first two principal components.
        score: the main score of the layer on this fold; None where it is not known.
    """

    depth: int
    places: Float32
    score: float | None


@dataclass(frozen=True)
class Hero:
    """What the picture shows.

    Attributes:
        cell: what is shown.
        row: the main row of summary.csv, of the mean over folds.
        points: rows of depth.csv of the same curve.
        planes: of an early, the best and the last layer; fewer where these are the same.
        by_fold: the best layer's main score on every fold.
        labels: (N,) classes of the images in the planes.
        seen: classes -> (B, S, S, 3) images, some classes of the fold.
        unseen: the same, of its unseen classes; those that have a colour in the planes.
    """

    cell: Cell
    row: SummaryRow
    points: pd.DataFrame
    planes: Sequence[Plane]
    by_fold: dict[str, float]
    labels: NDArray[np.str_]
    seen: dict[str, Pixels]
    unseen: dict[str, Pixels]


def collect_hero(cell: Cell, results: Path, prepared: Path, embeddings: Path) -> Hero:
    """Read what the picture shows.

    Args:
        cell: what is shown.
        results: what the aggregate stage wrote.
        prepared: the dataset's packed images.
        embeddings: the cell's.

    Raises:
        UserError: something is missing, or the embeddings are not those that were measured.
    """
    row = _main_row(results, cell.dataset, cell.model)
    curve = _curve(results, row)
    unseen = curve[(curve["fold"] != MEAN) & (curve["split"] == UNSEEN)]
    store, images = open_embeddings(embeddings), open_images(prepared, cell.fold, dataset=cell.dataset)
    check_cell(store, (cell.dataset, cell.model, cell.fold, cell.seed), f"{embeddings}:")
    if row.step not in store.steps:
        steps = ", ".join(map(str, store.steps))
        raise UserError(
            f"{embeddings}: must hold step {row.step}, at which {results} has the scores, found {steps}; run the "
            "workflow again (`dvc repro`)"
        )
    shown = list(dict.fromkeys([0, row.best_depth, row.last_depth]))
    own = unseen[unseen["fold"] == cell.fold]
    scores = {int(at): float(value) for at, value in zip(own["depth"], own["value"], strict=True)}
    return Hero(
        cell=cell,
        row=row,
        points=curve[curve["fold"] == MEAN],
        planes=[Plane(at, plane_of(store, at, row.step), scores.get(at)) for at in sorted(shown)],
        by_fold=_by_fold(curve, row),
        labels=store.labels(UNSEEN),
        seen=_some(images, SEEN, images.seen),
        unseen=_some(images, UNSEEN, images.unseen),
    )


def typical_fold(results: Path, dataset: str, model: str) -> str:
    """Name the fold on which the best layer's main score is nearest to its mean over folds, the first of equal ones.

    Raises:
        UserError: the results have no such network.
    """
    row = _main_row(results, dataset, model)
    scores = _by_fold(_curve(results, row), row)
    return min(scores, key=lambda fold: abs(scores[fold] - row.unseen))


def _curve(results: Path, row: SummaryRow) -> pd.DataFrame:
    """The rows of depth.csv of a row's network and score, of every fold and of their mean."""
    table = check_result(results / "depth.csv")
    depth = read_table(table, DEPTH_COLUMNS, what="a table of scores by depth", stage="aggregate")
    same = np.logical_and.reduce([depth[name] == getattr(row, name) for name in CURVE if name != "fold"])
    rows: pd.DataFrame = depth[same]
    return rows


def _by_fold(curve: pd.DataFrame, row: SummaryRow) -> dict[str, float]:
    """Fold -> the score of the best layer of a row on it."""
    best = curve[(curve["fold"] != MEAN) & (curve["split"] == UNSEEN) & (curve["depth"] == row.best_depth)]
    return {str(fold): float(value) for fold, value in zip(best["fold"], best["value"], strict=True)}


def plane_of(store: Embeddings, depth: int, step: int) -> Float32:
    """Put the unseen images of one layer, under its main pooling, into the plane of largest variance, (N, 2)."""
    layer = next(each for each in store.layers if each.depth == depth)
    features = store.features(layer, step, UNSEEN)
    places = PCA(2, svd_solver="full").fit_transform(features.astype(np.float64))
    return np.asarray(places, dtype=np.float32)


def _main_row(results: Path, dataset: str, model: str) -> SummaryRow:
    rows = {f"{row.dataset}/{row.model}": row for row in read_summary(results / "summary.csv") if row.main}
    name = f"{dataset}/{model}"
    if name not in rows:
        raise UserError(f"{results}: must have a best layer of {name}: {nearest(name, [*rows])}")
    return rows[name]


def _some(images: PackedImages, split: str, classes: Sequence[str]) -> dict[str, Pixels]:
    """The first images of the first classes of a split."""
    own = images.manifest[images.manifest["split"] == split]
    found = {}
    for label in [label for label in classes if (own["label"] == label).any()][:MOST_CLASSES]:
        rows = own.index[own["label"] == label].to_numpy(dtype=np.int64)
        apart = np.linspace(0, len(rows) - 1, min(IMAGES_EACH, len(rows))).astype(int)
        found[label] = images.read(rows[apart])
    return found
