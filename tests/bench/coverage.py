"""How often the intervals hold what they should: fresh draws from Gaussian mixtures, scored as the stages score images.

What an interval of one data set should hold is the mean score over many fresh draws of as many images. Every data set
is embedded, measured and resampled as in the stages; a share of 0.95 is aimed at.

    OMP_NUM_THREADS=1 python -m tests.bench.coverage --sets 400 --resamples 500
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.aggregate.metric_info import METRIC_INFO
from stages.aggregate.uncertainty.best_layer import best_set, split_half_lead
from stages.aggregate.uncertainty.bootstrap import interval, stratified_weights
from stages.aggregate.uncertainty.resampled_scores import ClusterScorer, CurveScorer, MeanScorer, OodScorer
from stages.measure.embedded_split import EmbeddedSplit, Settings
from stages.measure.metrics import METRICS, needs_of
from stages.measure.scores.kmeans import Search

SCORES = tuple(METRICS)
DETECTION = ("auroc", "fpr95")
COMPARED = ("knn_purity", "probe_accuracy", "nmi")
AIM = (0.92, 0.98)


@dataclass(frozen=True)
class Mixture:
    """K Gaussian classes of n images in D dimensions; `effect` is the distance of class means over the noise's spread.

    With several effects the images have as many layers, whose noise has half of its variance in common.
    """

    effects: tuple[float, ...]
    D: int = 8
    n: int = 50
    K: int = 5

    @property
    def y(self) -> Any:
        return np.repeat(np.arange(self.K), self.n)

    def draw(self, rng: np.random.Generator, first_class: int = 0) -> list[Any]:
        """One (N, D) embedding for each effect; other classes where `first_class` is K."""
        centres = np.random.default_rng(7).normal(size=(first_class + self.K, self.D))[first_class:]
        common = rng.normal(size=(len(self.y), self.D)) if len(self.effects) > 1 else None
        noises = [rng.normal(size=(len(self.y), self.D)) for _ in self.effects]
        if common is not None:
            noises = [(common + noise) / np.sqrt(2) for noise in noises]
        scale = np.sqrt(2 * self.D)
        return [
            (effect / scale * centres[self.y] + noise).astype(np.float32)
            for effect, noise in zip(self.effects, noises, strict=True)
        ]


MIXTURES = {
    "null": Mixture((0.0,)),
    "weak": Mixture((2.0,)),
    "strong": Mixture((4.0,)),
    "wide": Mixture((4.0,), D=64),
    "other": Mixture((3.0,), D=16, n=30, K=10),
}
"""The last one had no part in finding the widths."""

LAYERS = {"alike": Mixture((2.5,) * 5), "apart": Mixture((2.0, 2.8, 3.2, 3.0, 2.4))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400, help="data sets")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--only", choices=[*MIXTURES, *LAYERS])
    parser.add_argument("--scores", nargs="+", choices=SCORES, default=SCORES)
    args = parser.parse_args()
    with threadpool_limits(1), pd.option_context("display.width", 200, "display.max_columns", None):
        for name, mixture in MIXTURES.items():
            if args.only in (None, name):
                began = time.perf_counter()
                table = summary(intervals(mixture, args.scores, args.sets, args.resamples, detection=True))
                print(f"\n{name}: {mixture}, {time.perf_counter() - began:.0f} s\n{table.round(3)}", flush=True)
        for name, mixture in LAYERS.items():
            if args.only in (None, name):
                for score in COMPARED:
                    result = comparisons(mixture, score, args.sets, args.resamples)
                    print(f"\n{name}, {score}: {mixture}\n{result.round(3).to_string()}", flush=True)


def intervals(
    mixture: Mixture, scores: Sequence[str], sets: int, resamples: int, *, detection: bool = False
) -> pd.DataFrame:
    """Intervals of every score on many data sets: columns score, value, low, high, plain_low, plain_high."""
    rows = []
    for number in range(sets):
        rng = np.random.default_rng([number, 1])
        scorers = scorers_of(mixture.draw(rng), mixture.y, scores, number)
        if detection:
            scorers |= detectors(mixture, rng)
        for name, scorer in scorers.items():
            weights = stratified_weights(scorer.y, resamples, rng)
            value = scorer(np.ones((1, len(scorer.y)), np.float32))[0, 0]
            replicates = scorer.replicates(weights, rng)[:, 0, 0]
            plain = np.quantile(scorer(weights)[:, 0], [0.025, 0.975])
            rows.append((name, value, *interval(replicates, scorer.width), *plain))
    return pd.DataFrame(rows, columns=["score", "value", "low", "high", "plain_low", "plain_high"], dtype=object)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage and width by score; `plain` is the percentile interval of resampled contributions as they are."""
    rows = {}
    for name, each in table.groupby("score", sort=False):
        value, low, high, plain_low, plain_high = each.drop(columns="score").to_numpy(dtype=float).T
        truth = value.mean()
        rows[name] = {
            "mean": truth,
            "sd": value.std(ddof=1),
            "width": (high - low).mean(),
            "coverage": ((low <= truth) & (truth <= high)).mean(),
            "plain width": (plain_high - plain_low).mean(),
            "plain coverage": ((plain_low <= truth) & (truth <= plain_high)).mean(),
        }
    result = pd.DataFrame(rows).T
    within = result["coverage"].between(*AIM)
    result[f"in {AIM[0]}-{AIM[1]}"] = np.where(within, "yes", np.where(result["coverage"] < AIM[0], "below", "above"))
    return result


