"""Metric rows of one network and those fitted again, as frames, from random arrays."""

import numpy as np
import pandas as pd

from stages.core.inference.layer_comparison import best_score, score_contrasts
from stages.core.inference.refitted import Refits
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF


def random_refits(J=4, S=2, K=5, B=20, E=4, *, seed=0, spread=0.05, score=SCORES["nmi"], frozen=False) -> Refits:
    """Layers whose scores rise to the last but one; classes move all layers together, halves each a bit."""
    random = np.random.default_rng(seed)
    level = np.linspace(0.3, 0.6, E)
    level[-1] = 0.4
    values = level + random.normal(0, spread, (J, 1, E)) + random.normal(0, spread / 5, (J, S, E))
    without = values[:, :, None] + random.normal(0, spread, (J, S, K, 1)) + random.normal(0, spread / 5, (J, S, K, E))
    halves = values[:, :, None] + random.normal(0, spread / 3, (J, S, B, E))
    return refits_of(values, without, halves, score=score, frozen=frozen)


def refits_of(values, without=None, halves=None, *, score=SCORES["nmi"], frozen=False) -> Refits:
    """Refits of these arrays, of layers `layer0`, `layer1`, ...; by default without parts that were fitted again."""
    none = values[:, :, None][:, :, :0]
    without, halves = (none if part is None else part for part in (without, halves))
    keys = tuple((f"layer{i}", "mean") for i in range(values.shape[-1]))
    return Refits(keys, values, without, halves, score, frozen=frozen)


def best_of(inference, spread=1.0):
    """The score of the layer that looks best, without limits unless a `spread` is given."""
    return best_score(inference, score_contrasts(inference, spread * np.ones(len(inference.mean))))


def layer_estimates(inference) -> list:
    """Every layer's mean score, each alone."""
    layers = np.eye(len(inference.mean))
    return [inference.contrasts(layers).estimate(layer) for layer in range(len(layers))]


def as_frames(replicates: Refits, *, metric="nmi", step=100, split="unseen", **network) -> tuple:
    """The two tables that hold these scores, rows in random order."""
    J, S, E = replicates.values.shape
    common = {"dataset": "d", "model": "m", "metric": metric, "step": step, "split": split} | network
    layers, refits = [], []
    for j, s, e in np.ndindex(J, S, E):
        layer, pooling = replicates.keys[e]
        place = common | {"fold": str(j), "seed": 10 + s, "layer": layer, "pooling": pooling, "depth": e}
        layers.append(place | {"value": replicates.values[j, s, e]})
        for kind, part in ((ALL_BUT_ONE_CLASS, replicates.without), (HALF, replicates.halves)):
            names = [f"class {j} {i}" if kind == ALL_BUT_ONE_CLASS else str(i) for i in range(part.shape[2])]
            refits += [
                place | {"kind": kind, "part": name, "value": value}
                for name, value in zip(names, part[j, s, :, e], strict=True)
            ]
    return tuple(pd.DataFrame(rows).sample(frac=1, random_state=0) for rows in (layers, refits))
