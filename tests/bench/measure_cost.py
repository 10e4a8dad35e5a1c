"""What each score costs on one cell of nine layers: CPU seconds, and the peak memory of measure at N and 4 N images.

The embeddings are synthetic: classes on a low-dimensional manifold with correlated features, as a network's are. A
score is charged with all that it computes; in the stage scores share clusterings and the pass over distances, so that
they cost less: what all cost together, and what those of every checkpoint do, stands below them.

    python -m tests.bench.measure_cost --images 2500
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from threadpoolctl import threadpool_limits

from stages.measure.embedded_split import EmbeddedSplit, Settings
from stages.measure.metrics import LAYER_SCORES, needs_of
from stages.measure.scores.kmeans import Search
from stages.shared.embeddings.embedding_store import Layer
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.tables.thumbnails import SCHEMA, write_thumbnails

WIDTHS = (32, 16, 24, 40, 80, 112, 192, 320, 1280)
CLASSES = {"test": 15, "unseen": 5}
EVERY_CHECKPOINT = ["nmi", "knn_purity", "nn1_accuracy", "probe_accuracy"]
REFITS = {
    "metrics": [name for name, score in LAYER_SCORES.items() if score.refit and not score.over_folds],
    "steps": "ends", "halves": 20, "starts": 15, "polished": 3,
}  # fmt: skip
MEASURE = {
    "metrics": list(LAYER_SCORES), "extra": {"metrics": [], "steps": "ends"}, "analyses": [], "normalize": "none",
    "kmeans": {"starts": 50, "polished": 5, "seed": 0}, "knn_k": "split",
    "probe": {"C": 1.0, "folds": 5, "steps": "ends"}, "refits": REFITS,
}  # fmt: skip
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""  # a small process in between: Linux counts what the parent held when it started a child as the child's peak
CELL = ["--dataset", "synthetic", "--model", "nine", "--fold", "0", "--seed", "0"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2500, help="images of each split")
    args = parser.parse_args()
    print_seconds(args.images)
    with tempfile.TemporaryDirectory() as folder:
        counts = (args.images, 4 * args.images)
        peaks = [peak_mib(Path(folder) / str(count), count) for count in counts]
    embedding = [count * WIDTHS[-1] * 4 / 2**20 for count in counts]
    print(
        f"measure: {peaks[0]:.0f} MiB at {counts[0]} images per split, {peaks[1]:.0f} MiB at {counts[1]}: "
        f"{peaks[1] / peaks[0]:.2f} times; the widest layer of one split holds {embedding[0]:.0f} and "
        f"{embedding[1]:.0f} MiB"
    )


def correlated(count: int, classes: int, width: int, seed: int) -> tuple[Any, Any]:
    """Embeddings (count, width) float32 whose spectrum falls off, and their classes."""
    random = np.random.default_rng([seed, width, classes])
    y = np.arange(count) % classes
    rank = min(width, 60)
    latent = random.normal(size=(classes, rank))[y] * 0.6 + random.normal(size=(count, rank))
    latent *= 1 / np.sqrt(1 + np.arange(rank))
    X = latent @ random.normal(size=(rank, width)) + 0.1 * random.normal(size=(count, width))
    return np.maximum(X, -0.5).astype(np.float32), y


def print_seconds(count: int) -> None:
    """Time every score on every layer of both splits, each from nothing, then together, on one thread."""
    print(f"CPU seconds on one thread, {len(WIDTHS)} layers, {count} images; in brackets the widest")
    together = {"all": list(LAYER_SCORES), "every checkpoint": EVERY_CHECKPOINT}
    for classes in CLASSES.values():
        for label, names in ({name: [name] for name in LAYER_SCORES} | together).items():
            with threadpool_limits(1):
                seconds = [seconds_of(names, *correlated(count, classes, width, 0)) for width in WIDTHS]
            print(f"  K = {classes:2d}  {label:19s} {sum(seconds):6.2f}  ({seconds[-1]:.2f})", flush=True)


def seconds_of(names: Sequence[str], X: Any, y: Any) -> float:
    """CPU seconds of some scores of one layer, sharing what they can."""
    settings = Settings("none", int(np.bincount(y).max()), Search(), 1.0, 5, 0, 0)
    began = time.process_time()
    split = EmbeddedSplit(X, y, settings, needs=needs_of(names))
    for name in names:
        LAYER_SCORES[name].score(split)
    return time.process_time() - began


def write_cell(path: Path, count: int, widths: Sequence[int]) -> None:
    """Write a store of one step with `count` images in each split."""
    layers = [Layer(f"layer{i}", f"layer{i}", i, "mean", width, 0, 0) for i, width in enumerate(widths)]
    parts = {width: [correlated(count, k, width, 0) for k in CLASSES.values()] for width in widths}
    labels = [f"{split}{c}" for split, (_, y) in zip(CLASSES, parts[widths[0]], strict=True) for c in y]
    samples = pd.DataFrame({"sample_id": [f"i{i}" for i in range(2 * count)], "split": np.repeat(list(CLASSES), count)})
    cell = {"dataset": "synthetic", "model": "nine", "fold": "0", "seed": 0}
    with EmbeddingWriter(
        path,
        samples=samples.assign(label=labels, group=""),
        steps=[0],
        layers=layers,
        classes=[],
        dtype="float32",
        attributes=cell,
    ) as writer:
        for layer in layers:
            writer.write(layer.name, 0, np.concatenate([X for X, _ in parts[layer.width]]))


def peak_mib(folder: Path, count: int) -> float:
    """Peak resident memory of the stage on the widest layer, which sets it, in one process."""
    folder.mkdir()
    write_cell(folder / "store", count, WIDTHS[-1:])
    sections = ("run", "datasets", "models", "prepare", "finetune", "embed", "aggregate")
    content = {section: {} for section in sections} | {"finetune": {"steps": [0], "keep": "all"}, "measure": MEASURE}
    YAML(typ="safe").dump(content, folder / "params.yaml")
    write_thumbnails(folder / "thumbnails", "synthetic", pd.DataFrame(columns=SCHEMA.names))
    paths = {"--embeddings": folder / "store", "--thumbnails": folder / "thumbnails"}
    paths |= {"--out": folder / "out", "--params": folder / "params.yaml"}
    options = [str(part) for pair in paths.items() for part in pair]
    command = [sys.executable, "-m", "stages.measure", *CELL, *options, "--workers", "1"]
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.split()[-1]) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
