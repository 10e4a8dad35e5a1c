"""Small pictures of some images of the classes that a fold leaves unseen, the same whichever folds are run."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..shared.images.image_store import Pixels, open_images
from ..shared.tables.gallery import THUMBNAILS, write_thumbnails
from ..shared.workflow.params import ALL
from ..shared.workflow.seeding import child_seed

MAX_THUMBNAILS = 200
"""Pictures of one dataset."""

LONGER_SIDE = 48
"""Pixels; a smaller image keeps its size."""

QUALITY = 75
"""Of WebP: half a kilobyte a picture, of handwriting and photographs, a third of what PNG takes."""


def make_thumbnails(prepared: Path, out: Path, folds: Sequence[str], seed: int, dataset: str) -> None:
    """Write thumbnails of the unseen images of a prepared dataset.

    Args:
        prepared: the dataset's folder, as `prepare_dataset` wrote it.
        out: the folder to create.
        folds: every fold that the dataset has.
        seed: its root seed.
        dataset: its id.
    """
    opened = [open_images(prepared, fold) for fold in folds if fold != ALL]
    unseen = pd.concat(images.manifest.iloc[images.rows("unseen")] for images in opened)
    samples = choose_images(unseen, seed, dataset)
    pictures = [encode(opened[0].read(np.array([row]))[0]) for row in samples.index]  # one by one: they may be large
    sizes_and_files = pd.DataFrame(pictures, index=samples.index, columns=[*THUMBNAILS][2:])
    write_thumbnails(out, dataset, samples.join(sizes_and_files))


def choose_images(unseen: pd.DataFrame, seed: int, dataset: str) -> pd.DataFrame:
    """Draw equally many images of every class, at most `MAX_THUMBNAILS`; of more classes than that, one image of some.

    Each class has a draw of its own, of which a smaller share takes the first: another class changes no other's draw.

    Args:
        unseen: columns sample_id and label, each class in only one fold.
        seed: the dataset's root seed.
        dataset: its id.

    Returns:
        The rows drawn, sorted by label and id; of a class with fewer images, all.
    """
    labels = sorted(unseen["label"].unique())
    order = np.random.default_rng(child_seed(seed, dataset, "thumbnails")).permutation(len(labels))
    shown = [labels[i] for i in order[:MAX_THUMBNAILS]]
    share = max(1, MAX_THUMBNAILS // max(1, len(labels)))
    drawn = []
    for label in shown:
        ordered = unseen[unseen["label"] == label].sort_values("sample_id")
        random = np.random.default_rng(child_seed(seed, dataset, "thumbnails", label))
        drawn.append(ordered.iloc[random.permutation(len(ordered))[:share]])
    return pd.concat(drawn).sort_values(["label", "sample_id"]) if drawn else unseen


def encode(pixels: Pixels) -> tuple[int, int, bytes]:
    """Reduce and encode one image.

    Args:
        pixels: (height, width, 3) uint8 RGB.

    Returns:
        Width, height and a WebP file.
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    image.save(file, "WEBP", quality=QUALITY, method=6)
    return *image.size, file.getvalue()
