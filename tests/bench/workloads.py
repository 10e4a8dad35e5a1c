"""What the goals of `python -m tests.bench` time, one command each, in this revision or in the old one.

    python -m tests.bench.workloads images FOLDER 15 100 64

Only the library and `quick` are imported, as both revisions have them, and only by the commands that use them.
"""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STEP = 50_000
"""Rows that are made at once."""


def images(folder: str, classes: int, per_class: int, size: int) -> None:
    """Write JPEGs of textures, a folder per class: images of a class share a coarse pattern."""
    random = np.random.default_rng(0)
    for number in range(classes):
        path = Path(folder) / f"class{number:03}"
        path.mkdir(parents=True)
        shared = random.integers(0, 256, (6, 6, 3))
        for index in range(per_class):
            coarse = (shared + random.integers(0, 256, (6, 6, 3))) / 2
            image = Image.fromarray(coarse.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
            noise = random.normal(0, 12, (size, size, 3))
            Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)).save(path / f"{index:03}.jpg")


def rows(count: int, classes: int, width: int, share: float, seed: int) -> NDArray[np.float32]:
    """Make embeddings, (count, width), of classes in order: `share` times their centre, and normal noise."""
    random = np.random.default_rng(seed)
    made = random.standard_normal((classes, width), np.float32)[np.arange(count) * classes // count]
    made *= share
    for first in range(0, count, STEP):
        made[first : first + STEP] += random.standard_normal((len(made[first : first + STEP]), width), np.float32)
    return made


def score(count: int, layers: int, classes: int, width: int) -> None:
    """Score layers that lie in memory, all scores."""
    import stages.library as wl

    labels = [f"c{c:03}" for c in np.arange(count) * classes // count]
    wl.score({f"l{i}": rows(count, classes, width, 0.2 + 0.03 * i, i) for i in range(layers)}, labels, workers=1)


def write_mapped(path: str, count: int, width: int) -> None:
    """Write an array that is larger than memory allows, of 1,000 classes in turns."""
    made = np.lib.format.open_memmap(path, "w+", np.float32, (count, width))
    random = np.random.default_rng(0)
    centres = random.standard_normal((1000, width), np.float32)
    for first in range(0, count, STEP):
        labels = np.arange(first, min(first + STEP, count)) % 1000
        noise = random.standard_normal((len(labels), width), np.float32)
        made[first : first + STEP] = centres[labels] + 3 * noise
    made.flush()


def score_mapped(path: str) -> None:
    """Score it for retrieval."""
    import stages.library as wl

    mapped = np.load(path, mmap_mode="r")
    labels = [f"c{number % 1000:03}" for number in range(len(mapped))]
    wl.score({"layer": mapped}, labels, metrics=["map_at_r", "nn1_accuracy"], workers=1)


def quick(folder: str, size: int, joins: int) -> None:
    """Run `quick`, with or without joins of layers."""
    from stages.commands.cli import main

    if not joins:
        with suppress(ModuleNotFoundError):  # the old revision joins none
            from stages.core.representations import choice

            choice.MIN_FITTED_CLASSES = sys.maxsize
    sys.argv = ["whichlayer", "quick", folder, "--image-size", str(size)]
    main()


def embed(count: int, size: int, rounds: int) -> None:
    """Print how many of the bare forward pass's images per second `wl.embed` reaches."""
    from tests.bench.embed_throughput import library_ratio

    print(library_ratio(count, size, rounds))


def repro(cells: int) -> None:
    """Print the processor's seconds of a `dvc repro` that finds nothing to do."""
    from tests.bench.scale import noop_seconds

    print(noop_seconds(cells))


COMMANDS = {f.__name__: f for f in (images, score, write_mapped, score_mapped, quick, embed, repro)}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*(int(word) if word.isdigit() else word for word in sys.argv[2:]))
