"""How one layer, and the network's own head, hold up when the seen classes' test images are corrupted."""

import numpy as np

from stages.measure.analyses.result import Found, ScoreRow
from stages.measure.arrays import Classes, Floats, Rows
from stages.measure.cell import Cell
from stages.measure.corrupted import CopyScore, accuracy_of_copies, nmi_of_copies, relative
from stages.measure.embedded_split import EmbeddedSplit, Score
from stages.measure.jobs import PROBE
from stages.measure.metrics import HEAD_METRICS, METRICS, largest_share
from stages.measure.scores.probe import held_out_predictions_of_copies
from stages.shared.embedding_store import Layer
from stages.shared.split_names import SEEN


def corruptions(cell: Cell, layer: Layer, split: EmbeddedSplit) -> Found:
    """Score corrupted copies of test images by the probe and by k-means, beside the clean originals.

    The probe's predictions of clean images are left in `split`, whose own score they serve as well.
    """
    rows = rows_of_originals(cell)
    copies = {name: cell.features_of_last(layer, name) for name in cell.corruptions}
    y, settings = split.y[rows], split.settings
    largest = largest_share(np.bincount(y))
    scores = [row(name, PROBE, found, largest, y) for name, found in probe_scores(split, rows, copies).items()]
    clusters = nmi_of_copies(split.X[rows], copies, y, starts=settings.starts, seed=settings.kmeans_seed)
    return Found(scores=scores + [row(name, "nmi", found, np.nan, y) for name, found in clusters.items()])


def rows_of_originals(cell: Cell) -> Rows:
    """Indices of the originals among the seen test images, (m,), the same for every corruption."""
    first, *others = (cell.rows_of_copies(name) for name in cell.corruptions)
    if not all(np.array_equal(first, other) for other in others):
        raise ValueError("every corruption must hold copies of the same images in the same order")
    return first


def probe_scores(split: EmbeddedSplit, rows: Rows, copies: dict[str, Floats]) -> dict[str, CopyScore]:
    """Accuracy, by corruption, of the linear probe on copies of images that it was not fitted on."""
    settings = split.settings
    split.probe_predictions, of_copies = held_out_predictions_of_copies(
        split.X,
        split.y,
        C=settings.C,
        folds=settings.folds,
        seed=settings.probe_seed,
        copies={name: (rows, X) for name, X in copies.items()},
    )
    clean, y = split.probe_predictions[rows], split.y[rows]
    return {name: accuracy_of_copies(predicted, clean, y) for name, predicted in of_copies.items()}


def row(corruption: str, metric: str, found: CopyScore, chance: float, y: Classes) -> ScoreRow:
    """One row of layers.csv."""
    score, better = Score(found.value, chance, 1.0), METRICS[metric].better
    return ScoreRow(corruption, metric, score, better, len(y), len(np.unique(y)), found.relative)


def head_on_corruptions(cell: Cell) -> list[ScoreRow]:
    """Scores of the network's own head on the copies; none where there are no logits."""
    if not cell.store.classes:
        return []
    heads, rows = np.array(cell.store.classes, dtype=str), rows_of_originals(cell)
    labels, logits = cell.store.labels(SEEN)[rows], cell.store.logits(cell.step, SEEN)[rows]
    scores = []
    for name, metric in HEAD_METRICS.items():
        clean = metric.score(logits, heads, labels).value
        for corruption in cell.corruptions:
            score = metric.score(cell.last.logits(cell.step, corruption), heads, labels)
            against = relative(score.value, clean)
            sizes = len(labels), len(np.unique(labels))
            scores.append(ScoreRow(corruption, name, score, metric.better, *sizes, against))
    return scores
