"""The measured data of each network on each dataset, arranged for inference."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.curves import Catalogue, Key, Name, sign_of
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.inference.per_image_scores import Groups, ImageScores, read_image_scores
from stages.aggregate.read import is_pixels
from stages.shared.core.params import RunParams
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF
from stages.shared.tables.scores import Score


@dataclass(frozen=True)
class Refits:
    """One score of E embeddings of one network at one step, with J folds of unseen classes and S seeds in each.

    Attributes:
        keys: the embeddings.
        values: (J, S, E) of all unseen classes, turned so that higher is better, as what follows is.
        without: (J, S, K, E) of all classes but one, everything fitted again; K is 0 where that was not done.
        halves: (J, S, B, E) of halves of the images; halves 2 i and 2 i + 1 are a pair, the same for every seed. B is 0
            as well.
        score: the facts of the score.
        groups: of the images of each fold; None where these are not grouped.
        frozen: whether the network was measured before any training on these data: then every class is unseen, and one
            fold of many classes tells of others.
    """

    keys: tuple[Key, ...]
    values: Float64
    without: Float64
    halves: Float64
    score: Score
    groups: tuple[Groups, ...] | None = None
    frozen: bool = False

    def take(self, keys: Sequence[Key]) -> "Refits":
        """The same of some embeddings, in this order."""
        at = [self.keys.index(key) for key in keys]
        return replace(self._select((..., at)), keys=tuple(keys))

    def of_fold(self, fold: int) -> "Refits":
        """The same of one fold."""
        return replace(self._select([fold]), groups=self.groups and self.groups[fold : fold + 1])

    def _select(self, index: Any) -> "Refits":
        return replace(self, values=self.values[index], without=self.without[index], halves=self.halves[index])


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
    keys = list(dict.fromkeys(zip(layers["layer"], layers["pooling"], strict=True)))
    half = refits[refits["kind"] == HALF]
    parts = (layers.assign(part=0), refits[refits["kind"] == ALL_BUT_ONE_CLASS], half.astype({"part": int}))
    values, without, halves = (_stack_parts(rows, keys, folds, seeds) * sign_of(score.better) for rows in parts)
    return Refits(tuple(keys), values[:, :, 0], without, halves, score) if values.size else None


def unseen_rows(table: pd.DataFrame, metric: str, step: int) -> pd.DataFrame:
    """Rows of one score on the unseen split at one step."""
    return table[(table["metric"] == metric) & (table["step"] == step) & (table["split"] == UNSEEN)]


def _stack_parts(rows: pd.DataFrame, keys: Sequence[Key], folds: Sequence[str], seeds: Sequence[int]) -> Float64:
    """Scores of every part, (J, S, P, E); P is 0 where some cell does not have as many finite ones as the others."""
    rows = rows.sort_values("part", kind="stable")
    rows = rows.assign(part=rows.groupby(["fold", "seed", "layer", "pooling"]).cumcount())
    cells = pd.MultiIndex.from_product([folds, seeds, sorted(rows["part"].unique())])
    table = rows.pivot(index=["fold", "seed", "part"], columns=["layer", "pooling"], values="value")
    arranged = table.reindex(index=cells, columns=pd.MultiIndex.from_tuples(keys)).to_numpy(dtype=np.float64)
    finite = arranged if np.isfinite(arranged).all() else arranged[:0]
    return finite.reshape(len(folds), len(seeds), len(finite) // (len(folds) * len(seeds)), len(keys))


@dataclass(frozen=True)
class NetworkData:
    """The measured data of one network on one dataset.

    Attributes:
        layers: its metric rows, of all folds that leave classes out and all seeds.
        refits: its rows fitted again; may have none.
        run: the grid.
        catalogue: the facts of every score.
        images: scores of single images; None where a cell kept no contributions.
    """

    layers: pd.DataFrame
    refits: pd.DataFrame
    run: RunParams
    catalogue: Catalogue
    images: ImageScores | None
    _arranged: dict[tuple[str, int], Refits | None] = field(default_factory=dict)

    def at(self, metric: str, step: int, keys: Sequence[Key]) -> Refits | None:
        """Arrange one score of some embeddings at one step; None where the value of any embedding is missing."""
        if (metric, step) not in self._arranged:
            rows, again = (unseen_rows(table, metric, step) for table in (self.layers, self.refits))
            arranged = arrange(rows, again, self.run.numbered, self.run.seeds, self.catalogue[metric])
            groups = tuple(self.images.groups.values()) if self.images else ()
            known = arranged and replace(arranged, groups=groups or None, frozen=step == 0)
            self._arranged[metric, step] = known
        refits = self._arranged[metric, step]
        return refits and refits.take(keys)

    @property
    def pixels(self) -> Key | None:
        """The embedding of raw pixels; None where it was not measured."""
        rows = self.layers[is_pixels(self.layers)]
        return None if rows.empty else (str(rows.iloc[0]["layer"]), str(rows.iloc[0]["pooling"]))


def collect_network_data(
    layers: pd.DataFrame, refits: pd.DataFrame, run: RunParams, catalogue: Catalogue, measures: Path | None = None
) -> dict[Name, NetworkData]:
    """Take the tables of all cells apart by network, and read the images' scores, one network in memory at a time.

    Args:
        layers: metric rows of all cells that leave classes out.
        refits: scores fitted again, of the same cells.
        run: the grid.
        catalogue: the facts of every score.
        measures: holds `<dataset>/<model>/<fold>/<seed>/images.parquet`; None: without them.

    Raises:
        UserError: the cells of one dataset, model and fold hold different images.
    """
    by_network = dict(list(refits.groupby(["dataset", "model"])))
    networks: dict[Name, NetworkData] = {}
    for name, rows in layers.groupby(["dataset", "model"], sort=False):
        dataset, model = map(str, name)
        images = None if measures is None else read_image_scores(measures, rows, run, catalogue)
        networks[dataset, model] = NetworkData(rows, by_network.get(name, refits.head(0)), run, catalogue, images)
    return networks
