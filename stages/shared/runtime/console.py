"""What a stage says to the person who runs it: errors, and one closing line."""

import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .durations import log_duration
from .errors import UserError, explain_system_error, printable
from .processes import kill_children

FILES = ("google_crc32c", "jinja2", "numcodecs", "pyarrow", "safetensors", "vl_convert", "zarr")
"""Modules of the extra `files`."""

NETWORKS = ("PIL", "huggingface_hub", "requests", "safetensors", "timm", "torch", "torchvision")
"""Modules of the extra `quick`."""


class Stopwatch:
    """Times a stage from its construction and prints its closing line."""

    def __init__(self, stage: str, cell: str, log: Path | None) -> None:
        self.stage, self.cell, self.log = stage, cell, log
        self.began = time.monotonic()

    def say(self, message: str) -> None:
        """Print `stage cell: message`."""
        print(printable(f"{self.stage} {self.cell}".strip() + f": {message}"), flush=True)

    def done(self, message: str, **work: object) -> None:
        """Print `stage cell: message, 1.2 s` and append the duration to the log, if there is one.

        The outputs are whole by then: a log that cannot be written is a warning.

        Args:
            message: what was written and how many items it holds.
            **work: what decides how long it takes: the stage's `parameters`, and counts such as `images`.
        """
        seconds = time.monotonic() - self.began
        self.say(f"{message}, {seconds:.1f} s")
        if self.log is not None:
            try:
                log_duration(self.log, self.stage, self.cell, seconds, work)
            except OSError as error:
                said = f"warning: {self.log}: the duration could not be written ({error.strerror}); the result is whole"
                print(printable(said), file=sys.stderr, flush=True)


class Stopped(BaseException):
    """A signal that asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def run_main(main: Callable[[], None]) -> NoReturn:
    """Run a main function: a `UserError`, and a lack of room or memory, becomes one message and exit status 2.

    Ctrl-C and SIGTERM become one line and status 130 or 143, as in a shell. Other errors keep their traceback.
    """
    gc.freeze()  # the libraries' objects, which every full collection would go through
    gc.enable()
    if isinstance(sys.stdout, TextIOWrapper):  # else a dash would be an error where the output's encoding has none
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with stop_on_signals():
            main()
    except UserError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        if str(error.name).startswith(__name__.partition(".")[0]):
            raise
        extra = "files" if error.name in FILES else "quick" if error.name in NETWORKS else "study"
        fail(f"this needs the package {error.name}, which is not installed: pip install 'whichlayer[{extra}]'")
    except Exception as error:
        said = explain_system_error(error)
        if said is None:
            raise
        fail(said)
    except Stopped as stopped:
        print(f"stopped by {stopped}", file=sys.stderr, flush=True)
        _exit(stopped.status)
    sys.exit(0)


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 2."""
    print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    _exit(2)


def _exit(status: int) -> NoReturn:
    """Exit before all is done, without asyncio's warnings about tasks of Zarr's thread that nobody awaits."""
    logging.getLogger("asyncio").disabled = True
    sys.exit(status)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM kill the processes below this one and raise `Stopped`, unless they were ignored."""
    heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # the second time it ends at once
    kill_children()
    raise Stopped(number)
