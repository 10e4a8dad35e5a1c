"""Image files that are wrong in ways that a decoder may fall for, made by code."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "ICO", "PPM", "TGA")


def encoded(kind: str = "PNG", size: int = 24, seed: int = 0) -> bytes:
    """A small picture of noise as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A white PNG whose pixels take a thousand times its bytes."""
    rows = zlib.compressobj(9)
    row = b"\0" + b"\xff" * width
    packed = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def png_that_says(width: int, height: int) -> bytes:
    """A PNG whose header says that it has so many pixels; it has none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def png_with_text_bomb(size: int = 2**26) -> bytes:
    """A small PNG with a comment of many bytes, packed."""
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(size)))
    whole = encoded("PNG")
    return whole[:33] + text + whole[33:]  # behind the header


def icon_bomb(side: int = 20_000) -> bytes:
    """An icon that says it is small and holds a large PNG."""
    inner = png_that_says(side, side)
    return struct.pack("<3H4B2H2L", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def gif_bomb(side: int = 60_000) -> bytes:
    """A GIF of a small screen and a frame of many pixels."""
    frame = struct.pack("<BHHHHB", 0x2C, 0, 0, side, side, 0)
    return b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6) + frame + b"\x02\x02\x4c\x01\x00;"


def jpeg_of_scans(more: int, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan comes so many times more."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", progressive=True)
    content, end = buffer.getvalue()[:-2], buffer.getvalue()[-2:]
    return content + content[content.rindex(b"\xff\xda") :] * more + end


def tiled_tiff(pixels: NDArray[np.uint8], tile: int, *, first: tuple[int, int] | None = None) -> bytes:
    """A TIFF of (H, W, 3) in one tile, compressed.

    Args:
        pixels: no larger than the tile.
        tile: its side, as the directory says.
        first: a type of TIFF's and a side that the directory says before that.
    """
    height, width = pixels.shape[:2]
    whole = np.zeros((min(tile, 256), min(tile, 256), 3), np.uint8)
    whole[:height, :width] = pixels
    data = zlib.compress(whole.tobytes())
    sides = [(tag, *pair) for tag in (322, 323) for pair in [*([first] if first else []), (4, tile)]]
    tags = [(256, 4, width), (257, 4, height), (259, 4, 8), (262, 4, 2), (277, 4, 3), *sides, (324, 4, 0)]
    tags += [(325, 4, len(data))]
    start = 8 + 2 + 12 * (len(tags) + 1) + 4  # of the numbers of bits, of a side in 64 bits, and of the data
    bits = struct.pack("<3H", 8, 8, 8) + struct.pack("<q", first[1] if first else 0)
    entries = [struct.pack("<HHII", 258, 3, 3, start)]
    for tag, kind, value in tags:
        value = {324: start + len(bits)}.get(tag, start + 6 if kind > 4 else value)
        entries.append(struct.pack("<HHII", tag, kind, 1, value))
    entries.sort(key=lambda entry: entry[:2][::-1])
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4) + bits + data


def postscript(command: str) -> bytes:
    """An EPS file, which Pillow gives to Ghostscript."""
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n{command}\nshowpage\n%%EOF\n".encode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
