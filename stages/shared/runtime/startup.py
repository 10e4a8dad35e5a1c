"""What is watched and caught from the first import of a stage on, before its libraries are loaded.

The stage ends when the DVC that started it has ended; Ctrl-C and a machine without memory end it with one sentence.
What it frees is kept for what it allocates next.
"""

import contextlib
import ctypes
import gc
import signal
import sys
from types import TracebackType

from .console import fail
from .errors import explain_limits, explain_system_error
from .processes import DvcWatch

DVC = DvcWatch()

MALLOC_OPTIONS = {-1: -1, -4: 0}
"""Of malloc.h: M_TRIM_THRESHOLD, no limit on what is kept; M_MMAP_MAX, nothing is mapped for itself."""


def begin_stage() -> None:
    """Handle what may happen while a stage imports its libraries, before `run_main` does.

    Ctrl-C ends it silently; a lack of memory, or a limit too low for the libraries, ends it with one sentence.
    """
    keep_freed_memory()
    gc.disable()  # until `run_main`: what is imported stays
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.excepthook = end_explained
    if said := explain_limits():
        fail(said)


def keep_freed_memory() -> None:
    """Let glibc give no memory back to the system before the process ends.

    By default it gives back what is large, such as every layer's output, and the next batch takes it anew, with a page
    fault for every 4 KiB: two fifths of a forward pass on a virtual machine. The peak stays as it was.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library, or another system
        allocator = ctypes.CDLL(None)
        for option, value in MALLOC_OPTIONS.items():
            allocator.mallopt(option, value)


def end_explained(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with one sentence for an error that tells what the machine lacks, with a traceback for another."""
    if said := explain_system_error(error):
        fail(said)
    sys.__excepthook__(kind, error, trace)


STARTED = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", "")
"""What `python -m` started."""

if STARTED.startswith("stages.") and STARTED.endswith(".__main__"):
    begin_stage()
