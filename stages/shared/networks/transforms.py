"""From packed images to a network's input: whole batches, as tensors, on the device.

Evaluation resizes and normalizes. Training (Dyballa et al. 2024) resizes, adds a border, rotates every image by its own
angle, cuts the centre out and normalizes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PADDING_AT = 224
"""The image size, in pixels, at which the border's width is given."""


@dataclass(frozen=True)
class Transform:
    """What one network wants its input to be.

    Attributes:
        size: height and width of the input in pixels.
        mean, std: normalization of RGB in [0, 1].
        channels_last: memory format of the result.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels_last: bool

    def evaluation(self, pixels: Tensor) -> Tensor:
        """Resize and normalize: (B, S, S, 3) uint8 -> (B, 3, size, size) float32, on the same device."""
        return self._normalized(resize(pixels, self.size))

    def training(self, pixels: Tensor, angles: Tensor, *, padding: int, fill: int) -> Tensor:
        """Resize, pad, rotate, cut the centre out and normalize.

        Args:
            pixels: (B, S, S, 3) uint8.
            angles: (B,) float, in degrees, counter-clockwise.
            padding: width of the border in pixels at 224 px; it scales with `size`.
            fill: the border's grey level, 0 to 255. What a rotation uncovers beyond the border is black.

        Returns:
            (B, 3, size, size) float32, on the device of `pixels`.
        """
        border = round(padding * self.size / PADDING_AT)
        images = functional.pad(resize(pixels, self.size), [border] * 4, value=fill / 255)
        return self._normalized(rotate_and_crop(images, angles.to(pixels.device), self.size))

    def _normalized(self, images: Tensor) -> Tensor:
        """Normalize in place what `resize` or `rotate_and_crop` has just made."""
        mean, std = (torch.tensor(values, device=images.device) for values in (self.mean, self.std))
        if not self.channels_last:
            return images.contiguous().sub_(mean.view(3, 1, 1)).div_(std.view(3, 1, 1))
        width = images.shape[3]
        rows = images.permute(0, 2, 3, 1).flatten(2)  # a loop over whole rows is fast, one over three colours is not
        normalized = rows.sub_(mean.repeat(width)).div_(std.repeat(width))
        return normalized.view(*rows.shape[:2], width, 3).permute(0, 3, 1, 2)


def resize(pixels: Tensor, size: int) -> Tensor:
    """Resize bilinearly with antialiasing: (B, S, S, 3) uint8 -> (B, 3, size, size) float32 in [0, 1]."""
    images = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255)
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)


def draw_angles(count: int, degrees: float, generator: torch.Generator) -> Tensor:
    """Draw rotation angles uniform in [-degrees, degrees): (count,) float32, from a CPU generator on every device."""
    return (torch.rand(count, generator=generator) * 2 - 1) * degrees


def rotate_and_crop(images: Tensor, angles: Tensor, size: int) -> Tensor:
    """Rotate every image about its centre (nearest neighbour) and cut out the centre.

    Args:
        images: (B, C, S, S) float.
        angles: (B,) float, in degrees, counter-clockwise.
        size: height and width of the part to keep, at most S.

    Returns:
        (B, C, size, size); 0 where the rotation uncovers what is outside the image.
    """
    radians = torch.deg2rad(angles)
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    rows = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)  # from output to input
    grid = functional.affine_grid(
        rows * (size / images.shape[-1]), [len(images), images.shape[1], size, size], align_corners=False
    )
    return functional.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)
