"""What the user can fix: one kind of error, what its messages share, and a machine without room, memory or permission.

Names, values and paths that others wrote are made harmless for a terminal, a table or a message. Libraries
tell of a full disk and of want of memory in different ways: one sentence says it in place of their tracebacks.
"""

import errno
import os
import re
import resource
import shlex
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, colours, ends a line or turns the direction of writing, and halves of characters."""

MAX_VALUE_LENGTH, MAX_NAMES = 300, 30


class UserError(ValueError):
    """Something that the user can fix: the message names the thing, what must hold, what was found and the remedy.

    It is a `ValueError` for the library's users. Where code catches a library's errors, it lets this one pass.
    """


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
    if not close:
        return f"choose from {listed(names)}"
    return f"did you mean {' or '.join(map(repr, close))}? (known: {listed(names)})"


def check_known(name: object, known: Collection[str], problem: str) -> None:
    """Raise a `UserError` if a name is not a known one: the problem, and which known names resemble it."""
    if not (isinstance(name, str) and name in known):
        raise UserError(f"{problem}: {did_you_mean(str(name), known)}")


def listed(names: Sequence[str], most: int = MAX_NAMES) -> str:
    """Join names by commas: `a, b, and 7 more` if there are more than `most`."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def with_command(remedy: str, command: str, path: object) -> str:
    """Add to a remedy the command that does it, `remove it (rm -r -- 'a b')`, if a shell can be given what is printed.

    It cannot where `printable` would change the quoted path: a name can be written so that what is left is a command.
    """
    quoted = shlex.quote(str(path))
    return remedy if CONTROL.search(quoted) else f"{remedy} ({command} {quoted})"


def printable(text: str) -> str:
    """Escape control characters but the ends of lines."""
    return "\n".join(CONTROL.sub(_escaped, line) for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def short_repr(value: object) -> str:
    """Write a value as Python does, cut where it is long."""
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}... ({len(text)} characters)"


PROBLEMS = {
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): (
        "there is no room left to write ({}); free some on that disk and retry"
    ),
    (errno.EROFS, errno.EACCES, errno.EPERM): (
        "must be a place that you may read and write, found: {}; change that and retry"
    ),
    (errno.EIO, errno.ESTALE, getattr(errno, "EREMOTEIO", errno.EIO)): (
        "could not be read or written, found: {}; check the disk and retry"
    ),
    (errno.ENAMETOOLONG, errno.ELOOP): (
        "must be a path that the system accepts, found: {}; shorten it, or remove its links in a circle"
    ),
    (errno.EMFILE, errno.ENFILE): "too many files are open; raise the limit (`ulimit -n 4096`) and retry",
}
"""Numbers of errors of files -> what to say, with the system's words."""

WANTING_MEMORY = (
    "allocate memory",  # torch's for the CPU, and ENOMEM
    "out of memory",  # torch's for a GPU
    "bad_alloc",
    "failed to map segment",  # a library that does not fit
    "start new thread",
)

MIN_LIMITS = {"RLIMIT_AS": (4, "address space", "-v"), "RLIMIT_DATA": (1, "data", "-d")}
"""For each limit of a process: GiB that a stage's libraries take, what is limited, `ulimit`'s option.

They reserve more than they use. With less, some wait for ever and some crash.
"""

MEMORY = (
    "not enough memory; free some, or use less at once: fewer processes (WHICHLAYER_WORKERS), a smaller "
    "embed.batch_size (scores stay) or finetune.batch_size (training changes); `whichlayer plan` says what each stage "
    "needs"
)


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


def irregular(mode: int) -> str | None:
    """Name the kind of what is no regular file, which nobody should open (a FIFO would wait for ever); else None."""
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "something else")


def explain_limits(**least_of: int) -> str | None:
    """Return in one sentence that a process may not reserve the memory that a stage takes; None if it may.

    Args:
        least_of: GiB that this stage takes of a limit of `MIN_LIMITS`, where that is more.
    """
    for name, (usual, what, option) in MIN_LIMITS.items():
        limit, least = resource.getrlimit(getattr(resource, name))[0], least_of.get(name, usual)
        if limit != resource.RLIM_INFINITY and limit < least << 30:
            return (
                f"the limit on {what} (`ulimit {option}`) must be at least {least} GiB, found {limit / 2**30:.1f}: "
                f"libraries reserve more than they use; raise it, or have none (`ulimit {option} unlimited`)"
            )
    return None


def explain_system_error(error: BaseException) -> str | None:
    """Return in one sentence what a machine lacks; None for an error of another kind.

    It names the file that the error names, or else what the first note of the error (`add_note`) says it is about.
    """
    for cause in causes(error):
        if sentence := _explain(cause):
            notes = (note for error_ in causes(error) for note in getattr(error_, "__notes__", ()))
            subject = _file_of(cause) or next(notes, "")
            return f"{subject}: {sentence}" if subject else sentence
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it; an error may have led to itself."""
    met: list[BaseException] = []
    while error is not None and error not in met:
        yield error
        met.append(error)
        error = error.__cause__ or error.__context__


def _explain(error: BaseException) -> str:
    text, number = str(error).lower(), _number(error)
    wanting = isinstance(error, RuntimeError | OSError | ImportError) and any(word in text for word in WANTING_MEMORY)
    if isinstance(error, MemoryError) or wanting or number == errno.ENOMEM:
        return MEMORY
    said = next((sentence for numbers, sentence in PROBLEMS.items() if number in numbers), "")
    return said and said.format(os.strerror(number) + _free(_file_of(error), number))


def _free(file: str, number: int) -> str:
    """Return how much is free on the full disk of a file; nothing if that is not known."""
    if number != errno.ENOSPC or not file:
        return ""
    folder = next(each for each in (Path(file), *Path(file).absolute().parents) if each.exists())
    return f", {shutil.disk_usage(folder).free / 1e6:,.1f} MB free"


def _file_of(error: BaseException) -> str:
    named = getattr(error, "filename", None)
    return os.fsdecode(named) if isinstance(named, str | bytes | os.PathLike) else ""


def _number(error: BaseException) -> int:
    """Return the system's number of an error; safetensors has it only in its text."""
    if isinstance(error, OSError):
        return error.errno or 0
    if type(error).__name__ == "SafetensorError" and "(os error " in str(error):
        return int(str(error).rpartition("(os error ")[2].partition(")")[0])
    return 0
