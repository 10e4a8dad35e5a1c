"""Similarity of layers, and scores of single classes, as columns of the page."""

from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.charts.layer_pairs import matrix
from stages.aggregate.curves import MEAN
from stages.aggregate.page.blob import Columns, columns, numbers, rounded
from stages.aggregate.page.networks import SPLITS, Names, Network

Key = tuple[int, int, int, int, str]
"""Network, fold, score and split (places), and a class."""


def layer_similarity(pairs: pd.DataFrame, names: Names) -> Columns:
    """Give the linear CKA of all pairs of layers, of the mean over folds and of each fold, seeds averaged.

    Args:
        pairs: layer_pairs.csv; may be empty.
        names: what places refer to.

    Returns:
        Columns network, fold, split; pixels: whether raw pixels come before the first layer; value: the lower triangle
        of the matrix row by row, the diagonal included.
    """
    rows = []
    for (dataset, model, split), own in pairs.groupby(["dataset", "model", "split"], sort=False):
        number = names.keys.index((str(dataset), str(model)))
        own = own[_on_curve(own, "a", names.networks[number]) & _on_curve(own, "b", names.networks[number])]
        for place, fold in enumerate(names.folds):
            of_fold = own if fold == MEAN else own[own["fold"] == fold]
            if split in SPLITS and len(of_fold):
                values = matrix(of_fold)[1]
                rows.append(
                    {
                        "network": number,
                        "fold": place,
                        "split": SPLITS.index(str(split)),
                        "pixels": bool((of_fold["depth_a"] == -1).any()),
                        "value": numbers(values[np.tril_indices(len(values))]),
                    }
                )
    return columns(rows, ["network", "fold", "split", "pixels", "value"])


def _on_curve(pairs: pd.DataFrame, end: str, network: Network) -> "pd.Series[bool]":
    """Whether one end of each pair is a layer of the network's main curve, or the raw pixels."""
    ends = zip(*(pairs[f"{name}_{end}"] for name in ("layer", "pooling", "depth")), strict=True)
    kept = [(layer, pooling) in network.embeddings or depth == -1 for layer, pooling, depth in ends]
    return pd.Series(kept, index=pairs.index, dtype=bool)


def class_scores(classes: pd.DataFrame, best: Columns, names: Names) -> Columns:
    """Give the scores of single classes at the best and at the last layer.

    Args:
        classes: classes.csv; may be empty.
        best: the page's best layers: that of a score is the one of its mean over folds.
        names: what places refer to.

    Returns:
        Columns network, fold, metric, split, label (a place in labels), best and last; labels, the classes by name.
    """
    chosen = _best_of_means(best)
    found: dict[Key, dict[str, Any]] = {}
    for row in _of_layers(classes, names).itertuples(index=False):
        number, metric = names.keys.index((str(row.dataset), str(row.model))), names.metrics.index(str(row.metric))
        network = names.networks[number]
        if (number, metric) not in chosen or (row.layer, row.pooling) not in network.embeddings:
            continue
        key = (number, names.folds.index(str(row.fold)), metric, SPLITS.index(str(row.split)), str(row.label))
        entry = found.setdefault(key, {"best": None, "last": None})
        own, value = network.place[int(row.depth)], rounded(row.value)  # type: ignore[arg-type]
        entry |= {"best": value} if own == chosen[number, metric] else {}
        entry |= {"last": value} if own == len(network.layers) - 1 else {}
    return _by_column(found)


def _of_layers(classes: pd.DataFrame, names: Names) -> pd.DataFrame:
    """The rows of layers, without the raw pixels and the head, of shown splits and scores."""
    shown = classes["split"].isin(SPLITS) & classes["metric"].isin(names.metrics)
    return classes[shown & (classes["depth"] >= 0).fillna(value=False)]


def _best_of_means(best: Columns) -> dict[tuple[int, int], int]:
    """Network and score -> the place of the layer that is best on average over folds."""
    rows = zip(*(best[name] for name in ("network", "fold", "metric", "best")), strict=True)
    return {(network, metric): layer for network, fold, metric, layer in rows if fold == 0}


def _by_column(found: dict[Key, dict[str, Any]]) -> Columns:
    labels = sorted({label for *_, label in found})
    place = {label: i for i, label in enumerate(labels)}
    names = ("network", "fold", "metric", "split")
    rows = [dict(zip(names, key, strict=False)) | {"label": place[key[-1]]} | entry for key, entry in found.items()]
    return columns(rows, [*names, "label", "best", "last"]) | {"labels": labels}
