"""Many image files, read one after the other and decoded in threads, in their order; memory holds a block of files."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stages.prepare.candidates import Content
from stages.prepare.decode import BadImageError, Fit, decode, digest

IMAGES_PER_BLOCK = 32
BYTES_PER_BLOCK = 2**28
"""Beyond which no further file is read ahead."""

Decoded = NDArray[np.uint8] | str
"""(S, S, 3), RGB, or why there is none."""


def decode_many(
    contents: Sequence[Callable[[], Content]], *, size: int, fit: Fit, fill: int
) -> Iterator[tuple[str, Decoded]]:
    """Read and decode images.

    Args:
        contents: read one image each; called in this order, each once.
        size, fit, fill: as `decode` takes them.

    Yields:
        Of every image, in order, its SHA-256 (of the file, or of the pixels of an image that is no file; empty where
        there is none) and what `decode` gives, or why that cannot be had.
    """
    work = partial(_decode_one, size=size, fit=fit, fill=fill)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        waiting = iter(contents)
        while block := list(_block(waiting)):
            yield from pool.map(work, block)


def _block(contents: Iterator[Callable[[], Content]]) -> Iterator[Content | OSError]:
    """Read files until they are as many, or as large, as memory should hold."""
    size = 0
    for content in islice(contents, IMAGES_PER_BLOCK):
        yield (file := _read(content))
        size += len(file) if isinstance(file, bytes) else 0
        if size >= BYTES_PER_BLOCK:
            return


def _read(content: Callable[[], Content]) -> Content | OSError:
    try:
        return content()
    except OSError as error:
        return error


def _decode_one(content: Content | OSError, *, size: int, fit: Fit, fill: int) -> tuple[str, Decoded]:
    if isinstance(content, OSError):
        return "", f"cannot be read ({content.strerror or content})"
    try:
        return digest(content), decode(content, size=size, fit=fit, fill=fill)
    except BadImageError as error:
        return "", str(error)
