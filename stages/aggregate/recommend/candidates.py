"""What can be chosen for one network: every layer at every checkpoint at which its score was fitted again on halves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.inference.intervals import point_keys
from stages.aggregate.inference.layer_comparison import Direction, sign_of
from stages.aggregate.inference.network_data import Name, NetworkData
from stages.aggregate.inference.refits import Key, Refits, unseen_rows
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


@dataclass(frozen=True)
class Candidates:
    """Layers and checkpoints of one network for one use; J folds, T steps, L layers, B halves of the images.

    Gains are the leading scores of unseen classes, means over seeds, turned so that higher is better.

    Attributes:
        use: what features are for.
        row: the network's row of summary.csv of the use's leading score.
        points: (L) the layers by depth: columns layer, embedding, depth, parameters, operations.
        steps: (T) ascending. Without halves all at which the score was measured.
        gains: (J, T, L).
        halves: (J, B, T, L) on halves of the images, 2 i and 2 i + 1 a pair; None where nothing was fitted again.
        refits: of each step, all embeddings; None where a value is missing.
        known: of each fold, what a criterion may see.
        pixels: the embedding of raw pixels; None where it was not measured.
        n_classes: unseen classes of one fold, of the largest if they differ.
        n_images: their images, of all folds together.
    """

    use: Use
    row: SummaryRow
    points: pd.DataFrame
    steps: tuple[int, ...]
    gains: Float64
    halves: Float64 | None
    refits: tuple[Refits | None, ...]
    known: tuple[KnownScores, ...]
    pixels: Key | None
    n_classes: int
    n_images: int

    @property
    def means(self) -> Float64:
        """Gains, means over folds, (T, L)."""
        return np.asarray(self.gains.mean(axis=0))

    @property
    def label_free(self) -> set[str]:
        """The label-free scores that were measured."""
        return set(self.known[0].label_free)

    @property
    def better(self) -> Direction:
        """Which values of the leading score are better."""
        return self.row.direction

    @property
    def sign(self) -> float:
        """What turns a gain into a score, and a score into a gain."""
        return sign_of(self.better)

    @property
    def keys(self) -> list[Key]:
        """The layers' embeddings."""
        return point_keys(self.points)


def collect_candidates(
    summary: Sequence[SummaryRow], scores: Scores, networks: dict[Name, NetworkData]
) -> list[Candidates]:
    """Collect what can be chosen for every network and use, in the order of the grid and of `LEADING`.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds, fold by fold and over folds.
        networks: the measured data of each.
    """
    candidates = []
    for main in [row for row in summary if row.main]:
        alike = [row for row in summary if (row.model, row.fold, row.pooling) == (main.model, main.fold, main.pooling)]
        of_curve = {row.metric: row for row in alike if row.dataset == main.dataset}
        for use, metric in leading_scores(of_curve, main.metric, scores.catalogue).items():
            others = [row for row in summary if row.metric == metric and row.fold == MEAN and row.model == main.model]
            elsewhere = [row for row in others if row.dataset != main.dataset and row.last_depth > 0]
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
    own = scores.curves
    own = own[own["main"] & (own["dataset"] == row.dataset) & (own["model"] == row.model)]
    every = scores.main_points(row.dataset, row.model, row.metric)
    measured, points = sorted(int(step) for step in every["step"].unique()), every[every["step"] == row.step]
    found = {step: network.at(row.metric, step) for step in measured}
    fitted_again = [step for step, each in found.items() if each is not None and each.halves is not None]
    steps = fitted_again if row.step in fitted_again else measured
    arranged = _Arranged(own, scores.folds, points["depth"].tolist())
    gains = sign_of(row.direction) * arranged.of(row.metric, UNSEEN, steps)
    keys = point_keys(points)
    counts = unseen_rows(network.layers, row.metric, row.step).groupby("fold")[["n_classes", "n_images"]].max()
    label_free = [name for name, score in scores.catalogue.items() if score.label_free]
    return Candidates(
        use=use,
        row=row,
        points=points[["layer", "embedding", "depth", "parameters", "operations"]].reset_index(drop=True),
        steps=tuple(steps),
        gains=gains,
        halves=sign_of(row.direction) * _halves([found[step] for step in steps], keys)
        if row.step in fitted_again
        else None,
        refits=tuple(found[step] for step in steps),
        known=_known(row, arranged, gains, label_free, other_datasets),
        pixels=network.pixels,
        n_classes=int(counts["n_classes"].max()),
        n_images=int(counts["n_images"].sum()),
    )


@dataclass(frozen=True)
class _Arranged:
    """Arranges one network's main curves by fold, step and layer."""

    curves: pd.DataFrame
    folds: Sequence[str]
    depths: Sequence[int]

    def of(self, metric: str, split: str, steps: Sequence[int]) -> Float64:
        """One score on one split, (J, T, L); NaN where it was not measured."""
        rows = self.curves[(self.curves["metric"] == metric) & (self.curves["split"] == split)]
        table = rows.pivot(index="fold", columns=["step", "depth"], values="value")
        wanted = pd.MultiIndex.from_product([list(steps), list(self.depths)])
        values = table.reindex(index=list(self.folds), columns=wanted).to_numpy(dtype=np.float64)
        return values.reshape(len(self.folds), len(steps), len(self.depths))


def _known(
    row: SummaryRow,
    arranged: _Arranged,
    gains: Float64,
    label_free_scores: Sequence[str],
    other_datasets: tuple[float, ...],
) -> tuple[KnownScores, ...]:
    def last(metric: str, split: str) -> Float64:
        return arranged.of(metric, split, [row.step])[:, 0]

    seen, probe = sign_of(row.direction) * last(row.metric, SEEN), last("probe_accuracy", SEEN)
    label_free = {score: last(score, UNSEEN) for score in label_free_scores}
    return tuple(
        KnownScores(
            other_folds=np.delete(gains, fold, axis=0),
            seen=_measured(seen[fold]),
            probe=_measured(probe[fold]),
            label_free={score: values[fold] for score, values in label_free.items() if np.isfinite(values[fold]).any()},
            other_datasets=other_datasets,
        )
        for fold in range(len(gains))
    )


def _measured(values: Float64) -> Float64 | None:
    return None if np.isnan(values).all() else values


def _halves(steps: Sequence[Refits | None], keys: Sequence[Key]) -> Float64:
    """Scores on halves, (J, B, T, L), means over seeds."""
    taken = [each.take(keys).halves for each in steps if each is not None]
    return np.stack([part.mean(axis=1) for part in taken if part is not None], axis=2)
