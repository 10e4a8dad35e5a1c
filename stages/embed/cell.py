"""One cell of the grid: images at every layer of every checkpoint of one network, and training images at the last."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shared.embeddings.embedding_store import LAST_STEP, EmbeddingWriter, sample_columns
from ..shared.embeddings.embeddings import BASELINE
from ..shared.embeddings.split_names import TRAIN
from ..shared.images.image_store import MAX_SHARD_BYTES, PackedImages, Rows, batch_rows
from ..shared.runtime.progress import progress
from .embedder import Embedder, baseline_layers, open_embedder, raw_pixels, stored
from .image_sets import sample_rows
from .loading import Checkpoints, load_checkpoint
from .params import EmbedParams, TapsParams


@dataclass(frozen=True)
class Cell:
    """What a cell embeds, ready to run.

    Attributes:
        images: the dataset.
        params: the `embed` section.
        checkpoints: paths by step, ascending.
        classes: names of the head's classes; none of a frozen network, which has no head.
        embedder: the network, and what is taken from it.
    """

    images: PackedImages
    params: EmbedParams
    checkpoints: Mapping[int, Path]
    classes: tuple[str, ...]
    embedder: Embedder

    @cached_property
    def rows(self) -> Rows:
        """Rows of the images to embed at every checkpoint, ascending."""
        return self.images.rows(*self.params.splits)

    @cached_property
    def training_rows(self) -> Rows:
        """Rows of the training images, which are embedded only at the last checkpoint, in a store inside the store."""
        per_class = self.params.train_per_class
        return sample_rows(self.images, TRAIN, per_class) if per_class else np.empty(0, np.int64)

    def write(self, out: Path, attributes: Mapping[str, Any]) -> int:
        """Embed into a new store: one forward pass per image and checkpoint, and per training image.

        Args:
            out: the store to create.
            attributes: JSON values to keep in it: dataset, model, fold, seed, made_with, frozen.

        Returns:
            Number of layers written, the raw-pixel baseline included.

        Raises:
            UserError: a layer's embedding is NaN or infinite, or a checkpoint does not fit the network.
        """
        steps = list(self.checkpoints)
        with self._writer(out, self.rows, steps, attributes) as writer:
            self._fill(writer, self.rows, "embed")
            if len(self.training_rows):  # finished before the store around it
                with self._writer(out / LAST_STEP, self.training_rows, steps[-1:], attributes) as inner:
                    self._fill(inner, self.training_rows, "embed, last step")
        return len(writer.layers)

    def _writer(self, path: Path, rows: Rows, steps: Sequence[int], attributes: Mapping[str, Any]) -> EmbeddingWriter:
        return EmbeddingWriter(
            path,
            samples=self.images.manifest.iloc[rows][sample_columns(self.images.manifest)].reset_index(drop=True),
            steps=steps,
            layers=baseline_layers(self.params.baseline_size) + [layer.layer for layer in self.embedder.layers],
            classes=self.classes,
            dtype=self.params.dtype,
            attributes=attributes,
        )

    def _fill(self, writer: EmbeddingWriter, rows: Rows, what: str) -> None:
        """Embed some images at a store's steps, batch by batch."""
        batches = batch_rows(rows, self.params.batch_size)
        embedded, total = self._embedded(writer.steps, batches), len(writer.steps) * len(batches)
        for step, arrays in progress(embedded, total=total, what=what, unit="batch"):
            for name, values in arrays.items():
                writer.write(name, step, stored(values, name, step, self.params.dtype))

    def _embedded(
        self, steps: Sequence[int], batches: Sequence[Rows]
    ) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
        """Yield every batch's arrays {name: (B, D)} and their step."""
        for step in steps:
            load_checkpoint(self.embedder.network, self.checkpoints[step])
            size = self.params.baseline_size if step == steps[0] else 0
            with self.embedder.running(self.params.batch_size) as embed:
                for rows, pixels in self.images.batches(batches):
                    baseline = {BASELINE: raw_pixels(pixels, size)} if size else {}
                    yield step, baseline | embed(rows, pixels)


def open_cell(
    images: PackedImages,
    checkpoints: Checkpoints,
    taps: TapsParams,
    params: EmbedParams,
    *,
    seed: int,
) -> Cell:
    """Build a cell's network and find its layers.

    Args:
        images: the dataset.
        checkpoints: of the network, with its entry's `network` part.
        taps: the other part.
        params: the `embed` section.
        seed: of the cell; rotations are drawn from it.

    Raises:
        UserError: a module path is not in the network.
    """
    last = checkpoints.last
    embedder = open_embedder(
        checkpoints.network, taps, params, images, classes=len(last.classes), augment=last.augment, seed=seed
    )
    in_memory = images.in_memory(MAX_SHARD_BYTES)  # if no more than a shard: samples' rows are scattered
    return Cell(in_memory, params, checkpoints.paths, last.classes, embedder)
