"""Whether one layer's distances to the seen training images tell images of unseen classes from seen ones."""

import numpy as np

from stages.measure.analyses.result import Found, ScoreRow
from stages.measure.cell import Cell
from stages.measure.embedded_split import EmbeddedSplit, Score
from stages.measure.ood import ACCEPTED_PERCENT, auroc, fpr95, knn_distances, mahalanobis_distances
from stages.shared.embedding_store import Layer
from stages.shared.split_names import SEEN, TRAIN, UNSEEN

SCORES = {"ood_auroc": (auroc, 0.5, 1.0, "higher"), "ood_fpr95": (fpr95, ACCEPTED_PERCENT / 100, 0.0, "lower")}
"""By name: the score of distances, its value where distance says nothing, the best one, and which way is better."""


def ood(cell: Cell, layer: Layer, split: EmbeddedSplit) -> Found:
    """Score two distances; unseen images are the positive class, seen test images the negative one."""
    train, labels = cell.features_of_last(layer, TRAIN), np.unique(cell.last.labels(TRAIN), return_inverse=True)[1]
    images = {SEEN: cell.embedded(layer, cell.step, SEEN).X, UNSEEN: split.X}
    distances = {
        "knn": {name: knn_distances(train, X) for name, X in images.items()},
        "mahalanobis": {name: mahalanobis_distances(train, labels, X) for name, X in images.items()},
    }
    sizes = len(split.y), len(split.class_sizes)
    scores = [
        ScoreRow(UNSEEN, f"{name}_{kind}", Score(score(of[SEEN], of[UNSEEN]), chance, best), better, *sizes)
        for kind, of in distances.items()
        for name, (score, chance, best, better) in SCORES.items()
    ]
    columns = {name: {f"ood_{kind}": of[name] for kind, of in distances.items()} for name in images}
    return Found(scores=scores, images=columns)
