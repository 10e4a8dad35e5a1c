"""Intervals over images against subsampling with everything fitted again, on real embeddings of unseen classes.

Half of each class's images, drawn without replacement and measured from nothing each time, have the spread of as many
images as there are: half as many images double the variance, drawing without replacement halves it. Prints the standard
deviation behind each interval, divided by that of the half-samples.

    OMP_NUM_THREADS=1 python -m tests.bench.half_samples data/embeddings/handwriting/efficientnet_lite0/0/0
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.aggregate.uncertainty.best_layer import stratified_halves
from stages.aggregate.uncertainty.bootstrap import stratified_weights
from stages.aggregate.uncertainty.resampled_scores import CurveScorer
from stages.measure.metrics import METRICS
from stages.shared.embedding_store import open_embeddings
from tests.bench.coverage import scorers_of

SPLIT = "unseen"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path, nargs="+", help="stores of cells")
    parser.add_argument("--draws", type=int, default=20, help="half-samples")
    parser.add_argument("--depths", type=int, nargs="+", help="layers; by default the first, the middle and the last")
    parser.add_argument("--scores", nargs="+", choices=METRICS, default=list(METRICS))
    args = parser.parse_args()
    with threadpool_limits(1):
        rows = [row for path in args.embeddings for row in ratios(path, args.depths, args.scores, args.draws)]
    table = pd.DataFrame(rows).pivot(index="score", columns="cell", values="ratio").loc[args.scores]
    print(table.round(2).to_markdown())


def ratios(path: Path, depths: list[int] | None, scores: list[str], draws: int) -> list[dict[str, Any]]:
    """One row per score and layer of a cell: columns cell, score, ratio."""
    store = open_embeddings(path)
    layers = {layer.depth: layer for layer in reversed(store.layers) if layer.depth >= 0}
    deepest = max(layers)
    y = np.unique(store.labels(SPLIT), return_inverse=True)[1]
    rng, rows = np.random.default_rng(0), []
    for depth in depths or sorted({0, deepest // 2, deepest}):
        X = store.features(layers[depth], store.steps[-1], SPLIT)
        halves = [np.flatnonzero(half) for half in stratified_halves(y, draws, rng)]
        again = [values(scorers_of([X[half]], y[half], scores, i)) for i, half in enumerate(halves)]
        for name, scorer in scorers_of([X], y, scores, draws).items():
            weights = stratified_weights(scorer.y, 500, rng)
            replicates = scorer.replicates(weights, rng)[:, 0, 0]
            ratio = replicates.std(ddof=1) / np.std([each[name] for each in again], ddof=1)
            rows.append({"cell": f"{store.dataset} {store.model} {depth}", "score": name, "ratio": ratio})
    return rows


def values(scorers: dict[str, CurveScorer]) -> dict[str, float]:
    """What scorers give for the images themselves."""
    return {name: float(scorer(np.ones((1, len(scorer.y)), np.float32))[0, 0]) for name, scorer in scorers.items()}


if __name__ == "__main__":
    main()
