"""How far some work is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

PLAIN_LINE_SECONDS = 15.0


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
