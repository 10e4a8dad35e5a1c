"""The linear probe's predictions against those of the optimum, on real embeddings.

At every layer of a cell's last checkpoint, of seen and unseen images, counts the held-out predictions that differ from
scikit-learn's in double precision at a tolerance of 1e-9, for the stage's own tolerance and for looser ones.

    OMP_NUM_THREADS=1 python -m tests.bench.probe_solver data/embeddings/handwriting/efficientnet_lite0/0/0
"""

import argparse
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stages.core.scores import probe
from stages.shared.embeddings.embedding_store import open_embeddings

C, FOLDS, SEED = 1.0, 5, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path, help="store of a cell")
    parser.add_argument("--depths", type=int, nargs="+", help="layers; by default all")
    parser.add_argument("--tolerances", type=float, nargs="+", default=[probe.TOLERANCE, 1e-5, 1e-4])
    args = parser.parse_args()
    with threadpool_limits(1):
        counted, differ = differences(args.embeddings, args.depths, args.tolerances)
    for tolerance in args.tolerances:
        print(f"tolerance {tolerance:g}: {differ[tolerance]} of {counted} predictions differ from the optimum's")


def differences(path: Path, depths: list[int] | None, tolerances: list[float]) -> tuple[int, Counter[float]]:
    """Number of predictions, and by tolerance how many of them are not the optimum's."""
    store = open_embeddings(path)
    counted, differ = 0, Counter[float]()
    layers = [layer for layer in store.layers if layer.depth >= 0 and (depths is None or layer.depth in depths)]
    for layer in layers:
        for split in ("test", "unseen"):
            X = store.features(layer, store.steps[-1], split)
            y = np.unique(store.labels(split), return_inverse=True)[1]
            best = optimum(X, y)
            counted += len(y)
            for tolerance in tolerances:
                with patch.object(probe, "TOLERANCE", tolerance):
                    scores = probe.held_out_scores(X, y, C=C, folds=FOLDS, seed=SEED)
                differ[tolerance] += int((scores.argmax(axis=1) != best).sum())
    return counted, differ


def optimum(X: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Held-out predictions of scikit-learn's own pipeline, double precision, (N,)."""
    predictions = np.empty_like(y)
    for train, held_out in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(X, y):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=C, solver="newton-cg", tol=1e-9, max_iter=10000))
        predictions[held_out] = model.fit(X[train].astype(np.float64), y[train]).predict(X[held_out].astype(np.float64))
    return predictions


if __name__ == "__main__":
    main()
