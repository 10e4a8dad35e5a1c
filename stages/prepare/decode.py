"""Image files -> (H, W, 3) uint8 RGB: upright, opaque, and square if asked; one, or many in threads.

Whatever reads an image's pixels calls `read_pixels`: what it refuses and scales, and the limit of pixels, then hold
everywhere. Only what a file holds makes it a bad image. What the machine lacks (memory, open files, a disk that can
be read) is raised: a good image would be left out.
"""

import errno
import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from threading import Lock
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ..shared.runtime.errors import UserError, explain_system_error
from .bits import FULL, BadImageError, Bits, Depth, fewest_bits, file_range, mode_range
from .candidates import Content

Fit = Literal["crop", "pad", "squash"]
FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI"),
    *("SGI", "TGA", "TIFF", "WEBP", "XBM"),
)
"""What is read, by Pillow's names. Of others, EPS would start Ghostscript, a program that the file drives."""

IMAGES_AHEAD = 128
BYTES_AHEAD = 2**28
"""Of files and of decoded images, beyond which no further file is read ahead."""

MAX_THREADS = 8
"""By default, as each may take `BYTES_OF_AN_IMAGE`."""

PIXELS_AT_ONCE = 2**20
"""Of an image that is converted."""

BYTES_OF_AN_IMAGE = 2**29
"""What decoding takes at most of an image within the default limit: a progressive JPEG of 50 million pixels."""

OF_THE_FILE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
"""Numbers of errors that a file has on any machine: none where it is too large; a link to nothing, or in a circle."""

HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
"""Brands in the first box of files of HEVC images, which Pillow does not read."""

REMEDY = "bring its values to 0 to 255 and save it with 8 bits (NumPy: `array.astype('uint8')`)"

C = TypeVar("C", bound=Content)


class Decoded(NamedTuple):
    """An image.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        depth: how it was scaled; None where it had 8 bits.
        side: the shorter side of what was read, in pixels.
    """

    pixels: NDArray[np.uint8]
    depth: Depth | None
    side: int


def read_pixels(
    content: Content, *, max_pixels: int, size: int | None = None, fit: Fit = "crop", fill: int = 255, bits: Bits = FULL
) -> Decoded:
    """Read one image.

    Args:
        content: an encoded file, as `read_file` reads it, or a Pillow image; of an animation the first frame counts.
        max_pixels: of a file, before it is resized.
        size: height and width in pixels of the result; None: those of the image, upright.
        fit: how it becomes square (`DatasetParams.fit`).
        fill: grey level 0 to 255 behind transparent pixels and of padding.
        bits: how many bits the values of a file of 16 bits a sample use.

    Returns:
        (size, size, 3), or (H, W, 3).

    Raises:
        BadImageError: it is no image, truncated, beyond `max_pixels`, of a kind without a defined range, or has
            larger values than `bits` allows.
        MemoryError, OSError: the machine lacks something, which says nothing of the image.
    """
    with damage_named(max_pixels), pixel_limit(max_pixels):
        if isinstance(content, bytes):
            image: Image.Image = (file := open_image(content))
            if image.width * image.height > max_pixels:  # where another thread allows more
                raise Image.DecompressionBombError
            side, (file_bits, white) = min(file.size), file_range(file, content)
            if size:
                image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a fraction, twice our size
            ImageOps.exif_transpose(image, in_place=True)  # a second copy may take 200 MB
        else:
            side, (file_bits, white) = min(content.size), mode_range(content)
            image = ImageOps.exif_transpose(content)
        depth = _measure_depth(image, file_bits, white, bits)
        rgb = to_rgb(image, fill, depth)
        return Decoded(np.asarray(square(rgb, size, fit, fill) if size else rgb), depth, side)


@contextmanager
def damage_named(max_pixels: int) -> Iterator[None]:
    """Turn what Pillow raises on a damaged file into a `BadImageError`; what the machine lacks is raised unchanged."""
    try:
        yield
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError("not an image of a format that is read") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more than {max_pixels} pixels, prepare.max_pixels; reduce it") from None
    except Exception as error:  # Pillow's readers raise any kind on damaged files
        if explain_system_error(error) or getattr(error, "errno", None):  # Pillow's own errors have no number
            raise
        raise BadImageError(f"damaged or unusual: {error}") from None


