"""What the user can fix: one kind of error, and what its messages share.

Names, values and paths that others wrote are made harmless and short for a terminal, a table or a message.
"""

import re
import reprlib
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, colours, ends a line or turns the direction of writing, and halves of characters."""

MAX_VALUE_LENGTH = 300
MAX_WORD_LENGTH = 400
MAX_LINE_LENGTH = 3000
MAX_LINES, MAX_NAMES = 60, 30


class UserError(Exception):
    """Something that the user can fix: the message names the thing, what must hold, what was found and the remedy."""


@contextmanager
def prefix_errors(what: str) -> Iterator[None]:
    """Put the thing that a `UserError` is about before its message: `datasets.mine: ...`; other errors note it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{what}: {error}") from None
    except Exception as error:
        error.add_note(what)  # for `explain_system_error`
        raise


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return which known names resemble a wrong one: `did you mean 'nmi'? (known: ami, nmi)`."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(repr(c) for c in close) + "? " if close else ""
    return f"{hint}(known: {listed(names)})"


def check_known(name: str, known: Collection[str], problem: str) -> None:
    """Raise a `UserError` if a name is not a known one: the problem, and which known names resemble it."""
    if name not in known:
        raise UserError(f"{problem}: {did_you_mean(name, known)}")


def listed(names: Sequence[str], most: int = MAX_NAMES) -> str:
    """Join names by commas: `a, b, and 7 more` if there are more than `most`."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def with_command(remedy: str, command: str, path: object) -> str:
    """Add to a remedy the command that does it, `remove it (rm -r -- 'a b')`, if a shell can be given what is printed.

    It cannot where `printable` would change the quoted path: a name can be written so that what is left is a command.
    """
    quoted = shlex.quote(str(path))
    pasted = len(quoted) <= MAX_WORD_LENGTH and not CONTROL.search(quoted)
    return f"{remedy} ({command} {quoted})" if pasted else remedy


def printable(text: str) -> str:
    """Escape control characters but the ends of lines, and cut what is too long to be read."""
    lines = [_printable_line(line) for line in text.split("\n")]
    more = [f"... and {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    return "\n".join([*lines[:MAX_LINES], *more])


def short_repr(value: object) -> str:
    """Write a value as Python does, but a few of its characters or items: it may have any size."""
    return _middle_out(_SHORT.repr(value), MAX_VALUE_LENGTH)


def _printable_line(line: str) -> str:
    escaped = CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), line)
    words = re.sub(rf"\S{{{MAX_WORD_LENGTH + 1},}}", lambda found: _middle_out(found[0], MAX_WORD_LENGTH), escaped)
    return _middle_out(words, MAX_LINE_LENGTH)


def _middle_out(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}...({len(text)} characters)...{text[-most // 4 :]}"


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict, self.maxstring, self.maxlong, self.maxother = 3, 12, 6, 100, 60, 100

    def repr_int(self, value: int, level: int) -> str:
        """Write a whole number; Python refuses to write one of thousands of digits."""
        return super().repr_int(value, level) if value.bit_length() < 10_000 else f"<{value.bit_length()} bits>"


_SHORT = _Short()
