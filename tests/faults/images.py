"""Image files that are wrong in ways that a decoder may fall for, made by code."""

import io
import struct
import zlib

import numpy as np
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


def postscript(command: str) -> bytes:
    """An EPS file, which Pillow gives to Ghostscript."""
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n{command}\nshowpage\n%%EOF\n".encode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
