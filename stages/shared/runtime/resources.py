"""What to tell a user whose machine has no room, memory or permission left: one sentence, in place of a traceback.

Libraries say the same thing in different ways: safetensors and torch have errors of their own for a full disk, torch
raises a RuntimeError for want of memory.
"""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROBLEMS = {
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): (
        "there is no room left to write ({}); free some on that disk and run it again"
    ),
    (errno.EROFS, errno.EACCES, errno.EPERM): (
        "must be a place that you may read and write, found: {}; change that and run it again"
    ),
    (errno.EIO, errno.ESTALE, getattr(errno, "EREMOTEIO", errno.EIO)): (
        "could not be read or written, found: {}; check the disk and run it again"
    ),
    (errno.ENAMETOOLONG, errno.ELOOP): (
        "must be a path that the system takes, found: {}; shorten it, or remove its links in a circle"
    ),
    (errno.EMFILE, errno.ENFILE): "too many files are open; raise the limit (`ulimit -n 4096`) and run it again",
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
    "not enough memory; free some, or take less at once: fewer processes (WHICHLAYER_WORKERS), a smaller "
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


@contextmanager
def limited_memory(room: int) -> Iterator[None]:
    """Let this process take so many bytes of memory more meanwhile, and no more; beyond is a MemoryError, on Linux."""
    try:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * os.sysconf("SC_PAGESIZE")
    except OSError:  # not on Linux
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (before, taken + room) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


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
    return said and said.format(os.strerror(number))


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
