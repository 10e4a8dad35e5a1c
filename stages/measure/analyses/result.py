"""What an analysis hands back, on the way to the tables."""

from dataclasses import dataclass, field
from typing import Any

from ...core.scores.arrays import Float64
from ...core.scores.catalogue import ScoreValue


@dataclass(frozen=True)
class ScoreRow:
    """One row of layers.csv that stands beside the scores of the catalogue.

    Attributes:
        split: what was scored: a split, or a name for a selection of one.
        metric: the score's name.
        score: its value, chance and ceiling.
        n_images, n_classes: what it was computed on.
    """

    split: str
    metric: str
    score: ScoreValue
    n_images: int
    n_classes: int


@dataclass(frozen=True)
class AnalysisResult:
    """What one analysis found of one layer, or of the network.

    Attributes:
        scores: rows of layers.csv, of the layer or of the network's own head.
        rows: of the analysis's own table; of a layer without `ROW_KEYS`, which are added.
        images: columns of images.parquet, (N,) by split and name.
        notes: what was left out, in words; those that several layers repeat are said once.
    """

    scores: list[ScoreRow] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, dict[str, Float64]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
