"""One cell of the grid: every image at every layer of every checkpoint of one network, and more at the last."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.embed.embedder import Embedder, draw_rotation, raw_pixels
from stages.embed.image_sets import ImageSet, batches_left, change_pixels, last_step_sets, samples_of
from stages.embed.kept_shards import KeptShards
from stages.embed.layers import baseline_layers, pooled_layers
from stages.embed.loading import checked_checkpoints
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.taps.find import find_taps
from stages.shared.embeddings.embedding_store import BASELINE, LAST_STEP, LOGITS
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.images.image_store import MAX_SHARD_BYTES, PackedImages, Pixels, Rows
from stages.shared.networks.devices import choose_device
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell as CellName

Left = list[tuple[ImageSet, list[Rows], int]]
"""Batches that are left of each set, from `batches_left`."""


@dataclass(frozen=True)
class Store:
    """One of a cell's two stores.

    Attributes:
        name: what messages call it.
        path: its folder.
        sets: what it holds.
        steps: the checkpoints' steps, ascending.
    """

    name: str
    path: Path
    sets: Sequence[ImageSet]
    steps: Sequence[int]


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

    @property
    def rows(self) -> Rows:
        """Rows of the images to embed at every checkpoint, ascending."""
        return self.images.rows(*self.params.splits)

    @property
    def last_step_sets(self) -> list[ImageSet]:
        """What is embedded at the last checkpoint alone, in a store inside the store."""
        return last_step_sets(self.images, self.params)

    def write(self, out: Path, attributes: Mapping[str, Any], kept: KeptShards | None = None) -> int:
        """Embed into a new store: one forward pass per image and checkpoint, and per image of the last step's sets.

        Args:
            out: the store to create.
            attributes: JSON values to keep in it: dataset, model, fold, seed, versions, frozen.
            kept: where it goes on from, and is kept; None: it starts anew and is not kept.

        Returns:
            Number of layers written, the raw-pixel baseline included.

        Raises:
            UserError: a layer's embedding is NaN or infinite, or a checkpoint does not fit the network.
        """
        steps, sets, kept = list(self.checkpoints), self.last_step_sets, kept or KeptShards()
        kept.restore(len(steps) * len(self.rows) + sum(len(chosen.rows) for chosen in sets))
        store = Store("embed", out, [ImageSet(self.rows)], steps)
        last = Store("embed, last step", out / LAST_STEP, sets, steps[-1:])
        with self._writer(store, attributes, kept) as writer:
            self._fill(writer, store, kept)
            if sets:  # finished before the store around it
                with self._writer(last, attributes, kept) as inner:
                    self._fill(inner, last, kept)
        return len(writer.layers)

    def _writer(self, store: Store, attributes: Mapping[str, Any], kept: KeptShards) -> EmbeddingWriter:
        return EmbeddingWriter(
            store.path,
            samples=samples_of(self.images, store.sets),
            steps=store.steps,
            layers=baseline_layers(self.params.baseline_size) + [layer.layer for layer in self.embedder.layers],
            classes=self.classes,
            dtype=self.params.dtype,
            attributes=attributes,
            written=kept.rows.get(store.name),
        )

    def _fill(self, writer: EmbeddingWriter, store: Store, kept: KeptShards) -> None:
        size = self.params.baseline_size
        total = len(store.steps) * sum(math.ceil(len(chosen.rows) / self.params.batch_size) for chosen in store.sets)
        left = {step: batches_left(store.sets, self.params.batch_size, rows) for step, rows in writer.written.items()}
        before = total - sum(len(batches) for sets in left.values() for _, batches, _ in sets)
        batches = progress(self._batches(left), total=total, what=store.name, unit="batch", done_before=before)
        with self.embedder.running() as embed:
            for step, rows, pixels, written in batches:
                if size and step == store.steps[0]:
                    writer.write(BASELINE, step, raw_pixels(pixels, size)[written:])
                for name, values in embed(rows, pixels).items():
                    writer.write(name, step, stored(values, name, step, self.params.dtype)[written:])
                kept.after_batch(store.name, writer)

    def _batches(self, left: Mapping[int, Left]) -> Iterator[tuple[int, Rows, Pixels, int]]:
        """Yield step, rows, pixels, and how many of the rows are written already, batch by batch."""
        for step, sets in left.items():
            if sets:
                self.embedder.load(self.checkpoints[step])
            for chosen, batches, written in sets:
                for rows, pixels in self.images.batches(batches):
                    yield step, rows, change_pixels(self.images, chosen, rows, pixels), written
                    written = 0


def open_cell(
    images: PackedImages,
    network_params: NetworkParams,
    taps_params: TapsParams,
    params: EmbedParams,
    *,
    weights: Path,
    steps: Sequence[int],
    seed: int,
    of: CellName | None = None,
) -> Cell:
    """Check a cell's checkpoints, build its network and find its layers.

    Args:
        images: the dataset.
        network_params, taps_params: the model's entry.
        params: the `embed` section.
        weights: folder of the checkpoints.
        steps: the steps of which there must be checkpoints, and no others.
        seed: of the cell; rotations are drawn from it.
        of: dataset, model, fold and seed whose checkpoints they must be; None: any.

    Raises:
        UserError: a checkpoint is missing, of another step, network or dataset, or was not asked for; a module path is
            not in the network.
    """
    checkpoints, info = checked_checkpoints(weights, steps, images, network_params, cell=of)
    network = build_network(network_params, max(1, len(info.classes)), seed=seed, load_weights=False)
    taps = find_taps(network, network_params, taps_params)
    accelerator = choose_device()
    network.move(accelerator.device)
    embedder = Embedder(
        network=network,
        layers=pooled_layers(taps, params.pooling),
        logits=not network_params.frozen,
        rotation=draw_rotation(images, info.augment, seed) if params.augment else None,
        accelerator=accelerator,
    )
    in_memory = images.in_memory(MAX_SHARD_BYTES)  # if no more than a shard: samples' rows are scattered
    return Cell(in_memory, params, checkpoints, info.classes, embedder)


def stored(values: NDArray[np.float32], name: str, step: int, dtype: str) -> NDArray[Any]:
    """Turn a batch of one array (B, D) into the type in which it is stored; logits stay float32.

    Raises:
        UserError: a value is NaN or infinite, also by the conversion.
    """
    with np.errstate(over="ignore"):  # what overflows is reported below
        converted = values if name == LOGITS else values.astype(dtype, copy=False)
    if np.isfinite(converted).all():
        return converted
    bad = int((~np.isfinite(converted)).any(axis=1).sum())
    raise UserError(
        f"layer {name!r} at step {step} must be finite, found NaN or infinity in {bad} of {len(converted)} images of "
        "a batch. Values above 65504 overflow with embed.dtype float16 (use float32) and with "
        "ACCELERATE_MIXED_PRECISION=fp16 (use bf16, or no); else training diverged: lower finetune.learning_rate"
    )
