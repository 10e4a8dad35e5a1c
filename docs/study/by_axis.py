"""What enlarging, choosing a layer and choosing a representation gain on every dataset, each on top of the one before.

    python -m docs.study.by_axis EMBEDDINGS OUT    # what is not in OUT yet, then by_axis.csv
    python -m docs.study.by_axis                   # prints the table

EMBEDDINGS holds `SET-NETWORK-SIZE.npz` of `embeddings.py`; OUT gets a file for each dataset and network. Classes are
divided into folds. Every layer, join and recipe is chosen on the other folds, fitted to their classes, and judged on
its fold's classes. MAP@R is that of the project's `stages.core.representations`, in the gallery of one fold; images of
one group are no neighbours of each other. The probe (`labels.py`) is judged in the same folds, by cross-validation over
images. It chooses among single layers (C = 1), and for a representation also all of them side by side: columns
standardized, each layer's as heavy as another's, C = 0.1.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from docs.study.labels import Indices, Matrix, probe
from docs.study.tables import markdown
from stages.core.representations.choice import Choice, choose_representation

TABLE = Path(__file__).with_name("by_axis.csv")
KINDS = {
    "strokes": ("handwriting", "calligraphy", "omniglot"),
    "photos": ("cifar100", "tinyimagenet"),
    "others": ("handsigns", "trafficsigns", "textures", "bloodcells", "seedlings", "spokendigits"),
}
NETWORKS = {
    "efficientnet_lite0": ("Lite0", 64, 224),
    "mobilenet_v2": ("MobileNetV2", 64, 224),
    "vit_small_patch14": ("ViT-S", 56, 224),
}
"""Name, a small size of input, and the network's own."""

PROBE_IMAGES = 40
"""Of a class, at most."""

STEPS = {
    "small": "habit, small",
    "habit": "habit, own size",
    "layer": "chosen layer",
    "representation": "chosen representation",
}
"""Column -> heading: the last layer at the small and at the own size, and what is chosen at the own size."""


class Embedded:
    """One dataset in one network at one size: layers from input to output, classes and groups."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.labels, groups = file["labels"], file["groups"]
            names = sorted(each for each in file.files if each.startswith("layer_") and "@" not in each)
            self.layers: dict[str, Matrix] = {name: file[name] for name in names}
        self.groups = groups if (groups != "").any() else None


def map_at_r(small: Embedded, own: Embedded) -> dict[str, object]:
    """Judge by MAP@R."""
    last = [*small.layers][-1]
    before = choose_representation({last: small.layers[last]}, small.labels, small.groups, recipes=["plain"])
    choice = choose_representation(own.layers, own.labels, own.groups)
    scores = {
        "small": before.values[before.control],
        "habit": choice.values[choice.control],
        "layer": choice.score_of(choice.judged_single),
        "representation": choice.score,
    }
    folds = len(choice.references)
    return scores | {
        "folds": folds,
        "chosen": _named(choice),
        "classes": len(choice.classes),
        "images": len(own.labels),
    }


def _named(choice: Choice) -> str:
    best = choice.candidates[choice.chosen]
    return f"{best.join} {best.recipe}" if best.join != "single" else f"{best.arrays[0]} {best.recipe}"


def probes(small: Embedded, own: Embedded, folds: NDArray[np.int64]) -> dict[str, object]:
    """Judge by the probe, in folds (K,) of the classes in order of name."""
    [before] = probe_scores({"last": [*small.layers.values()][-1:]}, small.labels, folds).values()
    layers = {name: [X] for name, X in own.layers.items()}
    scores = probe_scores(layers | {"all": [*own.layers.values()]}, own.labels, folds)
    weights = np.bincount(folds)
    single = np.stack([scores[name] for name in layers])
    every = np.stack([*scores.values()])
    chosen = [*scores][int((every @ weights).argmax())]
    return {
        "small": float(before @ weights / weights.sum()),
        "habit": float(single[-1] @ weights / weights.sum()),
        "layer": chosen_elsewhere(single, weights),
        "representation": chosen_elsewhere(every, weights),
        "chosen": chosen,
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


def of_pair(embeddings: Path, name: str, network: str) -> pd.DataFrame | None:
    """Judge one dataset in one network by both scores; None if it is not embedded yet."""
    title, *sizes = NETWORKS[network]
    paths = [embeddings / f"{name}-{network}-{size}.npz" for size in sizes]
    if not all(path.exists() for path in paths):
        return None
    small, own = (Embedded(path) for path in paths)
    folds = choose_representation(dict([*own.layers.items()][-1:]), own.labels, recipes=["plain"]).folds
    rows: list[dict[str, object]] = [{"score": "map_at_r"} | map_at_r(small, own)]
    shared = {key: rows[0][key] for key in ("folds", "classes", "images")}
    rows.append({"score": "probe_accuracy"} | probes(small, own, folds) | shared)
    return pd.DataFrame([{"dataset": name, "network": title} | row for row in rows])


def run(embeddings: Path, out: Path) -> None:
    """Judge what is not in `out` yet, and join all."""
    out.mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        for name in (each for kind in KINDS.values() for each in kind):
            target = out / f"{name}-{network}.csv"
            if not target.exists() and (table := of_pair(embeddings, name, network)) is not None:
                table.to_csv(target, index=False)
                print(target.name, flush=True)
    parts = [pd.read_csv(path) for path in sorted(out.glob("*.csv"))]
    pd.concat(parts).to_csv(TABLE, index=False, float_format="%.4f")


def axis_table(rows: pd.DataFrame, score: str, network: str) -> str:
    """Tabulate what each step reaches, a row for each dataset."""
    own = rows[(rows["score"] == score) & (rows["network"] == network)].set_index("dataset")
    lines = []
    for kind, names in KINDS.items():
        for name in (each for each in names if each in own.index):
            one = own.loc[name]
            counts = f"{one['classes']} in {one['folds']} folds"
            lines.append([name, kind, counts, *(f"{one[step]:.3f}" for step in STEPS), str(one["chosen"])])
    return markdown(["dataset", "kind", "classes", *STEPS.values(), "chosen on all classes"], lines, texts=3)


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]), Path(sys.argv[2]))
    table = pd.read_csv(TABLE)
    for network, _, _ in NETWORKS.values():
        for score in ("map_at_r", "probe_accuracy"):
            print(f"{network}, {score}\n\n{axis_table(table, score, network)}\n")
