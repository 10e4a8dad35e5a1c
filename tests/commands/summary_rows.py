"""A small summary.csv whose numbers are known."""

import pandas as pd

METRICS = ("nmi", "knn_purity", "probe_accuracy")


def rows(dataset: str, model: str, n: int, accuracy: float, seen: float, unseen: float, sd: float = float("nan")):
    """A row per score; `sd` of every mean, none for one seed."""
    row = {
        "dataset": dataset, "model": model, "fold": "mean", "pooling": "mean", "step": 500, "n_seeds": n,
        "accuracy": accuracy,
        "accuracy_sd": sd, "seen": seen, "seen_sd": sd, "seen_depth": 2, "unseen": unseen, "unseen_sd": sd,
        "best_layer": "l1", "best_depth": 1, "last_depth": 2,
    }  # fmt: skip
    return pd.DataFrame([{**row, "metric": metric, "main": metric == "nmi"} for metric in METRICS])


def further_pooling(summary: pd.DataFrame) -> pd.DataFrame:
    """The same rows under another pooling, which is not the main one and scores higher."""
    return summary.assign(pooling="max", main=False, unseen=0.99)
