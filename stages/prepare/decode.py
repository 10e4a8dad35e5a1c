"""An image file -> (S, S, 3) uint8 RGB: upright, opaque, square."""

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from stages.prepare.candidates import Content
from stages.shared.runtime.resources import explain

Fit = Literal["crop", "pad", "squash"]
BROKEN_IMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError),
    *(OverflowError, RuntimeError, Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What Pillow's readers raise on damaged files; `damage_named` sorts out what the machine lacks."""


FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI"),
    *("SGI", "TGA", "TIFF", "WEBP", "XBM"),
)
"""What is read, by Pillow's names. Of others, EPS would start Ghostscript, a program that the file drives."""


class BadImageError(Exception):
    """An image that cannot be decoded, and why."""


def decode(content: Content, size: int, fit: Fit, fill: int) -> NDArray[np.uint8]:
    """Decode one image.

    Args:
        content: an encoded file or a Pillow image; of an animation the first frame counts.
        size: height and width in pixels of the result.
        fit: how it becomes square (`DatasetParams.fit`).
        fill: grey level 0 to 255 behind transparent pixels and of padding.

    Returns:
        (size, size, 3) uint8, RGB.

    Raises:
        BadImageError: it is no image, truncated, beyond `pixel_limit`, or of a kind without a defined range.
        MemoryError, OSError: the machine lacks something, which says nothing of the image.
    """
    with damage_named():
        image = _open(content, size)
        upright = ImageOps.exif_transpose(image)
        return np.asarray(square(to_rgb(upright, fill), size, fit, fill))


@contextmanager
def damage_named() -> Iterator[None]:
    """Within, what Pillow raises on a damaged file is a `BadImageError`; what the machine lacks is raised as it is."""
    try:
        yield
    except UnidentifiedImageError:
        raise BadImageError("not an image of a format that is read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more than {Image.MAX_IMAGE_PIXELS} pixels, prepare.limits.pixels") from None
    except BROKEN_IMAGE as error:
        if explain(error) or getattr(error, "errno", None):  # Pillow's own errors have no number
            raise
        raise BadImageError(f"damaged or unusual: {error}") from None


@contextmanager
def pixel_limit(pixels: int) -> Iterator[None]:
    """Within, images of more pixels are refused when their header is read; it holds in all threads."""
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow's own error comes at twice the limit
        Image.MAX_IMAGE_PIXELS = pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def open_image(content: bytes) -> Image.Image:
    """Read an image file's header, if it is of one of `FORMATS`."""
    return Image.open(io.BytesIO(content), formats=known_formats())


@cache
def known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def digest(content: Content) -> str:
    """SHA-256 of an encoded file's bytes, or of an image's mode, size and pixels."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    header = f"{content.mode} {content.width} {content.height}\n".encode()
    return hashlib.sha256(header + content.tobytes()).hexdigest()


def to_rgb(image: Image.Image, fill: int) -> Image.Image:
    """Convert any mode to RGB: 16-bit scaled to 8, transparent pixels laid over `fill`.

    Raises:
        ValueError: floating-point or 32-bit values, whose range is not defined.
    """
    if image.mode.startswith("I;16") or image.mode == "I":
        image = _from_16_bit(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        background = Image.new("RGBA", layer.size, (fill, fill, fill, 255))
        image = Image.alpha_composite(background, layer)
    return image.convert("RGB")


def square(image: Image.Image, size: int, fit: Fit, fill: int) -> Image.Image:
    """Make an RGB image square by bilinear, antialiased resampling."""
    if image.size == (size, size):
        return image
    if fit == "squash":
        return image.resize((size, size), Image.Resampling.BILINEAR)
    if fit == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR, color=(fill, fill, fill))


def _open(content: Content, size: int) -> Image.Image:
    if isinstance(content, Image.Image):
        return content
    image = open_image(content)
    image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a fraction of its size, twice ours at least
    return image


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels have no defined range; save it with 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))  # 65535 = 255 x 257: rounded to the nearest
