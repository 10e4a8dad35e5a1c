"""Layer by use: the best layer of the scores that suit a classifier, retrieval, or the discovery of classes."""

from stages.aggregate.curves import MEAN, Scores, best, last_measured
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.schema import CandidateRecord, UseRecord
from stages.shared.embeddings.split_names import UNSEEN

USES = {"classifier": ["probe_accuracy"], "retrieval": ["knn_purity", "map_at_r"], "discovery": ["nmi"]}
"""A use, and the scores that suit it."""


def layers_by_use(network: Candidates, chosen: CandidateRecord, scores: Scores) -> list[UseRecord]:
    """Choose a layer for each use, at the best candidate's checkpoint where the score was measured there.

    Args:
        network: what can be chosen; its main curve.
        chosen: its best candidate, which is that of the main score.
        scores: means over seeds and folds.
    """
    row, curves, records = network.row, scores.curves, []
    main = (curves["dataset"] == row.dataset) & (curves["model"] == row.model) & curves["main"]
    curves = curves[main & (curves["fold"] == MEAN) & (curves["split"] == UNSEEN)]
    for use, metrics in USES.items():
        for metric in metrics:
            if metric == row.metric:
                layer, depth, step = chosen.layer, chosen.depth, chosen.step
            else:
                curve = curves[curves["metric"] == metric]
                if curve.empty:
                    continue
                step = chosen.step if (curve["step"] == chosen.step).any() else last_measured(curve)
                point = best(curve, UNSEEN, step)
                if point is None:
                    continue
                layer, depth = str(point["layer"]), int(point["depth"])
            records.append(UseRecord(use=use, metric=metric, layer=layer, depth=depth, step=step))
    return records
