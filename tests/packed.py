"""A tiny packed dataset: noise around a colour of its class's own."""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.shared.images.image_store import (
    MANIFEST_COLUMNS,
    PackedImages,
    Pixels,
    open_images,
    write_fold,
    write_images,
)

SEEN, UNSEEN = ("ash", "birch", "cedar"), ("date", "elm")


def pack(
    path: Path,
    *,
    dataset: str = "trees",
    train: int = 8,
    test: int = 4,
    unseen: int = 5,
    size: int = 32,
    fill: int = 255,
    seed: int = 0,
) -> PackedImages:
    """Write `train`, `test` and `unseen` images per class and open them."""
    counts = [("train", SEEN, train), ("test", SEEN, test), ("unseen", UNSEEN, unseen)]
    samples = [(split, label) for split, labels, n in counts for label in labels for _ in range(n)]
    ids = [f"{split}-{i:03}" for i, (split, _) in enumerate(samples)]
    rows = [(name, label, "", f"{label}/{name}.png", "") for name, (_, label) in zip(ids, samples, strict=True)]
    manifest = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)).assign(split=[split for split, _ in samples])
    manifest = manifest.sort_values(["label", "sample_id"], ignore_index=True)
    columns = manifest[list(MANIFEST_COLUMNS)]
    write_images(path, picture(columns, size, seed), columns, dataset=dataset, size=size, fill=fill)
    write_fold(path, "0", manifest)
    return open_images(path, "0")


def write_fold_all(path: Path) -> None:
    """Add fold `all` to a packed dataset: of the unseen images, every other one is a test image, the rest train."""
    splits = open_images(path, "0").manifest[["sample_id", "split"]]
    unseen = splits.index[splits["split"] == "unseen"]
    splits.loc[unseen, "split"] = "train"
    splits.loc[unseen[::2], "split"] = "test"
    write_fold(path, "all", splits)


def picture(manifest: pd.DataFrame, size: int, seed: int) -> list[Pixels]:
    random = np.random.default_rng(seed)
    colours = {label: random.integers(40, 216, 3) for label in (*SEEN, *UNSEEN)}
    noise = random.normal(0, 15, (len(manifest), size, size, 3))
    return [(colours[label] + n).clip(0, 255).astype(np.uint8) for label, n in zip(manifest.label, noise, strict=True)]