class _Limit(int):
    """A limit above which Pillow refuses images: it warns above the limit, and refuses above `2 * limit`."""

    def __rmul__(self, factor: int) -> int:
        return int(self)


_limits: list[int] = []
"""Pillow's own (0: none), then those that hold at the moment."""

_lock = Lock()


@contextmanager
def pixel_limit(pixels: int) -> Iterator[None]:
    """Let Pillow refuse images of more pixels as soon as it reads their sizes, also of images within files.

    Pillow has one limit for all threads: of several that hold at once, the largest.
    """
    with _lock:
        _limits.extend([pixels] if _limits else [Image.MAX_IMAGE_PIXELS or 0, pixels])
        Image.MAX_IMAGE_PIXELS = _Limit(max(_limits[1:]))
    try:
        yield
    finally:
        with _lock:
            del _limits[_limits.index(pixels, 1)]
            Image.MAX_IMAGE_PIXELS = _Limit(max(_limits[1:])) if _limits[1:] else _limits.pop() or None


def open_image(content: bytes) -> ImageFile.ImageFile:
    """Read an image file's header, if it is of one of `FORMATS`."""
    try:
        return Image.open(io.BytesIO(content), formats=known_formats())
    except UnidentifiedImageError:
        if content[4:8] == b"ftyp" and any(brand in content[8 : int.from_bytes(content[:4])] for brand in HEIC):
            raise BadImageError("HEIC, the format of iPhones, is not read; save it as JPEG or PNG") from None
        start = content[:16].ljust(16, b"\0")
        for name in known_formats():
            accept = Image.OPEN[name][1]
            if accept and accept(start):
                raise BadImageError(
                    f"the format, {name}, is read, but not this variety, or it is damaged; save it with 8 bits a "
                    "sample, or grey with 16"
                ) from None
        raise


