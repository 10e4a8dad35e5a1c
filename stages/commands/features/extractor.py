"""What turns images into features: one layer of one of the workflow's networks, or a cut network."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.prepare.decode import Fit
from stages.shared.images.image_store import Pixels

Float32 = NDArray[np.float32]
EmbedPixels = Callable[[Pixels], Float32]
"""(B, S, S, 3) uint8, RGB -> (B, D) float32."""


@dataclass(frozen=True)
class Extractor:
    """A network and what it takes.

    Attributes:
        about: what the features are of: dataset, model, fold, seed, step, layer, pooling. Kept in the output.
        identity: what determines the features beside the images, hashes of weights among it: JSON values.
        width: number of features, D.
        image_size, fit, fill: how images are decoded, as the prepare stage does.
        batch_size: images per forward pass.
        running: makes it ready to run, as a context manager that gives the function that embeds a batch.
        note: what a user should know; may be empty.
    """

    about: Mapping[str, Any]
    identity: Mapping[str, Any]
    width: int
    image_size: int
    fit: Fit
    fill: int
    batch_size: int
    running: Callable[[], AbstractContextManager[EmbedPixels]]
    note: str = ""
