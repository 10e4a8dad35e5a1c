"""How sure the scores are, from what each image contributed: intervals, and comparisons of a curve's layers.

Nothing is fitted again (docs/uncertainty.md). The seeds of a dataset and model share their images, and so do all of a
dataset's networks, so that one set of resamples serves them all. One dataset and model is held in memory at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.aggregate.contributions import Contributions, Key
from stages.aggregate.curves import POINT, last_rows
from stages.aggregate.params import AggregateParams
from stages.aggregate.uncertainty.best_layer import best_set, selection_frequency, split_half_lead
from stages.aggregate.uncertainty.bootstrap import Float64, Weights, interval, stratified_weights
from stages.aggregate.uncertainty.resampled_scores import CurveScorer
from stages.aggregate.uncertainty.scorers import build_scorer, splits_of, strata
from stages.shared.seeding import child_seed
from stages.shared.split_names import UNSEEN


@dataclass(frozen=True)
class Resamples:
    """The draws of one dataset's images: the same for every network, score and layer.

    Attributes:
        dataset: its id, of which the seeds are children.
        labels: split -> class of every image.
        params: how many, from which seed.
    """

    dataset: str
    labels: dict[str, NDArray[np.str_]]
    params: AggregateParams

    @cached_property
    def _drawn(self) -> dict[str, Weights]:
        return {split: self._draw(split) for split in self.labels}

    def _draw(self, split: str) -> Weights:
        return stratified_weights(strata(self.labels[split]), self.params.resamples, self._rng(split))

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng(child_seed(self.params.seed, self.dataset, name))

    def weights(self, metric: str, split: str) -> Weights:
        """(B, N) counts of the images that a score of one split is made of."""
        parts = [self._drawn[part] for part in splits_of(metric, split)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def starts(self, metric: str, split: str) -> np.random.Generator:
        """A fresh source of what other k-means starts would add to a score."""
        return self._rng(f"starts {metric} {split}")

    def halves(self) -> np.random.Generator:
        """A fresh source of halves, in the same state for every score and network."""
        return self._rng("halves")


@dataclass(frozen=True)
class Resampled:
    """One score of one split at its last step, of every seed and embedding, on every resample.

    Attributes:
        name: dataset, model, metric, step and split.
        keys: the embeddings.
        seeds: those of the contributions.
        scorer: of all of them.
        replicates: (B, S, L).
    """

    name: dict[str, Any]
    keys: list[Key]
    seeds: list[int]
    scorer: CurveScorer
    replicates: Float64

    def of_cells(self) -> pd.DataFrame:
        """Intervals of every seed's own scores: `name`, layer, pooling, seed, ci_images_low, ci_images_high."""
        tables = (self._table(self.replicates[:, i]).assign(seed=seed) for i, seed in enumerate(self.seeds))
        return pd.concat(tables, ignore_index=True)

    def of_means(self) -> pd.DataFrame:
        """Intervals of the means over seeds, on jointly drawn images: the same columns without seed."""
        return self._table(self.replicates.mean(axis=1))

    def _table(self, replicates: Float64) -> pd.DataFrame:
        low, high = interval(replicates, self.scorer.width)
        table = pd.DataFrame(self.keys, columns=["layer", "pooling"])
        return table.assign(**self.name, ci_images_low=low, ci_images_high=high)


def resample(layers: pd.DataFrame, contributions: Contributions, resamples: Resamples) -> Iterator[Resampled]:
    """Resample every score of every split, all seeds and embeddings at once, where the contributions allow it.

    Args:
        layers: metric rows of one dataset and model.
        contributions: of its images.
        resamples: the dataset's.
    """
    for (metric, split), rows in last_rows(layers).groupby(["metric", "split"], sort=False):
        keys: list[Key] = list(dict.fromkeys(zip(rows["layer"], rows["pooling"], strict=True)))
        name = {key: rows.iloc[0][key] for key in ("dataset", "model", "metric", "step", "split")}
        where, start_sd = (int(name["step"]), str(split)), _start_sd(rows, keys, contributions.seeds)
        scorer = build_scorer(contributions, str(metric), *where, keys, start_sd)
        if scorer is not None:
            weights = resamples.weights(str(metric), str(split))
            replicates = scorer.replicates(weights, resamples.starts(str(metric), str(split)))
            yield Resampled(name, keys, contributions.seeds, scorer, replicates)


def compare_layers(curves: pd.DataFrame, resampled: Resampled, resamples: Resamples) -> Iterator[pd.DataFrame]:
    """Compare the layers of every curve of one score that has a best one, on unseen classes.

    Args:
        curves: means over seeds.
        resampled: the score.
        resamples: the dataset's.

    Yields:
        For each curve `POINT`, selection_frequency, in_best_set, lead, lead_low, lead_high.
    """
    if resampled.name["split"] != UNSEEN:
        return
    here = np.logical_and.reduce([curves[column] == value for column, value in resampled.name.items()])
    for _, points in curves[here].groupby(["main", "pooling"], sort=False):
        points = points.sort_values("depth")
        if points.iloc[0]["better"] != "neither" and points["value"].notna().any():
            yield _compare(points, resampled, resamples)


def _compare(points: pd.DataFrame, resampled: Resampled, resamples: Resamples) -> pd.DataFrame:
    better, values = points.iloc[0]["better"], points["value"].to_numpy(dtype=float)
    layers = [resampled.keys.index(key) for key in zip(points["layer"], points["embedding"], strict=True)]
    scorer, replicates = resampled.scorer.select(layers), resampled.replicates[:, :, layers].mean(axis=1)
    lead = split_half_lead(scorer, better, resamples.halves())
    return points[list(POINT)].assign(
        selection_frequency=selection_frequency(np.clip(replicates, scorer.width.low, scorer.width.high), better),
        in_best_set=best_set(values, replicates, better),
        lead=lead.value,
        lead_low=lead.low,
        lead_high=lead.high,
    )


def _start_sd(rows: pd.DataFrame, keys: Sequence[Key], seeds: Sequence[int]) -> Float64:
    """The standard deviation over k-means starts of every seed and embedding, (S, L); NaN where there is none."""
    found = {tuple(row[:3]): row[3] for row in rows[["seed", "layer", "pooling", "start_sd"]].itertuples(index=False)}
    return np.array([[found.get((seed, *key), np.nan) for key in keys] for seed in seeds], dtype=float)
