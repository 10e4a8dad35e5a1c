"""One cell of the grid: every image at every layer of every checkpoint of one network, and more at the last."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from stages.embed.hooks import LayerEmbeddings
from stages.embed.image_sets import Part, last_step_parts, part_pixels, part_samples
from stages.embed.layers import PooledLayer, baseline_layers, pooled_layers
from stages.embed.loading import checked_info, load_checkpoint, prepare_module
from stages.embed.params import EmbedParams
from stages.embed.taps.find import TapsParams, find_taps
from stages.shared.checkpoints import CheckpointInfo, list_checkpoints, read_info
from stages.shared.console import UserError, progress
from stages.shared.devices import choose_device
from stages.shared.embedding_store import BASELINE, LAST_STEP, LOGITS
from stages.shared.embedding_writer import EmbeddingWriter
from stages.shared.image_store import MAX_SHARD_BYTES, PackedImages, Pixels, Rows, batch_rows
from stages.shared.networks.build import Network, build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.seeding import child_seed
from stages.shared.transforms import Transform, draw_angles, resize

DISTRIBUTIONS = {"open_clip": "open_clip_torch"}
"""Names of network libraries on the package index, where they differ."""


@dataclass(frozen=True)
class Cell:
    """What a cell embeds, ready to run.

    Attributes:
        images: the dataset.
        params: the `embed` section.
        extra: what is embedded at the last checkpoint alone, in a store inside the store.
        network: in evaluation mode, on the device; each checkpoint is loaded into it in turn.
        layers: what is taken from it.
        transform: the network's input.
        angles: (all images,) rotation in degrees; None without `embed.augment`.
        checkpoints: paths by step, ascending.
        info: what the last checkpoint says of itself.
        accelerator: device and precision.
    """

    images: PackedImages
    params: EmbedParams
    extra: Sequence[Part]
    network: Network
    layers: Sequence[PooledLayer]
    transform: Transform
    angles: Tensor | None
    checkpoints: Mapping[int, Path]
    info: CheckpointInfo
    accelerator: Accelerator

    @property
    def rows(self) -> Rows:
        """Rows of the images to embed, ascending."""
        return self.images.rows(*self.params.splits)

    def write(self, out: Path, attributes: Mapping[str, Any]) -> int:
        """Embed into a new store: at each checkpoint one forward pass per image, and per image of `extra` at the last.

        Args:
            out: the store to create.
            attributes: JSON values to keep in it: dataset, model, seed, versions.

        Returns:
            Number of layers written, the raw-pixel baseline included.

        Raises:
            UserError: a layer's embedding is NaN or infinite, or a checkpoint does not fit the network.
        """
        whole, steps = [Part(self.rows)], list(self.checkpoints)
        with self._writer(out, whole, steps, attributes) as writer:
            self._fill(writer, whole, "embed")
            if self.extra:  # finished before the store around it
                with self._writer(out / LAST_STEP, self.extra, steps[-1:], attributes) as inner:
                    self._fill(inner, self.extra, "embed, last step")
        return len(writer.layers)

    def inputs(self, rows: Rows, pixels: Pixels) -> Tensor:
        """Transform one batch: (B, S, S, 3) uint8 -> (B, 3, size, size) float32 on the device."""
        batch = torch.from_numpy(pixels).to(self.accelerator.device, non_blocking=True)
        if self.angles is None:
            return self.transform.evaluation(batch)
        padding = self.info.augment["padding"]
        return self.transform.training(batch, self.angles[rows], padding=padding, fill=self.images.fill)

    def _writer(
        self, path: Path, parts: Sequence[Part], steps: Sequence[int], attributes: Mapping[str, Any]
    ) -> EmbeddingWriter:
        return EmbeddingWriter(
            path,
            samples=part_samples(self.images, parts),
            steps=steps,
            layers=baseline_layers(self.params.baseline_size) + [layer.layer for layer in self.layers],
            classes=self.info.classes,
            dtype=self.params.dtype,
            attributes=attributes,
        )

    def _fill(self, writer: EmbeddingWriter, parts: Sequence[Part], what: str) -> None:
        size = self.params.baseline_size
        with torch.inference_mode(), LayerEmbeddings(self.network, self.layers) as embed:
            for step, rows, pixels in self._passes(parts, writer.steps, what):
                if size and step == writer.steps[0]:
                    writer.write(BASELINE, step, raw_pixels(torch.from_numpy(pixels), size))
                inputs = self.inputs(rows, pixels)
                with self.accelerator.autocast():
                    embeddings = embed(inputs)
                for name, values in to_arrays(embeddings).items():
                    writer.write(name, step, self._checked(values, name, step))

    def _passes(self, parts: Sequence[Part], steps: Sequence[int], what: str) -> Iterator[tuple[int, Rows, Pixels]]:
        batches = [(part, rows) for part in parts for rows in batch_rows(part.rows, self.params.batch_size)]
        order = [(step, part) for step in steps for part, _ in batches]
        rows_of_batches = [rows for _, rows in batches] * len(steps)
        read = progress(self.images.batches(rows_of_batches), total=len(order), what=what, unit="batch")
        loaded = None
        for (step, part), (rows, pixels) in zip(order, read, strict=True):
            if step != loaded:
                load_checkpoint(self.network, self.checkpoints[step])
                loaded = step
            yield step, rows, part_pixels(self.images, part, rows, pixels)

    def _checked(self, values: NDArray[np.float32], name: str, step: int) -> NDArray[Any]:
        with np.errstate(over="ignore"):  # what overflows is reported below
            stored = values if name == LOGITS else values.astype(self.params.dtype, copy=False)
        if np.isfinite(stored).all():
            return stored
        bad = int((~np.isfinite(stored)).any(axis=1).sum())
        raise UserError(
            f"layer {name!r} at step {step} must be finite, found NaN or infinity in {bad} of {len(stored)} images of "
            "a batch. Values above 65504 overflow with embed.dtype float16 (use float32) and with "
            "ACCELERATE_MIXED_PRECISION=fp16 (use bf16, or no); else training diverged: lower finetune.learning_rate"
        )


def open_cell(
    images: PackedImages,
    network_params: NetworkParams,
    taps_params: TapsParams,
    params: EmbedParams,
    *,
    weights: Path,
    seed: int,
) -> Cell:
    """Check a cell's checkpoints, build its network and find its layers.

    Args:
        images: the dataset.
        network_params, taps_params: the model's entry.
        params: the `embed` section.
        weights: folder of the checkpoints.
        seed: of the cell; rotations are drawn from it.

    Raises:
        UserError: no checkpoint, or one of another network or dataset; a module path that is not in the network.
    """
    info = checked_info(weights, images, network_params)
    network = build_network(network_params, len(info.classes), seed=seed, load_weights=False)
    taps = find_taps(network, network_params, taps_params)
    accelerator = choose_device()
    prepare_module(network, accelerator)
    return Cell(
        images=images.in_memory(MAX_SHARD_BYTES),  # if no more than a shard: samples' rows are scattered
        params=params,
        extra=last_step_parts(images, params),
        network=network,
        layers=pooled_layers(taps, params.pooling),
        transform=Transform(network_params.image_size, network.mean, network.std, network.convolutional),
        angles=all_angles(len(images.manifest), info, seed) if params.augment else None,
        checkpoints={read_info(path).step: path for path in list_checkpoints(weights)},
        info=info,
        accelerator=accelerator,
    )


def all_angles(count: int, info: CheckpointInfo, seed: int) -> Tensor:
    """Draw one rotation per image of the dataset, the same at every checkpoint: (count,) in degrees."""
    generator = torch.Generator().manual_seed(child_seed(seed, "embed", "rotation"))
    return draw_angles(count, info.augment["degrees"], generator)


def raw_pixels(pixels: Tensor, size: int) -> NDArray[np.float32]:
    """Reduce images: (B, S, S, 3) uint8 -> (B, size * size * 3) float32 in [0, 1], row by row, RGB last."""
    return resize(pixels, size).permute(0, 2, 3, 1).flatten(1).numpy()


def to_arrays(embeddings: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Move a batch's embeddings {name: (B, D)} to memory in one transfer."""
    widths = [tensor.shape[1] for tensor in embeddings.values()]
    joined = torch.cat(list(embeddings.values()), dim=1).cpu().numpy()
    return dict(zip(embeddings, np.split(joined, np.cumsum(widths)[:-1], axis=1), strict=True))


def library_versions(library: str) -> dict[str, str]:
    """Say which versions of torch and of the network's library computed the embeddings."""
    return {name: version(DISTRIBUTIONS.get(name, name)) for name in ("torch", library)}
