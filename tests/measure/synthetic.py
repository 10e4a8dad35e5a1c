"""Small embeddings with classes in them, and stores and params files made of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from stages.core.scores.embedded_split import EmbeddedSplit, Settings
from stages.core.scores.kmeans import Search
from stages.shared.embeddings.embedding_store import (
    LAST_STEP,
    Embeddings,
    EmbeddingWriter,
    Layer,
    open_embeddings,
    write_store_digests,
)
from stages.shared.tables.gallery import write_thumbnails

SECTIONS = ("run", "datasets", "models", "prepare", "finetune", "embed", "aggregate")
MADE_WITH = {"finetune": {"timm": "0.1"}, "embed": {"timm": "0.2"}}
DEFAULT = {
    "metrics": ["nmi", "knn_purity", "nn1_accuracy", "probe_accuracy", "accuracy"],
    "extra": {"metrics": [], "steps": "ends"},
    "analyses": [],
    "normalize": "none",
    "kmeans": {"starts": 3, "polished": 2, "seed": 0},
    "knn_k": "split",
    "probe": {"C": 1.0, "folds": 3, "steps": "ends"},
    "refits": {"metrics": [], "steps": "ends", "halves": 4, "starts": 3, "polished": 1},
}


def blobs(sizes: Sequence[int], width: int, *, spread: float = 1.0, seed: int = 0) -> tuple[Any, Any]:
    """Gaussian classes of the given sizes, (N, width) float32 with scales that differ by feature, in random order."""
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = random.normal(size=(len(sizes), width))
    X = centres[y] + spread * random.normal(size=(len(y), width))
    return (X * random.uniform(0.5, 2, width) + 3).astype(np.float32), y


def settings(y: Any, **changes: Any) -> Settings:
    k = int(min(np.bincount(y).max(), len(y) - 1))
    default = {"neighbours": k, "search": Search(3, 2)}
    return Settings(**{**default, "C": 1.0, "folds": 3, "probe_seed": 0, "few_shot_seed": 0, **changes})


def embedded(X: Any, y: Any, **changes: Any) -> EmbeddedSplit:
    return EmbeddedSplit(X, y, settings(y, **changes))


def write_params(path: Path, *, steps: Sequence[int] = (0, 5, 10), **changes: Any) -> Path:
    """Write a params file whose `measure` section is the default with some keys changed."""
    yaml = YAML(typ="safe")
    yaml.dump(
        {section: {} for section in SECTIONS}
        | {"finetune": {"steps": list(steps), "keep": "all"}, "measure": DEFAULT | changes},
        path,
    )
    return path


LAYERS = (
    Layer("pixels", "", -1, "none", 12, 0, 0),
    Layer("stem", "stem", 0, "mean", 4, 10, 50),
    Layer("stem@max", "stem", 0, "max", 4, 10, 50),
    Layer("blocks.0", "blocks.0", 1, "mean", 9, 300, 900),
)


def write_store(
    path: Path,
    *,
    steps: Sequence[int] = (0, 5, 10),
    sizes: dict[str, Sequence[int]] | None = None,
    layers: Sequence[Layer] = LAYERS,
    spoil: dict[tuple[str, int], Any] | None = None,
    classes: Sequence[str] = ("test0", "test1", "test2"),
    fold: str = "0",
) -> dict[tuple[str, int], Any]:
    """Write a store of Gaussian classes; returns its arrays by (layer, step).

    Args:
        sizes: images per class of every split; class names are the split's name and a number.
        spoil: (layer, step) -> function that changes the array before it is written.
    """
    sizes = sizes or {"test": (8, 8, 8), "unseen": (9, 11)}
    names = [f"{split}{c}" for split, counts in sizes.items() for c, n in enumerate(counts) for _ in range(n)]
    splits = [split for split, counts in sizes.items() for n in counts for _ in range(n)]
    samples = pd.DataFrame(
        {"sample_id": [f"i{n:03}" for n in range(len(names))], "split": splits, "label": names, "group": ""}
    )
    codes = np.unique(names, return_inverse=True)[1]
    arrays: dict[tuple[str, int], Any] = {}
    cell = {"dataset": "toy", "model": "net", "fold": fold, "seed": 7, "made_with": MADE_WITH}
    with EmbeddingWriter(
        path, samples=samples, steps=steps, layers=layers, classes=classes, dtype="float32", attributes=cell
    ) as writer:
        for number, layer in enumerate(layers):
            for step in [steps[0]] if layer.depth < 0 else steps:
                random = np.random.default_rng([number, step])
                X = random.normal(size=(codes.max() + 1, layer.width))[codes]
                X = (X + random.normal(size=X.shape)).astype(np.float32)
                X = (spoil or {}).get((layer.name, step), lambda a: a)(X)
                arrays[layer.name, step] = X
                writer.write(layer.name, step, X)
        for step in steps if classes else ():
            arrays["logits", step] = (
                np.random.default_rng(step).normal(size=(len(names), len(classes))).astype(np.float32)
            )
            writer.write("logits", step, arrays["logits", step])
    return arrays


def write_last_step(
    path: Path,
    *,
    step: int = 10,
    train: Sequence[int] = (5, 4, 6),
    layers: Sequence[Layer] = LAYERS,
    classes: Sequence[str] = ("test0", "test1", "test2"),
    spoil: dict[str, Any] | None = None,
    fold: str = "0",
) -> dict[str, Any]:
    """Add what is embedded at the last step alone to a store of `write_store`; returns its arrays by layer.

    Args:
        train: training images per seen class.
        spoil: layer -> function that changes the array before it is written.
    """
    labels, ids = [f"test{c}" for c, n in enumerate(train) for _ in range(n)], [f"t{n:03}" for n in range(sum(train))]
    samples = pd.DataFrame({"sample_id": ids, "split": "train", "label": labels, "group": ""})
    codes = np.unique(labels, return_inverse=True)[1]
    arrays: dict[str, Any] = {}
    cell = {"dataset": "toy", "model": "net", "fold": fold, "seed": 7}
    with EmbeddingWriter(
        path / LAST_STEP,
        samples=samples,
        steps=[step],
        layers=layers,
        classes=classes,
        dtype="float32",
        attributes=cell,
    ) as writer:
        for number, layer in enumerate(layers):
            random = np.random.default_rng([number, 0 if layer.depth < 0 else step])
            centres = random.normal(size=(5, layer.width))
            X = (centres[codes] + 0.5 * random.normal(size=(len(codes), layer.width))).astype(np.float32)
            arrays[layer.name] = (spoil or {}).get(layer.name, lambda a: a)(X)
            writer.write(layer.name, step, arrays[layer.name])
        if classes:
            arrays["logits"] = np.random.default_rng(99).normal(size=(len(ids), len(classes))).astype(np.float32)
            writer.write("logits", step, arrays["logits"])
    write_store_digests(path, cell)
    return arrays


def write_pictures(folder: Path, ids: Sequence[str], dataset: str = "toy") -> None:
    """Write thumbnails of these images, without a picture."""
    table = pd.DataFrame({"sample_id": list(ids), "label": "", "width": 1, "height": 1, "image": b""})
    write_thumbnails(folder, dataset, table)


def small_store(tmp_path: Path, **changes: Any) -> Embeddings:
    """Write a store with some of `write_store`'s arguments changed, and open it."""
    write_store(tmp_path / "store", **changes)
    return open_embeddings(tmp_path / "store")


def probe(steps: str | list[int], folds: int = 3) -> dict[str, Any]:
    """The `probe` part of the `measure` section."""
    return {"C": 1.0, "folds": folds, "steps": steps}
