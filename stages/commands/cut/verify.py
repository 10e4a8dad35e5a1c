"""Whether a cut computes what the workflow measured: its files, run on images of the dataset, against the store."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.commands.cut.cell import Source
from stages.commands.cut.export import UpToLayer
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.images.image_store import Pixels
from stages.shared.runtime.errors import UserError

TOLERANCES = {"float32": 2e-3, "float16": 3e-3}
"""Largest distance by default, by the type that the store keeps; see `check_agreement`. Computing in another order, as
onnxruntime does, moved a fine-tuned EfficientNet-Lite0 by 4e-4; float16 rounds by 5e-4."""

BATCHES = (1, 2, 7)
"""Sizes of the batches with which every file is tried, beside all images at once."""

MAX_IMAGES = 64

Float32 = NDArray[np.float32]
Run = Callable[[Pixels], Float32]


@dataclass(frozen=True)
class Reference:
    """What the cut must give.

    Attributes:
        split: whose images.
        source: where the embeddings come from, for the card.
        pixels: (B, 3, S, S) uint8.
        embeddings: (B, width).
    """

    split: str
    source: str
    pixels: Pixels
    embeddings: Float32

    def distance(self, found: Float32) -> float:
        """Return the largest distance from an image's embedding, over the root mean square of embeddings' lengths.

        Args:
            found: (B', width), of the first B' images.
        """
        length = np.sqrt(np.square(self.embeddings, dtype=np.float64).sum(axis=1).mean())
        distances = np.linalg.norm((found - self.embeddings[: len(found)]).astype(np.float64), axis=1)
        return float(distances.max() / max(length, np.finfo(np.float64).tiny))


def take_reference(source: Source) -> Reference:
    """Take images of the unseen split (of the test split where there is none), evenly spaced, and their embeddings.

    They are the stored ones; where `embed.augment` had images rotated before they were embedded, which a cut does not
    do, those that the network gives now.
    """
    split = UNSEEN if UNSEEN in source.store.splits else SEEN
    images, samples = source.cell.images, source.store.samples
    ids = samples.loc[samples["split"] == split, "sample_id"].to_numpy(dtype=str)
    places = np.unique(np.linspace(0, len(ids) - 1, MAX_IMAGES).round().astype(int))
    rows = images.manifest.reset_index().set_index("sample_id").loc[ids[places], "index"]
    pixels = images.read(rows.to_numpy()).transpose(0, 3, 1, 2).copy()
    if source.cell.params.augment:
        with torch.inference_mode():
            network = UpToLayer(source.cell.embedder.network, source.layers).eval()
            embedded = [part.numpy() for part in network(torch.from_numpy(pixels))]
        return Reference(split, "the network", pixels, source.scaler.join(embedded))
    stored = [source.store.features(pooled.layer, source.step, split)[places] for pooled in source.layers]
    return Reference(split, "the embedding store", pixels, source.scaler.join(stored))


def default_tolerance(source: Source) -> float:
    """Return how far a file may be from the reference."""
    return TOLERANCES["float32" if source.cell.params.augment else source.cell.params.dtype]


def check_agreement(run: Run, reference: Reference, tolerance: float, file: str) -> float:
    """Run a file on all images at once and in batches of each of `BATCHES`, and compare.

    Args:
        run: (B, 3, S, S) uint8 -> (B, width).
        reference: what it must give.
        tolerance: the largest distance of an image's embedding from the reference's, relative to the length of the
            layer's embeddings (its root mean square).
        file: its name.

    Returns:
        The largest such distance.

    Raises:
        UserError: it is larger, or the shapes differ.
    """
    distances = []
    for size in (len(reference.pixels), *BATCHES):
        pixels = reference.pixels if size > max(BATCHES) else reference.pixels[: max(BATCHES)]
        embeddings = np.concatenate([run(pixels[i : i + size]) for i in range(0, len(pixels), size)])
        shape = (len(pixels), reference.embeddings.shape[1])
        if embeddings.shape != shape:
            raise UserError(f"embeddings must be of shape {shape}, found {embeddings.shape}; nothing was written")
        distances.append(reference.distance(embeddings))
    distance = float(np.max(distances))  # NaN if one is
    if not distance <= tolerance:
        raise UserError(
            f"{file} must give the embeddings of {reference.source} to within {tolerance:g} of their length, found a "
            f"distance of {distance:.3g} on {len(reference.pixels)} images of the split {reference.split!r}, so "
            "nothing was written. Did embed run in mixed precision (on a GPU it does by default)? Run it again with "
            "ACCELERATE_MIXED_PRECISION=no. Was anything edited since? Run `dvc repro`. Or allow more with --tolerance"
        )
    return distance
