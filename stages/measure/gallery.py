"""Where each layer puts the unseen images that have a thumbnail: for a page that shows what a score means."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from ..core.scores.arrays import Float32, Rows
from ..core.scores.description import Normalize
from ..core.scores.embedded_split import centred, scaled
from ..shared.embeddings.embeddings import Embeddings, Layer
from ..shared.embeddings.split_names import UNSEEN
from ..shared.tables.gallery import GALLERY

NEIGHBOURS = 5


def gallery(store: Embeddings, pictured: Collection[str], *, normalize: Normalize) -> pd.DataFrame:
    """Place the pictured images of a cell's unseen split, by every layer at the last step.

    Args:
        store: the cell's embeddings.
        pictured: ids of the images that have a thumbnail, of this cell's classes and of others.
        normalize: as `measure.normalize`.

    Returns:
        A row per layer and image, in the columns of `stages.shared.tables.gallery`; none without unseen images.
    """
    samples = store.samples[store.samples["split"] == UNSEEN]
    rows = np.flatnonzero(samples["sample_id"].isin(list(pictured)))
    shown = samples.iloc[rows][["sample_id", "label"]]
    layers = store.layers if len(rows) else ()
    with threadpool_limits(1):  # the same digits whatever the number of processors
        tables = [layer_gallery(store, layer, rows, shown, normalize=normalize) for layer in layers]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*GALLERY])


def layer_gallery(
    store: Embeddings, layer: Layer, rows: Rows, shown: pd.DataFrame, *, normalize: Normalize
) -> pd.DataFrame:
    """Place the shown images, rows of the unseen split, by one layer."""
    X = scaled(store.features(layer, store.steps[-1], UNSEEN), normalize)
    plane, explained = principal_plane(X)
    ids = shown["sample_id"].to_numpy()
    neighbours = [ids[nearest].tolist() for nearest in nearest_rows(X[rows], NEIGHBOURS)]
    columns = {"sample_id": ids, "label": shown["label"].to_numpy(), "x": plane[rows, 0], "y": plane[rows, 1]}
    names = dict(zip(("layer", "depth", "pooling"), layer.keys, strict=True))
    return pd.DataFrame(names | columns | {"neighbours": neighbours, "explained": explained})


def principal_plane(X: Float32) -> tuple[Float32, float]:
    """Project an embedding on its first two principal axes.

    The sign of an axis is such that its loading of largest magnitude is positive, as scikit-learn has it.

    Args:
        X: (N, D) float32.

    Returns:
        (N, 2) float32, where D or N is smaller the rest 0, and their share of the variance, 0 where all rows are equal.
    """
    difference, plane = centred(X).astype(np.float64), np.zeros((len(X), 2), dtype=np.float32)
    if not difference.any():
        return plane, 0.0
    axes = min(2, *X.shape)
    solver = "arpack" if min(X.shape) > axes else "full"  # both exact to rounding; arpack finds no more than it must
    pca = PCA(axes, svd_solver=solver, random_state=0, copy=False)
    plane[:, :axes] = pca.fit_transform(difference)
    return plane, float(pca.explained_variance_ratio_.sum())


def nearest_rows(X: Float32, count: int) -> NDArray[np.int64]:
    """Find the nearest other rows of every row by Euclidean distance, equal ones in their order.

    Args:
        X: (N, D) float32.
        count: how many; all others where there are fewer.

    Returns:
        (N, min(count, N - 1)), nearest first.
    """
    distances = cdist(X.astype(np.float64), X.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, : min(count, len(X) - 1)]
