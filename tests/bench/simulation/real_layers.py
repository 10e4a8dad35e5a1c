"""Write the parameters of `populations.RealLayers` from embeddings of real classes by a network as it is.

    python -m tests.bench.simulation.real_layers calligraphy=STORE cifar100=STORE

Each store holds a network's embeddings of all classes of one dataset in its split `unseen`. Kept are, of every layer,
the leading components of all images in rows of length 1, about the origin: the class means, and some images' deviations
from them in one byte.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.scores.embedded_split import unit_rows
from stages.shared.embeddings.embedding_store import open_embeddings
from tests.bench.simulation.populations import REAL_LAYERS

COMPONENTS = 8
IMAGES = 40
"""Of every class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", help="<dataset>=<store>")
    arrays: dict[str, Any] = {}
    for name, path in (text.split("=", 1) for text in parser.parse_args().stores):
        store = open_embeddings(Path(path))
        layers = [store.features(layer, store.steps[-1], "unseen") for layer in store.layers if layer.depth >= 0]
        arrays |= parameters(name, layers, np.unique(store.labels("unseen"), return_inverse=True)[1])
    np.savez_compressed(REAL_LAYERS, **arrays)


def parameters(name: str, layers: Sequence[Any], y: Any) -> dict[str, Any]:
    """Class means (C, L, D), deviations (C, M, L, D) as int8 and their scale (L, D)."""
    components = np.stack([leading(X.astype(float)) for X in layers], axis=1)  # (N, L, D)
    means = np.stack([components[y == c].mean(axis=0) for c in range(y.max() + 1)])
    rng = np.random.default_rng(0)
    some = np.stack([rng.permutation(np.flatnonzero(y == c))[:IMAGES] for c in range(len(means))])
    deviations = components[some] - means[:, None]
    deviations -= deviations.mean(axis=1, keepdims=True)
    scale = np.abs(deviations).max(axis=(0, 1)) / 127
    return {
        f"{name}_means": means.astype(np.float16),
        f"{name}_deviations": np.rint(deviations / scale).astype(np.int8),
        f"{name}_scale": scale.astype(np.float32),
    }


def leading(X: Any) -> Any:
    """The leading components of (N, D) in rows of length 1, (N, C), the first of which is what all have in common."""
    X = unit_rows(X)
    return X @ np.linalg.svd(X, full_matrices=False)[2][:COMPONENTS].T


if __name__ == "__main__":
    main()
