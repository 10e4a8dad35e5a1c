"""Corrupted images: four corruptions at three severities.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR
2019, whose constants are those of images of 224 px (ImageNet-C), 64 px (Tiny ImageNet-C) and 32 px (CIFAR-10-C).

kind        what happens                                                severity  1       2       3
blur        Gaussian, edges repeated; sigma in pixels at 224 px                   3       5       7
noise       Gaussian, independent in every pixel and channel;                     0.08    0.16    0.32
            sigma in [0, 1] at 224 px
contrast    distance from each channel's mean, times                              0.4     0.2     0.1
rotation    about the centre, bilinear, to either side, in degrees                15      30      45

At S px blur's sigma is S / 224 times that of 224 px (the same share of the image), noise's sqrt(S / 224) times (about
how the constants of their three sizes relate). Rotation, which is not theirs, uncovers the dataset's fill grey. The
constants span about the range of their five severities at 224, 64 and 32 px: blur 1 to 6, 0.5 to 1.5 and 0.4 to 1;
noise 0.08 to 0.38, 0.04 to 0.18 and 0.04 to 0.1; contrast 0.4 to 0.05. The strongest blur is somewhat beyond theirs at
224 and 64 px. Noise on a white background is cut at white, so that it can only darken it. Where `embed.augment`
rotates images, a copy is turned by the angle of its original, in addition to the corruption's rotation.

The copies belong to the dataset: what is drawn for an image depends only on its id, not on the network, the cell's
seed, the batch or the other images, and it is the same at every severity, scaled.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.embed.params import Kind, Severity
from stages.shared.core.seeding import child_seed
from stages.shared.images.image_store import Pixels

ROOT_SEED = 0
SIZE = 224
"""The image size, in pixels, for which the strengths of blur and noise are given."""


def corrupt(pixels: Pixels, sample_ids: Sequence[str], kind: Kind, severity: Severity, *, fill: int) -> Pixels:
    """Corrupt a batch of images.

    Args:
        pixels: (B, S, S, 3) uint8, RGB.
        sample_ids: (B,) the images' ids, from which everything random is drawn.
        kind: which corruption.
        severity: how much of it.
        fill: grey level 0 to 255 of what a rotation uncovers.

    Returns:
        (B, S, S, 3) uint8, a new array.
    """
    change, strengths = CORRUPTIONS[kind]
    return change(pixels, strengths[severity - 1], sample_ids, fill)


def blur(pixels: Pixels, sigma: float, sample_ids: Sequence[str], fill: int) -> Pixels:
    """Blur with a Gaussian of `sigma` pixels at 224 px, cut at 4 sigma."""
    from scipy.ndimage import gaussian_filter  # here: it takes a fifth of a second to import

    scaled = sigma * pixels.shape[1] / SIZE
    return _rounded(gaussian_filter(pixels.astype(np.float32), (0, scaled, scaled, 0), mode="nearest"))


def noise(pixels: Pixels, sigma: float, sample_ids: Sequence[str], fill: int) -> Pixels:
    """Add Gaussian noise of standard deviation `sigma`, in [0, 1] at 224 px."""
    scaled = 255 * sigma * (pixels.shape[1] / SIZE) ** 0.5
    fields = (_random("noise", name).standard_normal(pixels.shape[1:], dtype=np.float32) for name in sample_ids)
    return np.stack([_rounded(image + scaled * field) for image, field in zip(pixels, fields, strict=True)])


def contrast(pixels: Pixels, factor: float, sample_ids: Sequence[str], fill: int) -> Pixels:
    """Multiply every pixel's distance from the mean of its image and channel by `factor`."""
    means = pixels.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return _rounded((pixels - means) * factor + means)


def rotation(pixels: Pixels, degrees: float, sample_ids: Sequence[str], fill: int) -> Pixels:
    """Rotate by `degrees`, clockwise or counter-clockwise as drawn for each image."""
    signs = (_random("rotation", name).choice((-1, 1)) for name in sample_ids)
    return np.stack([_rotated(image, sign * degrees, fill) for image, sign in zip(pixels, signs, strict=True)])


CORRUPTIONS: dict[Kind, tuple[Callable[[Pixels, float, Sequence[str], int], Pixels], tuple[float, float, float]]] = {
    "blur": (blur, (3.0, 5.0, 7.0)),
    "noise": (noise, (0.08, 0.16, 0.32)),
    "contrast": (contrast, (0.4, 0.2, 0.1)),
    "rotation": (rotation, (15.0, 30.0, 45.0)),
}
"""Each kind's function, and its strength at every severity."""


def _random(kind: Kind, sample_id: str) -> np.random.Generator:
    return np.random.default_rng(child_seed(ROOT_SEED, "embed", kind, sample_id))


def _rotated(image: Pixels, degrees: float, fill: int) -> Pixels:
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(fill, fill, fill)))


def _rounded(values: NDArray[np.float32]) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)
