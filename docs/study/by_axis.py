"""What choosing a layer and a representation reaches on every dataset, at each size of input.

    python -m docs.study.by_axis EMBEDDINGS OUT             # cells that are not in OUT yet, then both tables
    python -m docs.study.by_axis EMBEDDINGS OUT map_at_r    # by one score

EMBEDDINGS holds `SET-NETWORK-SIZE.npz` of `embeddings.py`; OUT gets a file for each and a score. The tables are
`by_axis.csv` and `by_axis_candidates.csv` (every representation's MAP@R).

Classes are divided into folds. Every layer, join and recipe is chosen on the other folds, fitted to their classes, and
judged on its fold's classes. MAP@R is that of the project's `stages.core.representations`, in the gallery of one fold;
images of one group are no neighbours of each other. The probe (`labels.py`) is judged in the same folds, by
cross-validation over images whatever their groups. It chooses among single layers (C = 1), and for a representation
also all of them side by side: columns standardized, each layer's as heavy as another's, C = 0.1.

A row has, chosen among more and more: `habit`, the last layer (of a vision transformer its class token); `layer`, a
single layer; `join`, also layers side by side; `whitened`, also centred or whitened ones; `representation`, also those
whose spread within classes was made round.
"""

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from docs.study.labels import Indices, Matrix, probe
from stages.core.representations.choice import Choice, choose_representation
from stages.core.representations.folds import draw_folds

TABLE = Path(__file__).with_name("by_axis.csv")
CANDIDATES = Path(__file__).with_name("by_axis_candidates.csv")

DATASETS = (
    *("handwriting", "calligraphy", "omniglot", "cifar100", "tinyimagenet", "handsigns"),
    *("trafficsigns", "textures", "bloodcells", "seedlings", "spokendigits"),
)
NETWORKS = {
    "efficientnet_lite0": ("Lite0", (64, 128, 224)),
    "mobilenet_v2": ("MobileNetV2", (64, 224)),
    "vit_small_patch14": ("ViT-S", (56, 224)),
    "vit_small_patch14_few": ("ViT-S, fewer images", (56, 224)),
    "efficientnet_lite0_random": ("Lite0, random weights", (64, 224)),
}
"""Name, and sizes of the input in pixels, the network's own last."""

SCORES = ("map_at_r", "probe_accuracy")

PROBE_IMAGES = 40
"""Of a class, at most."""


class Embedded:
    """One dataset in one network at one size: layers from input to output, classes and groups."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.labels, groups = file["labels"], file["groups"]
            names = sorted((each for each in file.files if each.startswith("layer_")), key=lambda name: "@" in name)
            self.layers: dict[str, Matrix] = {name: file[name] for name in names}
        self.groups = groups if (groups != "").any() else None
        self.poolings = {name: name.partition("@")[2] for name in names}
        self.last = [name for name in names if "@" not in name][-1]


def map_at_r(own: Embedded) -> tuple[dict[str, object], pd.DataFrame]:
    """Judge by MAP@R; also what every candidate scores."""
    choice = choose_representation(
        own.layers, own.labels, own.groups, networks=own.poolings, control=own.last, refits=False
    )
    best = choice.candidates[choice.chosen]
    found = {
        "habit": choice.values[choice.control],
        "layer": choice.score_of(choice.judged_single),
        "join": chosen_among(choice, ["plain"]),
        "whitened": chosen_among(choice, ["plain", "centred", "whitened"]),
        "representation": choice.score,
        "chosen": f"{best.join if best.join != 'single' else best.arrays[0]} {best.recipe}",
        "folds": len(choice.references),
        "classes": len(choice.classes),
        "images": len(own.labels),
    }
    each = zip(choice.candidates, choice.values, strict=True)
    rows = [{"join": c.join, "recipe": c.recipe, "layer": c.arrays[-1], "map_at_r": value} for c, value in each]
    return found, pd.DataFrame(rows)


def chosen_among(choice: Choice, recipes: Collection[str]) -> float:
    """Return what choosing reaches if only some recipes are candidates."""
    own = [number for number, candidate in enumerate(choice.candidates) if candidate.recipe in recipes]
    return choice.score_of(choice.choose_among(own)[1])


def probes(own: Embedded) -> dict[str, object]:
    """Judge by the probe."""
    folds = draw_folds(np.unique(own.labels).tolist())
    layers = {name: [X] for name, X in own.layers.items()}
    every = {"all": [X for name, X in own.layers.items() if "@" not in name]}
    scores = probe_scores(layers | every, own.labels, folds)
    weights = np.bincount(folds)
    table = np.stack([*scores.values()])
    return {
        "habit": float(scores[own.last] @ weights / weights.sum()),
        "layer": chosen_elsewhere(table[:-1], weights),
        "representation": chosen_elsewhere(table, weights),
        "chosen": [*scores][int((table @ weights).argmax())],
        "folds": len(weights),
        "classes": len(folds),
        "images": len(own.labels),
    }


def chosen_elsewhere(scores: NDArray[np.float64], weights: NDArray[np.int64]) -> float:
    """Return the mean over folds of what is best on the others, from (candidates, folds) scores and folds' classes."""
    others = (scores * weights).sum(axis=1, keepdims=True) - scores * weights
    judged = scores[others.argmax(axis=0), np.arange(len(weights))]
    return float(judged @ weights / weights.sum())


