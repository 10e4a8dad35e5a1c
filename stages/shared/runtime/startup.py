"""What is watched and caught from the first import of a stage on, before its libraries are loaded.

The stage ends when the DVC that started it has ended; Ctrl-C and a machine without memory end it with one sentence.
"""

import signal
import sys
from types import TracebackType

from stages.shared.runtime.console import fail
from stages.shared.runtime.processes import DvcWatch
from stages.shared.runtime.resources import explain_limits, explain_system_error

DVC = DvcWatch()
DVC.start()


def begin_stage() -> None:
    """Handle what may happen while a stage imports its libraries, before `run_main` does.

    Ctrl-C ends it silently; a lack of memory, or a limit too low for the libraries, ends it with one sentence.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.excepthook = end_explained
    said = explain_limits()
    if said:
        fail(said)


def end_explained(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with one sentence for an error that tells what the machine lacks, with a traceback for another."""
    said = explain_system_error(error)
    if said:
        fail(said)
    sys.__excepthook__(kind, error, trace)


STARTED = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", "")
"""What `python -m` started."""

if STARTED.startswith("stages.") and STARTED.endswith(".__main__"):
    begin_stage()
