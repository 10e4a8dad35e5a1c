"""How sure the scores are, from what each image contributed: intervals, and comparisons of a curve's layers.

Nothing is fitted again (docs/uncertainty.md). The seeds of a dataset and model share their images, and so do all of a
dataset's networks, so that one set of resamples serves them all. One dataset and model is held in memory at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.aggregate.contributions import Images, Key
from stages.aggregate.curves import Scores, last_rows
from stages.aggregate.params import AggregateParams
from stages.aggregate.uncertainty.best_layer import best_set, selection_frequency, split_half_lead
from stages.aggregate.uncertainty.bootstrap import Weights, interval, stratified_weights
from stages.aggregate.uncertainty.resampled_scores import CurveScorer
from stages.aggregate.uncertainty.scorers import build_scorer, splits_of, strata
from stages.shared.seeding import child_seed
from stages.shared.split_names import UNSEEN

Floats = NDArray[np.float64]
CI = ["ci_images_low", "ci_images_high"]
COMPARISON = ["selection_frequency", "in_best_set"]
LEAD = ["lead", "lead_low", "lead_high"]


@dataclass(frozen=True)
class Resamples:
    """The draws of one dataset's images: the same for every network, score and layer.

    Attributes:
        dataset: its id, of which the seeds are children.
        images: of one model, for the classes.
        params: how many, from which seed.
    """

    dataset: str
    images: Images
    params: AggregateParams

    @cached_property
    def _drawn(self) -> dict[str, Weights]:
        return {split: self._draw(split) for split in self.images.labels}

    def _draw(self, split: str) -> Weights:
        return stratified_weights(strata(self.images.labels[split]), self.params.resamples, self._rng(split))

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
class _Sampled:
    """One score of one split, of every seed and embedding, on every resample.

    Attributes:
        rows: the metric rows.
        keys: the embeddings.
        seeds: in the order of the images' blocks.
        scorer: of all of them.
        replicates: (B, S, L).
    """

    rows: pd.DataFrame
    keys: list[Key]
    seeds: list[int]
    scorer: CurveScorer
    replicates: Floats


def add_intervals(
    layers: pd.DataFrame, scores: Scores, images: Images, seeds: list[int], resamples: Resamples
) -> tuple[pd.DataFrame, Scores]:
    """Fill what the images of one dataset and model say about its scores at their last step.

    Args:
        layers: metric rows of the dataset and model.
        scores: the means over seeds of all.
        images: what its networks made of its images, by seed.
        seeds: of the blocks of `images`.
        resamples: the dataset's.

    Returns:
        The metric rows with `CI`; the scores with `CI`, and on unseen classes `COMPARISON` and `LEAD`.
    """
    layers, curves, accuracy = layers.copy(), scores.curves.copy(), scores.accuracy.copy()
    name = layers.iloc[0]
    of_model = (curves["dataset"] == name["dataset"]) & (curves["model"] == name["model"])
    for sampled in _sampled(layers, images, seeds, resamples):
        metric, split, step = (sampled.rows.iloc[0][key] for key in ("metric", "split", "step"))
        layers.loc[sampled.rows.index, CI] = _cell_intervals(sampled)
        here = (curves["metric"] == metric) & (curves["split"] == split) & (curves["step"] == step)
        for _, points in curves[of_model & here].groupby(["main", "pooling"], sort=False):
            points = points.sort_values("depth")
            curves.loc[points.index, CI] = _mean_intervals(sampled, points)
            if split == UNSEEN and points.iloc[0]["better"] != "neither" and points["value"].notna().any():
                _compare(curves, points, sampled, images, resamples)
        if metric == "accuracy":
            head = (accuracy["dataset"] == name["dataset"]) & (accuracy["model"] == name["model"])
            accuracy.loc[head & (accuracy["step"] == step), CI] = _joint(sampled, [0])
    return layers, replace(scores, curves=curves, accuracy=accuracy)


def _sampled(layers: pd.DataFrame, images: Images, seeds: list[int], resamples: Resamples) -> Iterator[_Sampled]:
    """Resample every score of every split, all seeds and embeddings at once, where the images allow it."""
    for (metric, split), rows in last_rows(layers).groupby(["metric", "split"], sort=False):
        keys: list[Key] = list(dict.fromkeys(zip(rows["layer"], rows["pooling"], strict=True)))
        where = int(rows.iloc[0]["step"]), str(split)
        scorer = build_scorer(images, str(metric), *where, keys, _start_sd(rows, keys, seeds))
        if scorer is not None:
            weights = resamples.weights(str(metric), str(split))
            replicates = scorer.replicates(weights, resamples.starts(str(metric), str(split)))
            yield _Sampled(rows, keys, seeds, scorer, replicates)


def _start_sd(rows: pd.DataFrame, keys: list[Key], seeds: list[int]) -> Floats:
    """The standard deviation over k-means starts of every seed and embedding, (S, L); NaN where there is none."""
    found = {tuple(row[:3]): row[3] for row in rows[["seed", "layer", "pooling", "start_sd"]].itertuples(index=False)}
    return np.array([[found.get((seed, *key), np.nan) for key in keys] for seed in seeds], dtype=float)


def _cell_intervals(sampled: _Sampled) -> Floats:
    """Ends of every row's own interval, (rows, 2)."""
    seeds = [sampled.seeds.index(seed) for seed in sampled.rows["seed"]]
    pairs = zip(sampled.rows["layer"], sampled.rows["pooling"], strict=True)
    keys = [sampled.keys.index(pair) for pair in pairs]
    return np.stack(interval(sampled.replicates[:, seeds, keys], sampled.scorer.width), axis=1)


def _mean_intervals(sampled: _Sampled, points: pd.DataFrame) -> Floats:
    """Ends of the intervals of a curve's points, means over seeds on jointly drawn images, (L, 2)."""
    return np.stack(interval(_replicates(sampled, points), sampled.scorer.width), axis=1)


def _joint(sampled: _Sampled, columns: list[int]) -> Floats:
    return np.stack(interval(sampled.replicates[:, :, columns].mean(axis=1), sampled.scorer.width), axis=1)


def _replicates(sampled: _Sampled, points: pd.DataFrame) -> Floats:
    """(B, L) resampled means over seeds of a curve's points."""
    return np.asarray(sampled.replicates[:, :, [sampled.keys.index(key) for key in _keys(points)]].mean(axis=1))


def _keys(points: pd.DataFrame) -> list[Key]:
    return list(zip(points["layer"], points["embedding"], strict=True))


def _compare(
    curves: pd.DataFrame, points: pd.DataFrame, sampled: _Sampled, images: Images, resamples: Resamples
) -> None:
    """Fill `COMPARISON` of a curve's unseen points and `LEAD` of the whole curve, in place."""
    first, replicates = points.iloc[0], _replicates(sampled, points)
    values = points["value"].to_numpy(dtype=float)
    possible = np.clip(replicates, sampled.scorer.width.low, sampled.scorer.width.high)
    curves.loc[points.index, COMPARISON[0]] = selection_frequency(possible, first["better"])
    curves.loc[points.index, COMPARISON[1]] = best_set(values, replicates, first["better"])
    keys = _keys(points)
    start_sd = _start_sd(sampled.rows, keys, sampled.seeds)
    scorer = build_scorer(images, first["metric"], int(first["step"]), UNSEEN, keys, start_sd)
    assert scorer is not None  # it has fewer embeddings than the one that was resampled
    lead = split_half_lead(scorer, first["better"], resamples.halves())
    curves.loc[points.index, LEAD] = [lead.value, lead.low, lead.high]
