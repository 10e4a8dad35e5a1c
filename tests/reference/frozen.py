"""What rules of choosing a layer lose on the frozen networks of docs/frozen: a table of recommend.md."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SCORES = {"classifier": "probe_accuracy", "retrieval": "map_at_r", "discovery": "nmi"}
BESIDE = "knn_purity"

Curves = Mapping[str, NDArray[np.float64]]
"""Of one network, by score: (F, L) values of F folds at L layers."""


def frozen_table(folder: Path) -> str:
    """Lay out the mean loss over folds of every rule, by use, on every dataset and network, and their mean."""
    layers = pd.read_csv(folder / "layers.csv", dtype={"fold": str})
    layers = layers[layers["depth"] >= 0]
    networks: dict[tuple[str, str], dict[str, NDArray[np.float64]]] = {}
    for (dataset, model, score), own in layers.groupby(["dataset", "model", "metric"]):
        values = own.pivot_table("value", "fold", "depth").to_numpy()
        networks.setdefault((str(dataset), str(model)), {})[str(score)] = values
    losses: dict[tuple[str, str], list[float]] = {}
    for dataset, model in networks:
        others = [each for pair, each in networks.items() if pair[0] == dataset and pair[1] != model]
        for use, score in SCORES.items():
            for rule, loss in losses_of(networks[dataset, model], score, [each[score] for each in others]):
                losses.setdefault((use, rule), []).append(loss)
    rows = [[*key, *(f"{loss:.3f}" for loss in (*found, np.mean(found)))] for key, found in losses.items()]
    heads = ["use", "layer chosen by", *map(" ".join, networks), "mean"]
    return pd.DataFrame(rows, columns=heads).to_markdown(index=False, disable_numparse=True)


def losses_of(curves: Curves, score: str, on_others: list[NDArray[np.float64]]) -> Iterator[tuple[str, float]]:
    """What each rule's layer is worse by than the best one of the fold that is left out, mean over folds."""
    values, folds = curves[score], range(len(curves[score]))
    last = values.shape[1] - 1
    chosen: dict[str, list[NDArray[np.int64]]] = {}
    for fold in folds:
        mean = {name: np.delete(curves[name], fold, axis=0).mean(axis=0) for name in {score, "nmi", BESIDE}}
        rules = {
            "the score on other folds": mean[score].argmax(),
            "the last layer": last,
            "the layer before the last": last - 1,
            "two thirds of the depth": round(last * 2 / 3),
            "random layer, on average": range(last + 1),
            "the same on other networks": [
                round(best.argmax() / (len(best) - 1) * last)
                for best in (np.delete(each, fold, axis=0).mean(axis=0) for each in on_others)
            ],
        }
        if score == "nmi":
            rules["z(NMI) + z(k-NN purity) there"] = np.sum(
                [z_scores(mean[name]) for name in ("nmi", BESIDE)], axis=0
            ).argmax()
        else:
            rules["NMI on other folds"] = mean["nmi"].argmax()
        for rule, layers in rules.items():
            chosen.setdefault(rule, []).append(np.atleast_1d(layers))
    for rule, of_folds in chosen.items():
        yield rule, float(np.mean([values[fold].max() - values[fold, of_folds[fold]].mean() for fold in folds]))


def z_scores(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract a curve's mean over layers, and divide by its standard deviation."""
    return np.asarray((curve - curve.mean()) / curve.std())