def probe_scores(
    candidates: Mapping[str, list[Matrix]], labels: NDArray[np.str_], folds: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Score each candidate, layers side by side, on the classes of every fold, (J,)."""
    rows = images_of_classes(labels)
    found = {}
    for name, layers in candidates.items():
        widths = np.array([X.shape[1] for X in layers])
        scale = np.sqrt(0.1 * widths.mean() / np.repeat(widths, widths)).astype(np.float32) if len(layers) > 1 else None
        X = np.concatenate(layers, axis=1)
        each = [probe(X[rows[folds == fold]][None], 5, 200, scale)[0] for fold in range(folds.max() + 1)]
        found[name] = np.array(each)
    return found


def images_of_classes(labels: NDArray[np.str_]) -> Indices:
    """Draw as many images of each class, (K, n)."""
    random = np.random.default_rng(2609)
    members = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    fewest = min(PROBE_IMAGES, *(len(own) for own in members))
    return np.stack([own[:fewest] for own in members])


def run(embeddings: Path, out: Path, scores: Sequence[str] = SCORES) -> None:
    """Judge what is embedded and not in `out` yet, the largest inputs first, and write both tables."""
    out.mkdir(parents=True, exist_ok=True)
    cells = [(network, size) for network, (_, sizes) in NETWORKS.items() for size in sizes]
    for score, (network, size), name in product(scores, sorted(cells, key=lambda cell: -cell[1]), DATASETS):
        cell = f"{name}-{network}-{size}"
        target, source = out / f"{cell}-{score}.csv", embeddings / f"{cell}.npz"
        if target.exists() or not source.exists():
            continue
        started = time.monotonic()
        keys: dict[str, Any] = {"dataset": name, "network": NETWORKS[network][0], "size": size}
        if score == "map_at_r":
            found, candidates = map_at_r(Embedded(source))
            candidates.assign(**keys).to_csv(out / f"{cell}-candidates.csv", index=False)
        else:
            found = probes(Embedded(source))
        pd.DataFrame([keys | {"score": score} | found]).to_csv(target, index=False)
        print(f"{target.name}: {time.monotonic() - started:.0f} s", flush=True)
    for table, last in ((TABLE, SCORES), (CANDIDATES, ("candidates",))):
        parts = sorted(path for path in out.glob("*.csv") if path.stem.endswith(last))
        pd.concat([pd.read_csv(path) for path in parts]).to_csv(table, index=False, float_format="%.6f")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or SCORES)
