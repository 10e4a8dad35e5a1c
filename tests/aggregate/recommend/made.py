"""Random scores of one network on two datasets, as metric rows and rows fitted again, and what follows from them."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from stages.aggregate.curves import Name, Scores, average
from stages.aggregate.network_data import NetworkData, collect_network_data
from stages.aggregate.recommend.candidates import Candidates, collect_candidates
from stages.aggregate.recommend.criteria import KnownScores
from stages.aggregate.tables.summary import summarize
from stages.aggregate.tables.summary_row import SummaryRow
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF, HEAD
from stages.shared.workflow.params import RunParams
from tests.aggregate.synthetic import uncertain

DATASETS, FOLDS, SEEDS, STEPS, LAYERS, HALVES = ["d", "e"], ["0", "1", "2"], [10, 11], [0, 50], "abcde", 6
UNDIRECTED = ("rankme", "alpha_req")
"""Scores by which no layer is chosen."""

RUN = RunParams(datasets=DATASETS, models=["m"], folds=[0, 1, 2], seeds=SEEDS)


def tables(seed: int, *, better: str = "higher", halves: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metric rows and rows fitted again; every number is drawn by itself, so that nothing agrees by chance."""
    random, rows, refits = np.random.default_rng(seed), [], []
    for dataset, fold, seed_, step in product(DATASETS, FOLDS, SEEDS, STEPS):
        cell = {"dataset": dataset, "model": "m", "fold": fold, "seed": seed_, "step": step}
        for depth, layer in enumerate(("pixels", *LAYERS), start=-1):
            place = cell | {"layer": layer, "depth": depth, "pooling": "mean", "parameters": 10 * (depth + 1)}
            place["operations"] = 1000 * (depth + 1) ** 2
            for metric, split in product(("nmi", "probe_accuracy", *UNDIRECTED), ("test", "unseen")):
                rows.append(place | {"metric": metric, "split": split, "value": random.uniform(0.2, 1)})
            parts = [(ALL_BUT_ONE_CLASS, f"class {fold} {i}") for i in range(4)]
            parts += [(HALF, str(i)) for i in range(HALVES)] if halves else []
            refits += [
                place | {"metric": "nmi", "split": "unseen", "kind": kind, "part": part, "value": random.uniform()}
                for kind, part in parts
            ]
        head = cell | {"layer": HEAD, "depth": None, "pooling": "", "parameters": None, "operations": None}
        if step:
            rows.append(head | {"metric": "accuracy", "split": "test", "value": random.uniform()})
    counts = {"n_classes": 4, "n_images": 20}
    chance = 0.0 if better == "higher" else 2.0
    layers = pd.DataFrame(rows).assign(chance=chance, ceiling=1.0, **counts)
    layers["better"] = np.where(layers["metric"].isin(UNDIRECTED), "neither", better)
    return layers.astype({"depth": "Int64", "parameters": "Int64", "operations": "Int64"}), pd.DataFrame(refits)


def gathered(
    layers: pd.DataFrame, refits: pd.DataFrame, run: RunParams = RUN
) -> tuple[list[SummaryRow], Scores, dict[Name, NetworkData]]:
    """What the aggregate stage makes of these tables."""
    better = dict(layers[["metric", "better"]].drop_duplicates().itertuples(index=False))
    catalogue = {name: replace(score, better=better.get(name, score.better)) for name, score in SCORES.items()}
    scores = uncertain(average(layers, run, catalogue))
    return summarize(scores, "nmi"), scores, collect_network_data(layers, refits, run, catalogue)


def candidates(
    layers: pd.DataFrame, refits: pd.DataFrame, run: RunParams = RUN
) -> tuple[list[Candidates], list[SummaryRow], Scores]:
    """What can be chosen for discovery, by NMI, and of what it was collected."""
    summary, scores, networks = gathered(layers, refits, run)
    collected = collect_candidates(summary, scores, networks)
    return [each for each in collected if each.use == "discovery"], summary, scores


def known(elsewhere=None, *, seen=None, probe=None, depths=()) -> KnownScores:
    """What is known of a network of as many layers as the scores on the other folds have, by default five."""
    elsewhere = np.zeros((1, 2, 5)) if elsewhere is None else np.array(elsewhere, dtype=float)
    seen, probe = (np.full(5, np.nan) if part is None else np.array(part, dtype=float) for part in (seen, probe))
    return KnownScores(elsewhere, seen, probe, depths)
