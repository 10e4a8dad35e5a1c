"""How many processors there are, and how many processes work on them."""

import os

from .errors import UserError

WORKERS = "WHICHLAYER_WORKERS"


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(flag: str | None) -> int:
    """Number of processes: from the command line, else from WHICHLAYER_WORKERS, else one per usable processor.

    Raises:
        UserError: it is not a whole number >= 1.
    """
    text = flag or os.environ.get(WORKERS) or str(processors())
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--workers (or {WORKERS}) must be a whole number >= 1, found {text!r}")
    return int(text)
