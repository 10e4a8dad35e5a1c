"""What the analyses of one layer hand back, on the way to the tables."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.measure.embedded_split import Score


@dataclass(frozen=True)
class ScoreRow:
    """One row of layers.csv that stands beside the scores of the catalogue.

    Attributes:
        split: what was scored: a split, or a name for a selection or for corrupted copies of one.
        metric: the score's name.
        score: its value, chance and ceiling.
        better: `higher`, `lower` or `neither`.
        n_images, n_classes: what it was computed on.
        relative: the value over that of clean copies of the same images; NaN where that is 0, None of other rows.
    """

    split: str
    metric: str
    score: Score
    better: str
    n_images: int
    n_classes: int
    relative: float | None = None


@dataclass(frozen=True)
class Found:
    """What was found of one layer.

    Attributes:
        scores: rows of layers.csv.
        tables: rows of further tables, by the table's name.
        images: columns of images.parquet, (N,) floats by split and name.
    """

    scores: list[ScoreRow] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    images: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)


def merged(parts: Iterable[Found]) -> Found:
    """Join what several analyses found of one layer."""
    whole = Found()
    for part in parts:
        whole.scores.extend(part.scores)
        whole.tables.update(part.tables)
        for split, columns in part.images.items():
            whole.images.setdefault(split, {}).update(columns)
    return whole
