"""How many processes measure."""

import os

from stages.shared.runtime.errors import UserError

WORKERS = "WHICHLAYER_WORKERS"


def worker_count(flag: str | None) -> int:
    """Number of processes: from the command line, else from WHICHLAYER_WORKERS, else one per usable processor.

    Raises:
        UserError: it is not a whole number >= 1.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = flag or os.environ.get(WORKERS) or str(usable)
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--workers (or {WORKERS}) must be a whole number >= 1, found {text!r}")
    return int(text)
