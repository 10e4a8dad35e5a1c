"""What a stage says to the person who runs it: errors, progress, and one closing line."""

import argparse
import json
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from tqdm import tqdm

from stages.shared.plain_text import plain
from stages.shared.processes import kill_children
from stages.shared.resources import explain

T = TypeVar("T")

PLAIN_LINE_SECONDS = 15.0


class UserError(Exception):
    """Something that the user can fix: the message names the thing, what must hold, what was found and the remedy."""


@contextmanager
def errors_of(what: str) -> Iterator[None]:
    """Within, a `UserError` names first the thing that it is about: `datasets.mine: ...`; other errors note it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{what}: {error}") from None
    except Exception as error:
        error.add_note(what)  # for `explain`
        raise


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names resemble a wrong one: `did you mean 'nmi'? (known: ami, nmi)`."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(repr(c) for c in close) + "? " if close else ""
    return f"{hint}(known: {_shortened(names)})"


def _shortened(names: list[str], limit: int = 30) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f", and {rest} more" if rest > 0 else "")


def progress(items: Iterable[T], *, total: int, what: str, unit: str = "it", done_before: int = 0) -> Iterator[T]:
    """Yield the items under a progress bar on a terminal, with a plain line every 15 seconds elsewhere.

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
    for done, item in enumerate(items, start=done_before + 1):
        yield item
        now = time.monotonic()
        if now - last >= PLAIN_LINE_SECONDS and done < total:
            print(f"{what}: {done}/{total} {unit}, {now - began:.0f} s", file=sys.stderr, flush=True)
            last = now


ITEM = {
    "dataset": "entry of `datasets`",
    "model": "entry of `models`",
    "fold": "which classes are unseen: a number, or `all`",
    "seed": "a whole number",
}
"""What DVC passes to a stage of a matrix; it quotes these, so that no name reaches the shell as a command."""


class StageParser(argparse.ArgumentParser):
    """The command line of a stage.

    Args:
        description: the stage's docstring.
        *item: the flags that say which cell of the matrix this is, of `ITEM`.
    """

    def __init__(self, description: str | None, *item: str) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.item = item
        for name in item:
            self.add_argument(f"--{name}", required=True, type=_item_name, help=ITEM[name])
        self.add_argument("--params", type=Path, default=Path("params.yaml"), help="the params file")
        self.add_argument("--log", type=Path, help="append this run's duration to this JSON-lines file")

    def add_artifact(self, flag: str, text: str) -> None:
        """Add a required path, in which `{dataset}` and the like stand for this cell's."""
        self.add_argument(flag, required=True, type=Path, help=text)

    def parse_cell(self) -> argparse.Namespace:
        """Read the command line, with the cell's own paths; `cell` is the cell's name, `seed` a number.

        Raises:
            UserError: a name that is no id.
        """
        args = self.parse_args()
        names = {f"{{{name}}}": getattr(args, name) for name in self.item}
        for key, value in vars(args).items():
            if isinstance(value, Path):
                setattr(args, key, Path(re.sub(r"{\w+}", lambda found: names.get(found[0], found[0]), str(value))))
        args.cell = "-".join(names.values())
        if "seed" in self.item:
            args.seed = int(args.seed)
        return args


def _item_name(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9_]+", text):
        raise UserError(f"run: names are made of letters, digits and _, found {text!r}; run `whichlayer check`")
    return text


class Stopwatch:
    """Times a stage from its construction and prints its closing line."""

    def __init__(self, stage: str, cell: str, log: Path | None) -> None:
        self.stage, self.cell, self.log = stage, cell, log
        self.began = time.monotonic()

    def say(self, message: str) -> None:
        """Print `stage cell: message`."""
        print(plain(f"{self.stage} {self.cell}".strip() + f": {message}"), flush=True)

    def done(self, message: str) -> None:
        """Print `stage cell: message, 1.2 s` and append the duration to the log, if there is one.

        The outputs are whole by then: a log that cannot be written is a warning.

        Args:
            message: what was written and how many items it holds.
        """
        seconds = time.monotonic() - self.began
        self.say(f"{message}, {seconds:.1f} s")
        if self.log is not None:
            row = {"stage": self.stage, "cell": self.cell, "seconds": round(seconds, 2)}
            try:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                with self.log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            except OSError as error:
                said = f"warning: {self.log}: the duration could not be written ({error.strerror}); the result is whole"
                print(plain(said), file=sys.stderr, flush=True)


class Stopped(BaseException):
    """A signal that asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def run_main(main: Callable[[], None]) -> NoReturn:
    """Run a main function: a `UserError`, and want of room or memory, becomes one message and exit status 2.

    Ctrl-C and SIGTERM become one line and status 130 or 143, as in a shell. Other errors keep their traceback.
    """
    try:
        with stop_on_signals():
            main()
    except UserError as error:
        fail(str(error))
    except Exception as error:
        said = explain(error)
        if said is None:
            raise
        fail(said)
    except Stopped as stopped:
        print(f"stopped by {stopped}", file=sys.stderr, flush=True)
        _exit(stopped.status)
    sys.exit(0)


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 2."""
    print(f"error: {plain(message)}", file=sys.stderr, flush=True)
    _exit(2)


def _exit(status: int) -> NoReturn:
    """Exit before all is done: of what Zarr's thread still reads, asyncio would print that nobody waits for it."""
    logging.getLogger("asyncio").disabled = True
    sys.exit(status)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within, SIGINT and SIGTERM kill the processes below this one and raise `Stopped`, unless they were ignored."""
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
