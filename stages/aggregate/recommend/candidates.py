"""What can be chosen for one network: every layer at every checkpoint at which its score was fitted again on halves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import pandas as pd

from stages.aggregate.curves import Name, Scores, point_keys, sign_of
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.inference.network_data import NetworkData, Refits
from stages.aggregate.recommend.criteria import KnownScores
from stages.aggregate.tables.summary import SummaryRow
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.tables.scores import Score, Use

LEADING: dict[Use, tuple[str, ...]] = {
    "classifier": ("probe_accuracy", "few_shot_accuracy_5", "few_shot_accuracy_1"),
    "retrieval": ("map_at_r", "r_precision", "nn1_accuracy", "knn_purity"),
    "discovery": ("nmi", "ami", "ari", "cluster_accuracy", "silhouette"),
    "detection": ("ood_auroc_knn", "ood_auroc_mahalanobis"),
}
"""A use and its scores, of which the first that was measured leads (docs/scores.md#uses)."""

SHARES = {"parameters": "parameters_share", "operations": "operations_share"}
"""What stands up to a layer, and its share of what stands up to the last."""


@dataclass(frozen=True)
class Candidates:
    """Layers and checkpoints of one network for one use; J folds, T steps, L layers, B halves of the images.

    Gains are the leading scores of unseen classes, means over seeds, turned so that higher is better.

    Attributes:
        use: what features are for.
        row: the network's row of summary.csv of the use's leading score.
        points: (L) the layers by depth: layer, embedding, depth, and `SHARES`, NaN where that is not known.
        accuracy: of the network's own head by step; NaN where it has no trained one.
        gains: (J, T, L).
        halves: (J, B, T, L) on halves of the images, 2 i and 2 i + 1 a pair; None where nothing was fitted again.
        refits: (T) of each step, ascending, the layers' scores; None where a value is missing. Without halves all steps
            at which the score was measured.
        known: of each fold, what a criterion may see.
        data: all that was measured of the network.
    """

    use: Use
    row: SummaryRow
    points: pd.DataFrame
    accuracy: "pd.Series[float]"
    gains: Float64
    halves: Float64 | None
    refits: dict[int, Refits | None]
    known: tuple[KnownScores, ...]
    data: NetworkData

    @property
    def steps(self) -> list[int]:
        """The checkpoints, (T)."""
        return list(self.refits)

    @property
    def means(self) -> Float64:
        """Gains, means over folds, (T, L)."""
        return np.asarray(self.gains.mean(axis=0))

    @property
    def sign(self) -> float:
        """What turns a gain into a score, and a score into a gain."""
        return sign_of(self.row.better)


def collect_candidates(
    summary: Sequence[SummaryRow], scores: Scores, networks: dict[Name, NetworkData]
) -> list[Candidates]:
    """Collect what can be chosen for every network and use, in the order of the grid and of `LEADING`.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds, fold by fold and over folds.
        networks: the measured data of each.
    """
    candidates, curve_of = [], attrgetter("dataset", "model", "fold", "pooling")
    mains = {curve_of(row): row for row in summary if row.main}
    for main in mains.values():
        of_curve = {row.metric: row for row in summary if curve_of(row) == curve_of(main)}
        for use, metric in leading_scores(of_curve, main.metric, scores.catalogue).items():
            others = [row for row in summary if row.metric == metric and curve_of(row) in mains and row.last_depth > 0]
            elsewhere = [row for row in others if row.model == main.model and row.dataset != main.dataset]
            depths = tuple(row.best_depth / row.last_depth for row in elsewhere)
            network = networks[main.dataset, main.model]
            candidates.append(_candidates(use, of_curve[metric], scores, network, depths))
    return candidates


def leading_scores(measured: Collection[str], main_metric: str, catalogue: Mapping[str, Score]) -> dict[Use, str]:
    """Return the leading score of every use that some score was measured for; the main score leads its own use.

    Args:
        measured: the scores that have a best layer.
        main_metric: the score of the findings.
        catalogue: the facts of every score.
    """
    leading = {use: next((name for name in names if name in measured), None) for use, names in LEADING.items()}
    chosen = {use: name for use, name in leading.items() if name is not None}
    return chosen | ({catalogue[main_metric].use: main_metric} if main_metric in measured else {})


def _candidates(
    use: Use, row: SummaryRow, scores: Scores, network: NetworkData, other_datasets: tuple[float, ...]
) -> Candidates:
    every = scores.main_points(row.dataset, row.model, row.metric)
    points = every[every["step"] == row.step].reset_index(drop=True)
    for what, share in SHARES.items():
        taken = points[what].fillna(0).astype(float)
        points[share] = taken / taken.iloc[-1]  # NaN where that is 0
        points[what] = taken.where(points[share].notna())
    measured = {int(step): network.at(row.metric, step, point_keys(points)) for step in every["step"].unique()}
    fitted_again = {step: refits for step, refits in measured.items() if refits and refits.halves.size}
    refits = fitted_again if row.step in fitted_again else measured

    def arranged(metric: str, split: str, *steps: int) -> Float64:
        """One score on one split, (J, T, L); NaN where it was not measured."""
        own = scores.main_points(row.dataset, row.model, metric, split, folds=scores.folds)
        table = own.pivot(index="fold", columns=["step", "depth"], values="value")
        wanted = pd.MultiIndex.from_product([steps, points["depth"]])
        values = table.reindex(index=scores.folds, columns=wanted).to_numpy(dtype=np.float64)
        return values.reshape(len(scores.folds), len(steps), len(points))

    gains = sign_of(row.better) * arranged(row.metric, UNSEEN, *refits)
    seen, probe = (arranged(metric, SEEN, row.step)[:, 0] for metric in (row.metric, "probe_accuracy"))  # (J, L)
    known = tuple(
        KnownScores(
            other_folds=np.delete(gains, fold, axis=0),
            seen=sign_of(row.better) * seen[fold],
            probe=probe[fold],
            other_datasets=other_datasets,
        )
        for fold in range(len(gains))
    )
    halves = [each.halves.mean(axis=1) for each in fitted_again.values()] if refits is fitted_again else []
    on_halves = np.stack(halves, axis=2) if halves else None
    accuracy = every.drop_duplicates("step").set_index("step")["accuracy"]
    return Candidates(use, row, points, accuracy, gains, on_halves, dict(refits), known, network)
