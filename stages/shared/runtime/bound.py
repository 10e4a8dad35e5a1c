"""What bounds a long work: the work itself, or what it waits for."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from .progress import PLAIN_LINE_SECONDS

T = TypeVar("T")

DECODING = "images to be decoded: more `workers` may help"
"""What embedding waits for."""


def tell_bound(items: Iterable[T], *, total: int, what: str, by: str) -> Iterator[T]:
    """Yield the items; of a long work, say at the last one if most of the time went into waiting for them.

    Args:
        items: made elsewhere, while whoever takes them works.
        total: their number.
        what, by: for the line: the work, and what it waited for.
    """
    began = asked = time.monotonic()
    waited = 0.0
    for number, item in enumerate(items, start=1):
        now = time.monotonic()
        waited, took = waited + now - asked, now - began
        if number == total and took >= PLAIN_LINE_SECONDS and waited > took / 2:
            print(f"{what}: {waited:.0f} of {took:.0f} s went into waiting for {by}", file=sys.stderr, flush=True)
        yield item
        asked = time.monotonic()
