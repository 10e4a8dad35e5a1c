"""How far some work is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

PLAIN_LINE_SECONDS = 15.0

DECODING = "images to be decoded: more `workers` may help"
"""What embedding waits for."""


def progress(items: Iterable[T], *, total: int, what: str, unit: str = "it", done_before: int = 0) -> Iterator[T]:
    """Yield the items under a progress bar on a terminal, with a plain line every 15 seconds elsewhere.

    The time left is that of the items since the line before, so that it suits work whose longest items come first.

    Args:
        items: what is left to do.
        total: their number, with those that were done before.
        what, unit: for the line.
        done_before: items that an earlier run did.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=what, unit=unit, leave=False, initial=done_before)
        return
    began = last = time.monotonic()
    counted = done_before
    for done, item in enumerate(items, start=done_before + 1):
        yield item
        now = time.monotonic()
        if now - last >= PLAIN_LINE_SECONDS and done < total:
            left = (now - last) / (done - counted) * (total - done)
            said = f"{what}: {done}/{total} {unit}, {now - began:.0f} s, about {left:.0f} s left"
            print(said, file=sys.stderr, flush=True)
            last, counted = now, done


def tell_bound(items: Iterable[T], *, total: int, what: str, by: str) -> Iterator[T]:
    """Yield the items; of a long work, say at the last one if most of the time went into waiting for them.

    Args:
        items: made elsewhere, while whoever takes them works.
        total: their number.
        what, by: for the line: the work, and what it waited for.
    """
    source, began, waited = iter(items), time.monotonic(), 0.0
    for number in range(1, total + 1):
        asked = time.monotonic()
        item = next(source)
        now = time.monotonic()
        waited, took = waited + now - asked, now - began
        if number == total and took >= PLAIN_LINE_SECONDS and waited > took / 2:
            print(f"{what}: {waited:.0f} of {took:.0f} s went into waiting for {by}", file=sys.stderr, flush=True)
        yield item
    yield from source