def scorers_of(layers: Sequence[Any], y: Any, scores: Sequence[str], seed: int) -> dict[str, CurveScorer]:
    """Measure embeddings of the same images, and make the scorer of every score."""
    settings = Settings("none", int(np.bincount(y).max()), Search(5, 1, seed), 1.0, 3, seed, seed)
    splits = [EmbeddedSplit(X, y, settings, needs=needs_of(scores)) for X in layers]
    scorers: dict[str, CurveScorer] = {}
    for name in scores:
        measured = [METRICS[name].score(split) for split in splits]
        if measured[0].per_image is None:
            clusters = np.array([[split.clusters for split in splits]])
            scorers[name] = ClusterScorer(y, clusters, name)  # type: ignore[arg-type]
        else:
            width = METRIC_INFO[name].width
            scorers[name] = MeanScorer(y, np.array([[m.per_image for m in measured]], float), width)
    return scorers


def detectors(mixture: Mixture, rng: np.random.Generator) -> dict[str, CurveScorer]:
    """Scorers of how well the distance to the seen classes' true means tells other classes from them."""
    seen, unseen = mixture.draw(rng)[0], mixture.draw(rng, mixture.K)[0]
    centres = np.random.default_rng(7).normal(size=(mixture.K, mixture.D)) * mixture.effects[0] / np.sqrt(2 * mixture.D)
    images = np.concatenate([seen, unseen])
    distances = np.linalg.norm(images[:, None] - centres, axis=2).min(axis=1)
    y, other = np.concatenate([mixture.y, mixture.y + mixture.K]), np.arange(len(images)) >= len(seen)
    widths = {score: METRIC_INFO[f"ood_{score}_knn"].width for score in DETECTION}
    return {f"ood_{s}": OodScorer(y, other, distances[None, None], s, width) for s, width in widths.items()}


def comparisons(mixture: Mixture, score: str, sets: int, resamples: int) -> pd.Series:
    """How the comparison of layers does: the best set, and the lead of the best layer over the last."""
    values, kept, leads = [], [], []
    for number in range(sets):
        rng = np.random.default_rng([number, 2])
        scorer = scorers_of(mixture.draw(rng), mixture.y, [score], number)[score]
        values.append(scorer(np.ones((1, len(scorer.y)), np.float32))[0])
        replicates = scorer.replicates(stratified_weights(scorer.y, resamples, rng), rng).mean(axis=1)
        kept.append(best_set(values[-1], replicates, "higher"))
        leads.append(split_half_lead(scorer, "higher", rng))
    table, sets_kept = np.array(values), np.array(kept)
    truth, lead = table.mean(axis=0), np.array([each.value for each in leads])
    alike = len(set(mixture.effects)) == 1
    best = range(len(truth)) if alike else [int(truth.argmax())]
    expected = 0.0 if alike else truth.max() - truth[-1]
    return pd.Series(
        {
            "true best layers in the set": float(np.mean([sets_kept[:, layer].mean() for layer in best])),
            "layers in the set": sets_kept.sum(axis=1).mean(),
            "best minus last, truth": expected,
            "best minus last, same images": (table.max(axis=1) - table[:, -1]).mean(),
            "best minus last, halves": lead.mean(),
            "lead's interval holds the truth": np.mean([each.low <= expected <= each.high for each in leads]),
            "lead's interval holds the mean lead": np.mean([each.low <= lead.mean() <= each.high for each in leads]),
            "width of the lead's interval": np.mean([each.high - each.low for each in leads]),
        }
    )


def share_holding(table: pd.DataFrame, score: str, *, shrink: float = 1.0) -> float:
    """Coverage of one score's intervals, made narrower about their value if asked."""
    value, low, high = table.loc[table["score"] == score, ["value", "low", "high"]].to_numpy(dtype=float).T
    low, high = value - shrink * (value - low), value + shrink * (high - value)
    return float(((low <= value.mean()) & (value.mean() <= high)).mean())


if __name__ == "__main__":
    main()
