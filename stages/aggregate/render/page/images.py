"""The page's images: thumbnails, and where the best and the last layer of each network put them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stages.aggregate.curves import Scores
from stages.aggregate.render.page.names import Columns, Names
from stages.aggregate.tables.summary import SummaryRow
from stages.shared.settings.params import Cell
from stages.shared.tables.thumbnails import MEDIA_TYPE

PLACES = 3
"""Decimals of a place in the plane, whose farthest image lies 1 from the middle."""


@dataclass(frozen=True)
class Pictures:
    """What is shown of the images.

    Attributes:
        thumbnails: of each dataset (stages.shared.tables.thumbnails).
        galleries: of each cell, in the order of the grid (stages.shared.tables.gallery).
    """

    thumbnails: Mapping[str, pd.DataFrame]
    galleries: Mapping[Cell, pd.DataFrame]


NO_PICTURES = Pictures({}, {})


def all_thumbnails(pictures: Pictures) -> dict[str, dict[str, Any]]:
    """Give every dataset's thumbnails: labels and pictures (base64) in the order of their table, and their type."""
    return {
        dataset: {
            "type": MEDIA_TYPE,
            "labels": list(table["label"]),
            "images": [base64.b64encode(picture).decode() for picture in table["image"]],
        }
        for dataset, table in pictures.thumbnails.items()
        if len(table)
    }


def galleries(pictures: Pictures, main: Sequence[SummaryRow], scores: Scores, names: Names) -> Columns:
    """Give where the best and the last layer put the thumbnails' images, of the first seed of each network and fold.

    Args:
        pictures: of the images.
        main: the main rows of summary.csv, which say what layer is best on average over folds.
        scores: the curves.
        names: what places refer to.

    Returns:
        Columns network, fold; at (`best` or `last`); layer (its depth); explained, the share of variance in the plane;
        and lists over images: image (places in the thumbnails), x, y, and neighbours (lists of such places).
    """
    ends = {(row.dataset, row.model): {"best": row.best_depth, "last": row.last_depth} for row in main}
    rows, done = [], set()
    for (dataset, model, fold, _), table in pictures.galleries.items():
        if fold not in names.folds or (dataset, model, fold) in done or table.empty:
            continue
        done.add((dataset, model, fold))
        table = table.assign(dataset=dataset, model=model)
        table = table[scores.on_main_curve(table)]
        image = {sample: i for i, sample in enumerate(pictures.thumbnails[dataset]["sample_id"])}
        for at, depth in ends[dataset, model].items():
            place = {"dataset": dataset, "model": model, "fold": fold, "at": at, "layer": depth}
            rows.append(place | _plane(table[table["depth"] == depth], image))
    return names.table(rows, ("fold", "at", "layer", "explained", "image", "x", "y", "neighbours"))


def _plane(own: pd.DataFrame, image: Mapping[str, int]) -> dict[str, Any]:
    farthest = float(own[["x", "y"]].abs().to_numpy().max()) or 1.0
    return {
        "explained": round(float(own["explained"].iloc[0]), 2),
        "image": [image[sample] for sample in own["sample_id"]],
        **{axis: [round(float(value) / farthest, PLACES) + 0.0 for value in own[axis]] for axis in ("x", "y")},
        "neighbours": [[image[sample] for sample in nearest] for nearest in own["neighbours"]],
    }
