"""Files of more than 8 bits a sample, most of them of kinds that Pillow does not write."""

import base64
import io
import struct
import zlib

import numpy as np
from PIL import Image

JPEG2000_12 = base64.b64decode(
    "/0//UQApAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAABCwEB/1IADAAAAAEAAAQEAAH/XAAEQGD/ZAAlAAFDcmVhdGVkIGJ5IE9w"
    "ZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAAArAAH/k9/gaBIaOW6hgtb6JLHlff2RE9gAaoaFvljN0P9//9k="
)
"""4 x 4 pixels of 12 bits, 0, 273, 546, ... 4095."""

JPEG2000_SIZES = b"\xff\x4f\xff\x51"


def ramp(bits, size=16):
    """Grey levels from 0 to the largest of so many bits: (size, size) int64."""
    return (np.linspace(0, 2**bits - 1, size * size)).round().astype(np.int64).reshape(size, size)


def encode(values, kind, dtype=np.uint16, **options):
    file = io.BytesIO()
    Image.fromarray(values.astype(dtype)).save(file, kind, **options)
    return file.getvalue()


def png_samples(values, transparent=b""):
    """Write a PNG of (H, W, 1, 2, 3 or 4) samples of 16 bits, with a transparent colour if that is given."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    colour = chunk(b"tRNS", transparent) if transparent else b""
    chunks = chunk(b"IHDR", header) + colour + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff_of_8_bit_palette(values):
    """Write a TIFF of a grey palette whose colour map has values of 8 bits, where TIFF asks for 16."""
    image, file = Image.fromarray(values.astype(np.uint8)), io.BytesIO()
    image.putpalette([level for level in range(256) for _ in range(3)])
    image.save(file, "TIFF")
    levels = np.tile(np.arange(256, dtype="<u2"), 3)
    written = (levels << 8).tobytes()
    assert written in file.getvalue()
    return file.getvalue().replace(written, levels.tobytes())


def pnm(values, maxval, *, plain=False):
    """Write a PGM of (H, W) or a PPM of (H, W, 3), in bytes or in digits."""
    kind = (2 if plain else 5) + values.ndim - 2
    head = b"P%d\n# made\n%d %d\n%d\n" % (kind, values.shape[1], values.shape[0], maxval)
    digits = " ".join(map(str, values.ravel())).encode() + b"\n"
    return head + (digits if plain else values.astype(">u2" if maxval > 255 else "u1").tobytes())


def tiff(values, dtype, *, bits=None, white=1):
    """Write a grey TIFF in the byte order of a dtype, its values packed if they have 12 bits."""
    order, dtype = ">" if dtype[0] == ">" else "<", np.dtype(dtype)
    pixels = values.astype(dtype).tobytes()
    if bits == 12:
        first, second = values.reshape(-1, 2).T
        pixels = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).tobytes()
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits or 8 * dtype.itemsize, 259: 1, 262: white, 273: 8, 277: 1, 278: height}
    tags |= {279: len(pixels), 339: {"u": 1, "i": 2, "f": 3}[dtype.kind]}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    magic = struct.pack(f"{order}2sHI", b"MM" if order == ">" else b"II", 42, 8 + len(pixels))
    return magic + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def tiff_of_planes(values):
    """Write an uncompressed TIFF of (H, W, 3) samples of 16 bits, its colours in planes apart."""
    planes = [values[..., channel].astype("<u2").tobytes() for channel in range(3)]
    (height, width), size, end = values.shape[:2], len(planes[0]), 8 + 3 * len(planes[0])
    arrays = struct.pack("<6I", 8, 8 + size, 8 + 2 * size, size, size, size)
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 2, 273: end, 277: 3, 278: height, 279: end + 12, 284: 2}
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 3 if tag in (273, 279) else 1, value) for tag, value in tags.items()
    )
    head = struct.pack("<2sHI", b"II", 42, end + len(arrays))
    return head + b"".join(planes) + arrays + struct.pack("<H", len(tags)) + entries + bytes(4)


def jpeg2000_that_says(mode, bits):
    """Write a JPEG 2000 of 8 bits whose header says that the last of its components has others."""
    content = bytearray(encode(np.zeros((16, 16, len(mode))).squeeze(), "JPEG2000", np.uint8))
    content[content.find(JPEG2000_SIZES) + 42 + 3 * (len(mode) - 1)] = bits - 1
    return bytes(content)


def psd(bits):
    """Write the header of a grey PSD."""
    return struct.pack(">4sH6xHIIHH", b"8BPS", 1, 1, 16, 16, bits, 1) + bytes(2048)


def sgi(values):
    """Write a grey SGI of 16 bits, whose rows go up."""
    head = struct.pack(">hBBHHHHll", 474, 0, 2, 2, values.shape[1], values.shape[0], 1, 0, 65535)
    return head.ljust(512, b"\0") + values[::-1].astype(">u2").tobytes()
