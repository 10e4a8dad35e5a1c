"""Is it the width of a layer that makes it better? MAP@R of every layer, reduced to as many principal columns.

Layers have from 16 to 1,280 features. Here every layer's rows, raw or scaled to length 1, are projected on their first
principal columns (of the unseen images of that fold) before distances are taken.

    python -m tests.bench.equal_width data/embeddings/DATASET/NETWORK [...] > width.csv

An argument is a folder of embeddings, <fold>/<seed> below it; the first and the last checkpoint are scored.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.embeddings.split_names import UNSEEN

COLUMNS = (16, 64)

Rows = NDArray[np.floating]


def map_at_r(X: Rows, y: NDArray[np.int64]) -> float:
    """Mean average precision at R = n_c - 1 (Musgrave et al. 2020): a plain computation, image by image."""
    X = X.astype(np.float64)
    squares = (X**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * X @ X.T
    np.fill_diagonal(distances, np.inf)
    found = []
    for row, label in zip(distances, y, strict=True):
        R = int((y == label).sum()) - 1
        hits = y[np.argsort(row, kind="stable")[:R]] == label
        found.append((hits * np.cumsum(hits) / np.arange(1, R + 1)).sum() / R)
    return float(np.mean(found))


def rows_of(folder: Path) -> Iterator[dict[str, object]]:
    """Yield the scores of one cell, by checkpoint, layer, kind of rows and number of columns."""
    store = open_embeddings(folder)
    y = np.unique(store.labels(UNSEEN), return_inverse=True)[1]
    for step in sorted({store.steps[0], store.steps[-1]}):
        for layer in (each for each in store.layers if each.depth >= 0):
            X = store.features(layer, step, UNSEEN).astype(np.float64)
            lengths = np.linalg.norm(X, axis=1, keepdims=True)
            for kind, rows in (("raw", X), ("unit", X / np.where(lengths > 0, lengths, 1))):
                reduced = {str(n): PCA(n, svd_solver="full").fit_transform(rows) for n in COLUMNS if X.shape[1] > n}
                for columns in (*map(str, COLUMNS), "all"):
                    value = map_at_r(reduced.get(columns, rows), y)
                    yield {
                        "dataset": store.dataset,
                        "network": store.model,
                        "step": step,
                        "fold": store.fold,
                        "layer": layer.name,
                        "depth": layer.depth,
                        "rows": kind,
                        "columns": columns,
                        "value": round(value, 6),
                    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path, nargs="+", help="folders of one network's embeddings")
    args = parser.parse_args()
    cells = [cell for folder in args.embeddings for cell in sorted(folder.glob("*/*")) if cell.is_dir()]
    pd.DataFrame([row for cell in cells for row in rows_of(cell)]).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
