"""What each checkpoint is good for: its best layer for unseen classes, beside its accuracy on the known ones."""

from collections.abc import Iterator

import pandas as pd

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.points import best_index
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.schema import CheckpointRecord
from stages.shared.embeddings.split_names import SEEN


def compare_checkpoints(network: Candidates, scores: Scores) -> list[CheckpointRecord]:
    """Sum up every candidate checkpoint that has a best layer.

    Args:
        network: what can be chosen.
        scores: means over seeds and folds.
    """
    return list(_records(network, _of_network(scores.accuracy, network), _of_network(scores.curves, network)))


def _records(network: Candidates, accuracy: pd.DataFrame, curves: pd.DataFrame) -> Iterator[CheckpointRecord]:
    probe = curves[curves["main"] & (curves["metric"] == "probe_accuracy") & (curves["split"] == SEEN)]
    for step, gains in zip(network.steps, network.means, strict=True):
        best = best_index(gains, "higher")
        if best is None:
            continue
        head = accuracy.loc[accuracy["step"] == step, "value"].dropna()
        probed = probe.loc[probe["step"] == step].set_index("layer")["value"].dropna()
        yield CheckpointRecord(
            step=step,
            layer=str(network.points["layer"].iloc[best]),
            depth=int(network.points["depth"].iloc[best]),
            value=network.sign * float(gains[best]),
            accuracy=float(head.iloc[0]) if len(head) else None,
            probe_accuracy=float(probed.max()) if len(probed) else None,
            probe_layer=str(probed.idxmax()) if len(probed) else None,
        )


def _of_network(table: pd.DataFrame, network: Candidates) -> pd.DataFrame:
    row = network.row
    return table[(table["dataset"] == row.dataset) & (table["model"] == row.model) & (table["fold"] == MEAN)]
