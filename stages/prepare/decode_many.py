"""Many image files, read one after the other and decoded in threads, in their order; memory holds a block of files.

Only what a file holds makes it a bad image. What the machine lacks (memory, open files, a disk that can be read) is
raised: a good image would be left out.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stages.prepare.candidates import Content
from stages.prepare.decode import BadImageError, Fit, decode, digest

IMAGES_PER_BLOCK = 32
BYTES_PER_BLOCK = 2**28
"""Beyond which no further file is read ahead."""

BYTES_OF_AN_IMAGE = 2**29
"""What decoding takes at most of an image within the limits' defaults: a progressive JPEG of 50 million pixels."""

OF_THE_FILE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
"""Numbers of errors that a file has on any machine: none where it is too large; a link to nothing, or in a circle."""

C = TypeVar("C", bound=Content)
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

    Raises:
        MemoryError, OSError: the machine lacks what reading or decoding takes.
    """
    work = partial(_decode_one, size=size, fit=fit, fill=fill)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        waiting = iter(contents)
        while block := list(_block(waiting)):
            yield from _decode_block(pool, work, block)


def _decode_block(
    pool: ThreadPoolExecutor, work: Callable[[Content | OSError], tuple[str, Decoded]], block: list[Content | OSError]
) -> Iterator[tuple[str, Decoded]]:
    """Decode a block in threads, and alone what seemed damaged: for want of memory some decoders say no more than that.

    Raises:
        MemoryError: there is not the memory to tell.
    """
    futures = [pool.submit(work, content) for content in block]
    for content, future in zip(block, futures, strict=True):
        found = future.result()
        if isinstance(found[1], str):
            wait(futures)  # what the other threads took is free again
            np.empty(BYTES_OF_AN_IMAGE, np.uint8)  # reserved and given back; no page of it is touched
            found = work(content)
        yield found


def _block(contents: Iterator[Callable[[], Content]]) -> Iterator[Content | OSError]:
    """Read files until they are as many, or as large, as memory should hold."""
    size = 0
    for content in islice(contents, IMAGES_PER_BLOCK):
        yield (file := read_content(content))
        size += len(file) if isinstance(file, bytes) else 0
        if size >= BYTES_PER_BLOCK:
            return


def read_content(content: Callable[[], C]) -> C | OSError:
    """Read one image, or return why its file cannot be read; what the machine lacks is raised."""
    try:
        return content()
    except OSError as error:
        if error.errno not in OF_THE_FILE:
            raise
        return error


def _decode_one(content: Content | OSError, *, size: int, fit: Fit, fill: int) -> tuple[str, Decoded]:
    if isinstance(content, OSError):
        return "", f"cannot be read ({content.strerror or content})"
    try:
        return digest(content), decode(content, size=size, fit=fit, fill=fill)
    except BadImageError as error:
        return "", str(error)