@cache
def known_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def digest(content: Content) -> str:
    """Return the SHA-256 of an encoded file's bytes, or of an image's mode, size and pixels."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    header = f"{content.mode} {content.width} {content.height}\n".encode()
    return hashlib.sha256(header + content.tobytes()).hexdigest()


def _measure_depth(image: Image.Image, file_bits: int, white: int | None, bits: Bits) -> Depth | None:
    """Find how an image is to be scaled to 8 bits; None if it has them.

    Args:
        image: upright.
        file_bits, white: as `file_range` returns them.
        bits: of the dataset.

    Raises:
        BadImageError: its range is not defined, or its values exceed it.
    """
    if image.mode == "F":
        raise BadImageError(f"floating-point values have no defined range; {REMEDY}")
    if image.mode == "I" and file_bits > FULL:
        raise BadImageError(f"{file_bits}-bit values have no defined range; {REMEDY}, or with 16 (`'uint16'`)")
    if file_bits <= 8:
        return None
    if white:
        return Depth(file_bits, white)
    grey = image.mode.startswith("I")  # in full; of colours Pillow has the upper 8 bits
    if not grey and bits < FULL:
        raise BadImageError(
            f"of colours of 16 bits the upper 8 alone are read, and `bits: {bits}` asks for others; save it with 8 "
            f"bits (NumPy: `(array >> {bits - 8}).astype('uint8')`)"
        )
    channels = [image] if grey else [image.getchannel(band) for band in image.getbands() if band not in "Aa"]
    largest = int(max(np.asarray(part).max() for each in channels for _, part in _parts(each)))
    largest += 0 if grey else 255 * largest + 255
    if largest >= 2**bits:
        raise BadImageError(f"its values must be 0 to {2**bits - 1} (`bits: {bits}` of the dataset), found {largest}")
    return Depth(bits, 2**bits - 1, largest)


def _parts(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield rows at a time, and the number of the first: steps of a conversion take up to 24 bytes a pixel."""
    rows = PIXELS_AT_ONCE // image.width + 1
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def to_rgb(image: Image.Image, fill: int, depth: Depth | None) -> Image.Image:
    """Convert any mode to RGB: of more than 8 bits scaled to 8, transparent pixels laid over `fill`."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    rgb = Image.new("RGB", image.size)
    for top, part in _parts(image):
        rgb.paste(_part_to_rgb(part, fill, depth), (0, top))
    return rgb


def _part_to_rgb(image: Image.Image, fill: int, depth: Depth | None) -> Image.Image:
    if depth and image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        image = Image.fromarray(((values * 255 + depth.white // 2) // depth.white).astype(np.uint8))  # to the nearest
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


def decode_many(
    contents: Iterable[Callable[[], Content]],
    *,
    workers: int | None = None,
    max_pixels: int,
    size: int | None = None,
    fit: Fit = "crop",
    fill: int = 255,
    bits: Bits = FULL,
) -> Iterator[tuple[str, Decoded | str]]:
    """Read and decode images in threads, ahead of whoever takes them.

    Args:
        contents: read one image each; called in this order, each once, in the caller's thread.
        workers: threads; None: one per processor, at most `MAX_THREADS`.
        max_pixels, size, fit, fill, bits: as `read_pixels` takes them.

    Yields:
        Of every image, in order, its SHA-256 (of the file, or of the pixels of an image that is no file; empty where
        there is none) and what `read_pixels` returns, or why there is no such image.

    Raises:
        MemoryError, OSError: the machine lacks what reading or decoding takes, or telling whether a file is damaged.
    """
    work = partial(_decode_one, max_pixels=max_pixels, size=size, fit=fit, fill=fill, bits=bits)
    workers = workers or min(os.cpu_count() or 1, MAX_THREADS)
    most, waiting = IMAGES_AHEAD if size else workers, map(read_content, contents)
    ahead, held = deque[tuple[Content | OSError, int, Future[Any]]](), 0
    with pixel_limit(max_pixels), ExitStack() as stack:
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)  # also where whoever takes the images stops
        while True:
            while len(ahead) < most and held < BYTES_AHEAD and (content := next(waiting, None)) is not None:
                taken = 3 * (size or 0) ** 2 + (len(content) if isinstance(content, bytes) else 0)
                ahead.append((content, taken, pool.submit(work, content)))
                held += taken
            if not ahead:
                return
            content, taken, future = ahead.popleft()
            held -= taken
            result = future.result()
            if isinstance(result[1], str):  # some decoders report a lack of memory as damage: once more, alone
                wait([each for *_, each in ahead])  # what the other threads took is free again
                np.empty(BYTES_OF_AN_IMAGE, np.uint8)  # reserved and given back; no page of it is touched
                result = work(content)
            yield result


def decode_alike(
    contents: Sequence[Callable[[], Content]], *, tell: Callable[[Bits], object], **how: Any
) -> Iterator[tuple[str, Decoded | str]]:
    """Do as `decode_many` does, but scale images of 16 bits from the fewest bits into which the values of all fit.

    The first of them that leaves its range open has all that follow read before it is scaled.

    Args:
        contents: read one image each.
        tell: is told how many bits these are, if they are fewer than 16.
        how: as `decode_many` takes it, but for `bits`.
    """
    count = 0
    for sha256, image in decode_many(contents, **how):
        if not isinstance(image, str) and image.depth and image.depth.largest is not None:
            break
        yield sha256, image
        count += 1
    rest = contents[count:]
    if bits := fewest_bits(each.depth for _, each in decode_many(rest, **how) if not isinstance(each, str)):
        tell(bits)
    yield from decode_many(rest, **how, bits=bits or FULL)


def read_content(content: Callable[[], C]) -> C | OSError:
    """Read one image, or return why its file cannot be read; what the machine lacks is raised."""
    try:
        return content()
    except OSError as error:
        if error.errno not in OF_THE_FILE:
            raise
        return error
    except UserError:  # a pipe, for example
        raise
    except ValueError as error:  # a path with a null byte
        return OSError(str(error))


def _decode_one(content: Content | OSError, **how: Any) -> tuple[str, Decoded | str]:
    if isinstance(content, OSError):
        return "", f"cannot be read ({content.strerror or content})"
    try:
        return digest(content), read_pixels(content, **how)
    except BadImageError as error:
        return "", str(error)
