"""How many bits a sample of an image file has, and which value is white.

A file of 16 bits a sample does not say how many of them its values use: those of X-rays and microscopes have 10, 12 or
14. A dataset's `bits` says it. Other files say their range themselves, and Pillow scales most of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image, ImageFile, TiffImagePlugin

Bits = Literal[8, 10, 12, 14, 16]
FULL: Bits = 16
"""What `bits` is where a dataset does not say it."""

JPEG2000_START = b"\xff\x4f\xff\x51"
JPEG2000_BITS = 42
"""Bytes from there to the one that says how many bits the first component has, less 1; its highest bit is a sign. Those
of the others follow, three bytes apart."""


class BadImageError(Exception):
    """An image that cannot be decoded, and why."""


@dataclass(frozen=True)
class Depth:
    """Of an image of more than 8 bits a sample, how it was scaled to 8.

    Attributes:
        bits: from how many.
        white: the value that became 255.
        largest: its largest value; None where the file itself says its range.
    """

    bits: int
    white: int
    largest: int | None = None


def file_range(image: ImageFile.ImageFile, content: bytes) -> tuple[int, int | None]:
    """Return how many bits a sample of a file has, and the value of white once it is loaded.

    Args:
        image: as opened, before it is loaded.
        content: the file.

    Returns:
        Bits, and white: None where the file does not say it, or where Pillow makes 8 bits of them.

    Raises:
        BadImageError: Pillow would read another picture.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
        _check_tiff(image, bits)
        return bits, 2**bits - 1 if bits < FULL else None
    if image.format == "PNG":
        bits = 16 if str(image.tile[0][3]).endswith(";16B") else 8
        if bits > 8 and "transparency" in image.info:
            raise BadImageError("a transparent colour (tRNS) of 16 bits is misread; save it with alpha, or with 8 bits")
        return bits, None
    if image.format == "SGI":
        return 8 * content[3], None
    if image.format == "JPEG2000":
        first = content.find(JPEG2000_START) + JPEG2000_BITS
        bits = max((byte & 127) + 1 for byte in content[first : first + 3 * len(image.getbands()) : 3])
        if bits > 8 and not (image.mode == "I;16" and 10 <= bits <= FULL):
            raise BadImageError(
                "JPEG 2000 files of more than 8 bits are only read if they are grey without alpha, of 10 to 16 bits, "
                f"found {image.mode} of {bits}; save it as PNG or TIFF of 16 bits, or with 8 bits"
            )
        return bits, None if bits == FULL else 2**FULL - 2 ** max(0, FULL - bits)  # Pillow shifts them
    if image.format == "PPM" and image.mode in ("I", "RGB"):
        codec, _, _, args = image.tile[0]
        largest = 65535 if image.mode == "I" else 255
        if isinstance(args, tuple) and codec.startswith("ppm"):
            largest = int(args[-1])
        return largest.bit_length(), None if largest == 65535 else 65535
    return mode_range(image)


def _check_tiff(image: TiffImagePlugin.TiffImageFile, bits: int) -> None:
    tags = image.tag_v2
    if 2 in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()):
        raise BadImageError("signed values have no defined range; save it as uint16 or uint8")
    if bits > 8 and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        raise BadImageError("a TIFF of more than 8 bits in which 0 is white is read inverted; save it with 0 as black")
    if image.mode == "RGBA" and TiffImagePlugin.EXTRASAMPLES not in tags:
        raise BadImageError(
            "a TIFF of four bands must say what the fourth is (ExtraSamples): transparency, or light of another kind; "
            "save it as RGB, or with ExtraSamples"
        )
    if image.mode == "P" and 0 < max(tags.get(TiffImagePlugin.COLORMAP, (0,))) < 256:
        raise BadImageError("its colour map has values of 8 bits, which are read as black; save it as RGB")
    apart = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2 and len(image.getbands()) > 1
    if bits > 8 and apart and image.tile[0][0] == "raw":
        raise BadImageError(
            "an uncompressed TIFF of more than 8 bits whose colours lie in planes apart (PlanarConfiguration 2) is "
            "read as another picture; save it with PlanarConfiguration 1, compressed, or with 8 bits"
        )


def mode_range(image: Image.Image) -> tuple[int, None]:
    """Return the same of an image in memory."""
    return (16 if image.mode.startswith("I;16") else 32 if image.mode == "I" else 8), None


def fewest_bits(depths: Iterable[Depth | None]) -> Bits | None:
    """Return the value of `bits` with which no image is darker than it need be.

    Args:
        depths: of all images; None where one has 8 bits.

    Returns:
        None where it takes all 16, or makes no difference: no file leaves its range open, or all values are 0.
    """
    largest = max((depth.largest or 0 for depth in depths if depth), default=0)
    fewest: Bits = next(bits for bits in get_args(Bits) if largest < 2**bits)
    return fewest if largest > 0 and fewest < FULL else None


def count_bits(depths: Iterable[Depth]) -> dict[int, int]:
    """Count images by how many bits they were scaled from."""
    return dict(sorted(Counter(depth.bits for depth in depths).items()))


def describe_bits(counts: Mapping[int, int]) -> str:
    """Return the note of images that were scaled to 8 bits."""
    kinds = ", ".join(f"{count} from {bits}" for bits, count in counts.items())
    return f"{sum(counts.values())} image(s) of more than 8 bits a sample were scaled to 8: {kinds} bits"
