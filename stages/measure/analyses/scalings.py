"""What scaling the rows or columns of an embedding does to its scores."""

from collections.abc import Iterator
from typing import get_args

from ...core.scores.catalogue import LAYER_SCORES, scored_by
from ...core.scores.description import Normalize
from ...core.scores.embedded_split import EmbeddedSplit
from ...core.scores.probe import column_moments, standardize
from ...shared.embeddings.embeddings import Layer
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.tables.metric_table import Scaling
from ..cell import Cell, store_of_seen
from .result import AnalysisResult


def scalings(cell: Cell, layer: Layer, split: EmbeddedSplit, step: int) -> AnalysisResult:
    """Score one layer with its rows as they are, L2-normalized, and with its columns standardized.

    The linear probe standardizes columns itself, and scaling rows hardly moves it.
    """
    metrics = [name for name in scored_by("scalings") if name in cell.params.all_metrics]
    rows = [
        {"scaling": scaling, "metric": name, "value": LAYER_SCORES[name].compute(scaled).value}
        for scaling, scaled in scaled_splits(cell, layer, split, step)
        for name in metrics
    ]
    return AnalysisResult(rows=rows)


def scaled_splits(cell: Cell, layer: Layer, split: EmbeddedSplit, step: int) -> Iterator[tuple[Scaling, EmbeddedSplit]]:
    """Scale one layer's unseen images in every way, whatever `measure.normalize` asks for.

    Columns are standardized by the means and deviations of the seen classes' test images; where these were not
    embedded, by those of the unseen images themselves.
    """
    for scaling in get_args(Normalize):
        yield scaling, split if scaling == cell.params.normalize else cell.embedded(layer, step, UNSEEN, scaling)
    X, seen = cell.store.features(layer, step, UNSEEN), store_of_seen(cell.store)
    reference = X if seen is None else seen.features(layer, step, SEEN)
    yield "standard", EmbeddedSplit(standardize(X, *column_moments(reference)), split.y, split.settings)
