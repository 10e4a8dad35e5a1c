"""Curves of two networks, made from formulas: scores of one fold or of several, and their means."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from stages.aggregate.curves import ACCURACY, Scores
from stages.aggregate.recommend.shown import Shown
from stages.aggregate.tables.summary_row import SummaryRow
from stages.aggregate.tables.uncertainty import UNCERTAINTY
from stages.core.scores.catalogue import SCORES

LAYERS = ("stem", "blocks.0", "blocks.1", "head_conv")
METRICS = ("nmi", "knn_purity", "nn1_accuracy", "probe_accuracy")
MODELS = ("small", "small_scratch")
NAMES = ["dataset", "model", "fold", "main", "pooling", "metric", "split", "step", "depth", "layer"]


def made_scores(folds: tuple[str, ...] = ("0",), n_seeds: int = 2) -> Scores:
    """Unseen scores peak at depth 2, seen ones at the end; both grow with the step; each fold is a little higher."""
    rows = [
        {"dataset": "handwriting", "model": model, "fold": fold, "main": True, "pooling": "mean", "metric": metric}
        | {"split": split, "step": step, "depth": depth, "layer": LAYERS[depth], "parameters": 10 * (depth + 1)}
        | {"operations": 100 * (depth + 1)}
        | {"value": _value(split, step, depth) - 0.1 * len(model) / 13 + 0.02 * int(fold), "sd": 0.01 * (1 + depth)}
        for model, fold, metric, split, step, depth in product(
            MODELS, folds, METRICS, ("test", "unseen"), (0, 50, 100), range(4)
        )
    ]
    curves = _with_mean(pd.DataFrame(rows), NAMES)
    curves = curves.assign(chance=0.02, ceiling=1.0, better="higher", embedding="mean")
    curves = curves.assign(**dict.fromkeys(UNCERTAINTY, np.nan)).astype(UNCERTAINTY)
    trained = curves["step"] > 0
    curves = curves.assign(pixels=0.1, **dict.fromkeys(ACCURACY, np.nan))
    curves["accuracy"] = (0.4 + curves["step"] / 250).where(trained)
    curves["accuracy_sd"], curves["accuracy_chance"] = np.where(trained, 0.01, np.nan), np.where(trained, 0.1, np.nan)
    return Scores(curves=curves, folds=folds, n_seeds=n_seeds, catalogue=SCORES)


def shown(scores: Scores, rows: Sequence[SummaryRow] = ()) -> Shown:
    """What figures show of scores at their last step."""
    return Shown(scores, rows, replace(scores, curves=scores.curves.head(0)))


def _value(split: str, step: int, depth: int) -> float:
    shape = 0.3 + 0.15 * depth if split == "test" else 0.7 - 0.1 * (depth - 2) ** 2
    return shape * (0.5 + step / 200)


def _with_mean(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Put the means over folds below the folds."""
    means = (
        rows.assign(fold="mean")
        .groupby(names, sort=False, as_index=False)[["value", "sd", "parameters", "operations"]]
        .mean()
    )
    return pd.concat([rows, means], ignore_index=True)
