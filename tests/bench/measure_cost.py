"""What each score costs, how that grows, and the peak memory of measure: CPU seconds of one layer on one thread.

The embeddings are synthetic: classes on a low-dimensional manifold with correlated features, as a network's are. A
score is charged with all that it computes; in the stage scores share clusterings and the pass over distances, so that
they cost less: what all cost together, and what those of every checkpoint do, stands below them. Refits are those of
one layer; of more than 50 classes a few searches for clusters are timed, and taken as many times as there are.
Growth is by how much the seconds are multiplied where the images are doubled.

    python -m tests.bench.measure_cost

Memory: of the stage in one process, on its widest layer at N and 4 N images, and on 10,000 images of 100 classes.
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
from sklearn import config_context
from threadpoolctl import threadpool_limits

from stages.core.scores.catalogue import LAYER_SCORES, needs_of
from stages.core.scores.embedded_split import EmbeddedSplit, Settings
from stages.core.scores.halves import complementary_halves
from stages.core.scores.kmeans import Search
from stages.core.scores.refits import class_groups, refit
from stages.shared.embeddings.embedding_store import EmbeddingWriter, Layer
from stages.shared.tables.gallery import THUMBNAILS, write_thumbnails

WIDTHS = (32, 16, 24, 40, 80, 112, 192, 320, 1280)
CLASSES = {"test": 15, "unseen": 5}
SIZES = ("500x1280x5", "2500x1280x20", "10000x320x100")
"""Images, features, classes."""

MEASURED_CLASSES = 50
"""Classes up to which all refits are timed."""

EVERY_CHECKPOINT = ["nmi", "knn_purity", "nn1_accuracy", "probe_accuracy"]
REFITS = {
    "metrics": [name for name, score in LAYER_SCORES.items() if score.refit and not score.over_folds],
    "steps": "ends", "halves": 20, "starts": 15, "polished": 3,
}  # fmt: skip
MEASURE = {
    "metrics": list(LAYER_SCORES), "extra": {"metrics": [], "steps": "ends"}, "analyses": [], "normalize": "l2",
    "kmeans": {"starts": 50, "polished": 5, "seed": 0}, "knn_k": "split",
    "probe": {"C": 1.0, "folds": 5, "steps": "ends"}, "refits": REFITS,
}  # fmt: skip
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""  # a small process in between: Linux counts what the parent held when it started a child as the child's peak
CELL = ["--dataset", "synthetic", "--model", "one", "--fold", "0", "--seed", "0"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=SIZES, help="images x features x classes, growing")
    parser.add_argument("--images", type=int, default=2500, help="images of each split, of which memory is measured")
    parser.add_argument("--classes", type=int, default=100, help="classes of 100 images, of which memory is measured")
    args = parser.parse_args()
    print_seconds([tuple(int(number) for number in size.split("x")) for size in args.sizes])
    print_memory(args.images, args.classes)


def correlated(count: int, classes: int, width: int, seed: int) -> tuple[Any, Any]:
    """Embeddings (count, width) float32 whose spectrum falls off, and their classes."""
    random = np.random.default_rng([seed, width, classes])
    y = np.arange(count) % classes
    rank = min(width, 60)
    latent = random.normal(size=(classes, rank))[y] * 0.6 + random.normal(size=(count, rank))
    latent *= 1 / np.sqrt(1 + np.arange(rank))
    X = latent @ random.normal(size=(rank, width)) + 0.1 * random.normal(size=(count, width))
    return np.maximum(X, -0.5).astype(np.float32), y


def print_seconds(sizes: Sequence[tuple[int, ...]]) -> None:
    """Time every score at every size, each from nothing, then together, then the refits."""
    print("images x features x classes: " + ", ".join("x".join(map(str, size)) for size in sizes) + "; then the growth")
    counts = [size[0] for size in sizes]
    together = {"all": list(LAYER_SCORES), "every checkpoint": EVERY_CHECKPOINT}
    with threadpool_limits(1), config_context(assume_finite=True, skip_parameter_validation=True):
        for label, names in ({name: [name] for name in LAYER_SCORES} | together).items():
            print_row(label, counts, [seconds_of(names, *correlated(N, K, D, 0)) for N, D, K in sizes])
        print_row("refits", counts, [refit_seconds(*correlated(N, K, D, 0)) for N, D, K in sizes])


def print_row(label: str, counts: Sequence[int], seconds: Sequence[float]) -> None:
    """Print seconds at every number of images, and how they grow from one to the next."""
    doublings = np.diff(np.log2(counts))
    growth = 2 ** (np.diff(np.log2(np.maximum(seconds, 1e-4))) / doublings)
    print(f"  {label:19s}" + "".join(f"{s:9.2f}" for s in seconds) + "".join(f"{g:7.1f}" for g in growth), flush=True)


def refit_seconds(X: Any, y: Any) -> float:
    """CPU seconds of all refits of one layer; of many classes k-means is timed on one group and two halves."""
    settings = Settings(int(np.bincount(y).max()), Search(), 1.0, 5, 0, 0)
    names = [name for name in REFITS["metrics"] if "clusterings" in LAYER_SCORES[name].needs]
    others = [name for name in REFITS["metrics"] if name not in names]
    groups = class_groups([f"{number:04}" for number in range(y.max() + 1)])
    halves = complementary_halves(y.astype(str), REFITS["halves"], 0)
    search, split = Search(REFITS["starts"], REFITS["polished"]), EmbeddedSplit(X, y, settings)
    split.rotated  # noqa: B018, known from the scores
    parts = [(groups, halves, REFITS["metrics"], 1)]
    if y.max() >= MEASURED_CLASSES:
        parts = [(groups, halves, others, 1), (groups[:1], halves[:0], names, len(groups))]
        parts += [([], halves[:2], names, len(halves) / 2)]
    seconds = 0.0
    for some_groups, some_halves, metrics, times in parts:
        began = time.process_time()
        refit(split, some_groups, some_halves, metrics, search)
        seconds += (time.process_time() - began) * times
    return seconds


def print_memory(count: int, classes: int) -> None:
    """Print the stage's peak memory in one process."""
    few = {"kmeans": {"starts": 2, "polished": 1, "seed": 0}, "refits": REFITS | {"starts": 2, "polished": 1}}
    with tempfile.TemporaryDirectory() as folder:
        small, large = (peak_mib(Path(folder) / str(N), N, WIDTHS[-1], CLASSES, {}) for N in (count, 4 * count))
        many = peak_mib(Path(folder) / "many", 100 * classes, 320, dict.fromkeys(CLASSES, classes), few)
    layer = count * WIDTHS[-1] * 4 / 2**20
    print(
        f"measure: {small:.0f} MiB at {count} images per split, {large:.0f} MiB at {4 * count}: {large / small:.2f} "
        f"times; the layer of one split holds {layer:.0f} and {4 * layer:.0f} MiB. Of {classes} classes of "
        f"100 images: {many:.0f} MiB"
    )


