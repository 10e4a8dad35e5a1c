"""How one layer, and the network's own head, hold up when the seen classes' test images are corrupted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stages.measure.analyses.result import AnalysisResult, ScoreRow
from stages.measure.arrays import Classes, Float32
from stages.measure.cell import Cell
from stages.measure.embedded_split import EmbeddedSplit
from stages.measure.metrics import HEAD_SCORES, PROBE, ScoreValue, largest_share
from stages.measure.scores.agreement import normalized_mutual_information
from stages.measure.scores.kmeans import Search, cluster
from stages.shared.embeddings.embedding_store import Layer
from stages.shared.embeddings.split_names import SEEN


def corruptions(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Score corrupted copies of test images by the probe and by k-means, beside the clean originals."""
    rows, search = cell.copied_rows, split.settings.search.reduced
    y, copies = split.y[rows], {name: X for name, (_, X) in split.copies.items()}
    predicted, of_copies = split.probe
    probed = {name: accuracy_of_copies(found, predicted[rows], y) for name, found in of_copies.items()}
    clustered = nmi_of_copies(split.X[rows], copies, y, search)
    largest = largest_share(np.bincount(y))
    scores = [row(name, PROBE, found, largest, y) for name, found in probed.items()]
    return AnalysisResult(scores=scores + [row(name, "nmi", found, np.nan, y) for name, found in clustered.items()])


def head(cell: Cell) -> AnalysisResult:
    """Score the network's own head on the copies; no scores where there are no logits."""
    if not cell.store.classes:
        return AnalysisResult()
    heads, rows = np.array(cell.store.classes, dtype=str), cell.copied_rows
    labels, logits = cell.store.labels(SEEN)[rows], cell.store.logits(cell.step, SEEN)[rows]
    scores = []
    for name, metric in HEAD_SCORES.items():
        clean = metric.compute(logits, heads, labels).value
        for corruption in cell.corruptions:
            score = metric.compute(cell.last.logits(cell.step, corruption), heads, labels)
            sizes = len(labels), len(np.unique(labels))
            scores.append(ScoreRow(corruption, name, score, *sizes, relative(score.value, clean)))
    return AnalysisResult(scores=scores)


@dataclass(frozen=True)
class CopyScore:
    """A score of corrupted copies.

    Attributes:
        value: of the copies.
        clean: of the clean originals of the same images.
    """

    value: float
    clean: float

    @property
    def relative(self) -> float:
        """The copies' score as a share of the originals'."""
        return relative(self.value, self.clean)


def row(corruption: str, metric: str, found: CopyScore, chance: float, y: Classes) -> ScoreRow:
    """One row of layers.csv."""
    score = ScoreValue(found.value, chance, 1.0)
    return ScoreRow(corruption, metric, score, len(y), len(np.unique(y)), found.relative)


def relative(value: float, clean: float) -> float:
    """Divide a score of corrupted copies by that of the clean originals; NaN where that is 0."""
    return value / clean if clean != 0 else np.nan


def accuracy_of_copies(predicted: Classes, predicted_clean: Classes, y: Classes) -> CopyScore:
    """Share of copies, and of their originals, whose class was predicted.

    Args:
        predicted: (m,) classes predicted for the copies.
        predicted_clean: (m,) classes predicted for their originals.
        y: (m,) their classes.
    """
    return CopyScore(float((predicted == y).mean()), float((predicted_clean == y).mean()))


def nmi_of_copies(clean: Float32, copies: Mapping[str, Float32], y: Classes, search: Search) -> dict[str, CopyScore]:
    """Cluster the copies of each corruption alone, and the clean originals, and compare clusters with classes.

    Args:
        clean: (m, D) float32, the originals.
        copies: (m, D) float32 by corruption, in the order of the originals.
        y: (m,) classes.
        search: how hard to look for clusters.

    Returns:
        NMI by corruption; all have the same clean reference.
    """
    reference = nmi_of_least_inertia(clean, y, search)
    return {name: CopyScore(nmi_of_least_inertia(X, y, search), reference) for name, X in copies.items()}


def nmi_of_least_inertia(X: Float32, y: Classes, search: Search) -> float:
    """Cluster an embedding into as many clusters as there are classes, and score that of least inertia.

    Args:
        X: (m, D) float32.
        y: (m,) classes, any integers.
        search: how hard to look for clusters.
    """
    codes = np.unique(y, return_inverse=True)[1]
    return normalized_mutual_information(codes, cluster(X, int(codes.max()) + 1, search).labels)
