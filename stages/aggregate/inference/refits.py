"""Refits: scores of one network fitted again without each class and on halves of the images, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.inference.contrasts import Float64, Inference
from stages.aggregate.inference.groups import Groups
from stages.aggregate.inference.other_classes import MIN_FOLDS, FoldScores, class_inference, fold_inference
from stages.aggregate.inference.other_images import HalfScores, image_inference
from stages.aggregate.scope import Scope
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF
from stages.shared.tables.scores import Score

MIN_CLASSES = 10
"""Left-out classes (or groups of them) from which on these alone tell of other classes, of a frozen network."""

Key = tuple[str, str]
"""An embedding's `layer` and `pooling`."""


@dataclass(frozen=True)
class Refits:
    """One score of E embeddings of one network at one step, with J folds of unseen classes and S seeds in each.

    Attributes:
        keys: the embeddings.
        values: (J, S, E) of all unseen classes.
        without: (J, S, K, E) of all classes but one; None where the score was not fitted again.
        halves: (J, S, B, E) of halves of the images; None as well.
        score: the facts of the score.
        groups: of the images of each fold; None where these are not grouped.
        frozen: whether the network was measured before any training on these data: then every class is unseen, and one
            fold of many classes tells of others.
    """

    keys: tuple[Key, ...]
    values: Float64
    without: Float64 | None
    halves: Float64 | None
    score: Score
    groups: tuple[Groups, ...] | None = None
    frozen: bool = False

    def take(self, keys: Sequence[Key]) -> "Refits":
        """The same of some embeddings, in this order."""
        at = [self.keys.index(key) for key in keys]
        return self._select(keys, (..., at))

    def of_fold(self, fold: int) -> "Refits":
        """The same of one fold."""
        of_fold = self._select(self.keys, [fold])
        return of_fold if self.groups is None else replace(of_fold, groups=self.groups[fold : fold + 1])

    @property
    def folds(self) -> int:
        """Number of folds, J."""
        return len(self.values)

    def _select(self, keys: Sequence[Key], index: Any) -> "Refits":
        without, halves = (None if part is None else part[index] for part in (self.without, self.halves))
        return replace(self, keys=tuple(keys), values=self.values[index], without=without, halves=halves)


def arrange(
    layers: pd.DataFrame, refits: pd.DataFrame, folds: Sequence[str], seeds: Sequence[int], score: Score
) -> Refits | None:
    """Arrange one score of one network at one step.

    Args:
        layers: its metric rows on the unseen split, of every fold and seed.
        refits: its rows fitted again; may have none.
        folds: in order.
        seeds: in order.
        score: the facts of the score.

    Returns:
        None where a score is missing or not finite.
    """
    cells = pd.MultiIndex.from_product([folds, seeds], names=["fold", "seed"])
    values = layers.pivot(index=["fold", "seed"], columns=["layer", "pooling"], values="value").reindex(cells)
    keys: list[Key] = [(str(key[0]), str(key[1])) for key in values.columns]
    table = values.to_numpy(dtype=np.float64).reshape(len(folds), len(seeds), len(keys))
    if not np.isfinite(table).all():
        return None
    without, halves = (
        _parts_of(refits[refits["kind"] == kind], keys, folds, seeds) for kind in (ALL_BUT_ONE_CLASS, HALF)
    )
    return Refits(tuple(keys), table, without, halves, score)


def over_classes(*networks: Refits) -> Inference | None:
    """Infer about other classes: by left-out classes and folds, or by folds alone where that may stand in.

    Args:
        networks: of the same folds; their embeddings stand one after the other.

    Returns:
        None of fewer than three folds, unless the networks are frozen and have ten classes or more; and where the
        score was not fitted again, or not alike.
    """
    without = [network.without for network in networks]
    several = networks[0].folds >= MIN_FOLDS
    if any(part is None for part in without) or len({part.shape[2] for part in without if part is not None}) > 1:
        stands_in = several and all(network.score.over_folds for network in networks)
        return fold_inference(*(network.values for network in networks)) if stands_in else None
    known = [FoldScores(net.values, part) for net, part in zip(networks, without, strict=True) if part is not None]
    J, _, K, _ = known[0].without.shape
    if not several and not (all(network.frozen for network in networks) and J * K >= MIN_CLASSES):
        return None
    return class_inference(*known)


def over_images(*networks: Refits) -> Inference | None:
    """Infer about other images of these classes.

    Returns:
        None where scores were not fitted again on as many halves, or where the images have too few groups.
    """
    scores = [HalfScores(network.values, network.halves) for network in networks if network.halves is not None]
    if len(scores) < len(networks) or len({each.halves.shape[2] for each in scores}) > 1:
        return None
    return image_inference(*scores, groups=networks[0].groups)


def infer(*networks: Refits) -> dict[Scope, Inference]:
    """Infer about networks of the same folds in every scope that is known, the wider one first."""
    known = {"classes": over_classes(*networks), "images": over_images(*networks)}
    return {scope: inference for scope, inference in known.items() if inference is not None}  # type: ignore[misc]


def lacks_groups(refits: Refits) -> bool:
    """Return whether nothing is said of other images since these have too few groups."""
    return refits.groups is not None and refits.halves is not None and over_images(refits) is None


def unseen_rows(table: pd.DataFrame, metric: str, step: int) -> pd.DataFrame:
    """Rows of one score on the unseen split at one step."""
    return table[(table["metric"] == metric) & (table["step"] == step) & (table["split"] == UNSEEN)]


def _parts_of(rows: pd.DataFrame, keys: Sequence[Key], folds: Sequence[str], seeds: Sequence[int]) -> Float64 | None:
    """Scores of every part of one kind, (J, S, P, E); None where a cell has none, or not as many as the others."""
    if rows.empty:
        return None
    cells = rows.groupby(["fold", "seed"], sort=False)
    tables = {cell: own.pivot(index="part", columns=["layer", "pooling"], values="value") for cell, own in cells}
    wanted = [(fold, seed) for fold in folds for seed in seeds]
    if any(cell not in tables for cell in wanted) or len({len(tables[cell]) for cell in wanted}) > 1:
        return None
    numbered = rows.iloc[0]["kind"] == HALF
    arrays = [
        tables[cell].reindex(columns=pd.MultiIndex.from_tuples(keys)).sort_index(key=_as_number if numbered else None)
        for cell in wanted
    ]
    stacked = np.stack([array.to_numpy(dtype=np.float64) for array in arrays])
    return stacked.reshape(len(folds), len(seeds), -1, len(keys)) if np.isfinite(stacked).all() else None


def _as_number(index: "pd.Index[str]") -> "pd.Index[int]":
    return index.astype(int)