def seconds_of(names: Sequence[str], X: Any, y: Any) -> float:
    """CPU seconds of some scores of one layer, sharing what they can."""
    settings = Settings(int(np.bincount(y).max()), Search(), 1.0, 5, 0, 0)
    began = time.process_time()
    split = EmbeddedSplit(X, y, settings, needs=needs_of(names))
    for name in names:
        LAYER_SCORES[name].score(split)
    return time.process_time() - began


def write_cell(path: Path, count: int, width: int, classes: dict[str, int]) -> None:
    """Write a store of one step and layer with `count` images in each split."""
    layer = Layer("layer", "layer", 0, "mean", width, 0, 0)
    parts = [correlated(count, k, width, 0) for k in classes.values()]
    labels = [f"{split}{c}" for split, (_, y) in zip(classes, parts, strict=True) for c in y]
    samples = pd.DataFrame({"sample_id": [f"i{i}" for i in range(2 * count)], "split": np.repeat(list(classes), count)})
    cell = {"dataset": "synthetic", "model": "one", "fold": "0", "seed": 0}
    with EmbeddingWriter(
        path, samples=samples.assign(label=labels, group=""), steps=[0], layers=[layer], classes=[], dtype="float32",
        attributes=cell,
    ) as writer:  # fmt: skip
        writer.write(layer.name, 0, np.concatenate([X for X, _ in parts]))


def peak_mib(folder: Path, count: int, width: int, classes: dict[str, int], changed: dict[str, Any]) -> float:
    """Peak resident memory of the stage on one layer, in one process."""
    folder.mkdir()
    write_cell(folder / "store", count, width, classes)
    sections = ("run", "datasets", "models", "prepare", "finetune", "embed", "aggregate")
    content = {section: {} for section in sections} | {"finetune": {"steps": [0], "keep": "all"}}
    YAML(typ="safe").dump(content | {"measure": MEASURE | changed}, folder / "params.yaml")
    write_thumbnails(folder / "thumbnails", "synthetic", pd.DataFrame(columns=[*THUMBNAILS]))
    paths = {"--embeddings": folder / "store", "--thumbnails": folder / "thumbnails"}
    paths |= {"--out": folder / "out", "--params": folder / "params.yaml"}
    options = [str(part) for pair in paths.items() for part in pair]
    command = [sys.executable, "-m", "stages.measure", *CELL, *options, "--workers", "1"]
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.split()[-1]) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
