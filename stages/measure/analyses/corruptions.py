"""How one layer, and the network's own head, hold up when the seen classes' test images are corrupted."""

import numpy as np
from numpy.typing import NDArray

from stages.measure.analyses.result import AnalysisResult, ScoreRow
from stages.measure.arrays import Classes, Float32
from stages.measure.cell import Cell
from stages.measure.embedded_split import EmbeddedSplit, scaled
from stages.measure.metrics import HEAD_SCORES, PROBE, ScoreValue, largest_share
from stages.measure.scores.agreement import normalized_mutual_information
from stages.measure.scores.kmeans import Search, cluster
from stages.shared.embeddings.embedding_store import Layer
from stages.shared.embeddings.split_names import SEEN


def corruptions(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Score corrupted copies of test images by the probe and by k-means, beside the clean originals."""
    rows, search = cell.copied_rows, split.settings.search.reduced
    y, (predicted, of_copies) = split.y[rows], split.probe
    largest, right = largest_share(np.bincount(y)), float((predicted[rows] == y).mean())
    scores = []
    for name, found in of_copies.items():
        scores.append(score_row(name, PROBE, ScoreValue(float((found == y).mean()), largest, 1.0), right, y))
    normalize = cell.params.normalize
    clean = nmi_of_least_inertia(scaled(split.X[rows], normalize), y, search)
    for name, (_, X) in split.copies.items():
        nmi = ScoreValue(nmi_of_least_inertia(scaled(X, normalize), y, search), ceiling=1.0)
        scores.append(score_row(name, "nmi", nmi, clean, y))
    return AnalysisResult(scores=scores)


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
            scores.append(score_row(corruption, name, score, clean, labels))
    return AnalysisResult(scores=scores)


def score_row(corruption: str, metric: str, score: ScoreValue, clean: float, y: Classes | NDArray[np.str_]) -> ScoreRow:
    """One row of layers.csv, of copies of m images.

    Args:
        corruption: what was done to the copies.
        metric: the score's name.
        score: of the copies.
        clean: the value of the clean originals of the same images; `relative` is NaN where it is 0.
        y: (m,) classes.
    """
    relative = score.value / clean if clean != 0 else np.nan
    return ScoreRow(corruption, metric, score, len(y), len(np.unique(y)), relative)


def nmi_of_least_inertia(X: Float32, y: Classes, search: Search) -> float:
    """Cluster an embedding into as many clusters as there are classes, and score that of least inertia.

    Args:
        X: (m, D) float32.
        y: (m,) classes, any integers.
        search: how hard to look for clusters.
    """
    codes = np.unique(y, return_inverse=True)[1]
    return normalized_mutual_information(codes, cluster(X, int(codes.max()) + 1, search).labels)
