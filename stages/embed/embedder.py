"""How a batch of packed images becomes every layer's embedding: input, forward pass, transfer to memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from stages.embed.hooks import LayerEmbeddings
from stages.embed.layers import PooledLayer
from stages.embed.loading import load_checkpoint
from stages.shared.images.image_store import SPLITS, PackedImages, Pixels, Rows
from stages.shared.networks.network import Network
from stages.shared.networks.transforms import draw_angles, resize
from stages.shared.settings.seeding import child_seed

EmbedBatch = Callable[[Rows, Pixels], dict[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Rotation:
    """The training transform of every image of a dataset.

    Attributes:
        angles: (all images,) in degrees; 0 where the fold does not use the image.
        padding: width of the border in pixels at 224 px.
        fill: the border's grey level, 0 to 255.
    """

    angles: Tensor
    padding: int
    fill: int


@dataclass(frozen=True)
class Embedder:
    """A network on its device, and what is taken from it.

    Attributes:
        network: in evaluation mode; each checkpoint is loaded into it in turn.
        layers: the layers under their poolings.
        logits: whether the head's logits are taken too.
        rotation: with `embed.augment`; None: the evaluation transform.
        accelerator: device and precision.
    """

    network: Network
    layers: Sequence[PooledLayer]
    logits: bool
    rotation: Rotation | None
    accelerator: Accelerator

    def load(self, checkpoint: Path) -> None:
        """Load a checkpoint's weights.

        Raises:
            UserError: they do not fit the network.
        """
        load_checkpoint(self.network, checkpoint)

    def inputs(self, rows: Rows, pixels: Pixels) -> Tensor:
        """Transform one batch: (B, S, S, 3) uint8 -> (B, 3, size, size) float32 on the device."""
        batch = torch.from_numpy(pixels).to(self.accelerator.device, non_blocking=True)
        if self.rotation is None:
            return self.network.transform.evaluation(batch)
        turned = self.rotation
        return self.network.transform.training(batch, turned.angles[rows], padding=turned.padding, fill=turned.fill)

    @contextmanager
    def running(self) -> Iterator[EmbedBatch]:
        """Hook the layers; give the function that embeds a batch: rows and pixels -> {name: (B, D)}."""
        with torch.inference_mode(), LayerEmbeddings(self.network, self.layers, logits=self.logits) as embed:

            def embed_batch(rows: Rows, pixels: Pixels) -> dict[str, NDArray[np.float32]]:
                inputs = self.inputs(rows, pixels)
                with self.accelerator.autocast():
                    return to_arrays(embed(inputs))

            yield embed_batch


def draw_rotation(images: PackedImages, augment: Mapping[str, Any], seed: int) -> Rotation:
    """Draw one rotation per image of a fold, split after split, the same at every checkpoint.

    Args:
        images: the dataset.
        augment: `degrees` and `padding` of the training transform.
        seed: of the cell.
    """
    generator = torch.Generator().manual_seed(child_seed(seed, "embed", "rotation"))
    rows = images.rows(*SPLITS)
    angles = torch.zeros(len(images.manifest))
    angles[rows] = draw_angles(len(rows), augment["degrees"], generator)
    return Rotation(angles, augment["padding"], images.fill)


def raw_pixels(pixels: Pixels, size: int) -> NDArray[np.float32]:
    """Reduce images: (B, S, S, 3) uint8 -> (B, size * size * 3) float32 in [0, 1], row by row, RGB last."""
    return resize(torch.from_numpy(pixels), size).permute(0, 2, 3, 1).flatten(1).numpy()


def to_arrays(embeddings: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Move a batch's embeddings {name: (B, D)} to memory in one transfer."""
    widths = [tensor.shape[1] for tensor in embeddings.values()]
    joined = torch.cat(list(embeddings.values()), dim=1).cpu().numpy()
    return dict(zip(embeddings, np.split(joined, np.cumsum(widths)[:-1], axis=1), strict=True))
