"""How a trial may end, and what counts as one clear sentence."""

import os
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass

from stages.prepare.decode import BadImageError
from stages.shared.runtime.errors import CONTROL, UserError, explain_system_error, printable

SAME, SENTENCE, ENDED, FAILURE = "same result", "one clear sentence", "ended by a library", "failure"
OUTCOMES = (SAME, SENTENCE, ENDED, FAILURE)
ERROR = "error: "
MAX_LINES, MOST_CHARACTERS = 6, 4000
NOT_ONE_SENTENCE = ("Traceback", "Error(", "Segmentation fault")


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        kind: one of `OUTCOMES`. *same result*: bytes equal to those of an undisturbed run; of input that is legal as
            it was changed, a result of its own. *ended by a library*: memory ended inside one that then ends the
            process, which nothing can prevent; no result was accepted, and running again gave the same bytes.
        said: the sentence, or what failed.
        how: what it took beside running again, if anything.
    """

    kind: str
    said: str = ""
    how: str = ""


def failure(what: str, said: str = "") -> Outcome:
    """A trial that failed, and what was printed."""
    return Outcome(FAILURE, f"{what}\n{said}".strip())


def sentence(said: str, names: Collection[str] = (), *, marks: Collection[str] = (ERROR,)) -> Outcome:
    """Judge what a command that failed printed to stderr.

    Args:
        said: the text.
        names: files or parameters of which it must name one; none: whatever it names is right.
        marks: what the one line of the error may begin with.
    """
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(tuple(marks))]
    if any(sign in said for sign in NOT_ONE_SENTENCE):
        return failure("a traceback", said)
    if len(errors) != 1 or len(lines) > MAX_LINES or len(said) > MOST_CHARACTERS:
        return failure(f"{len(errors)} errors in {len(lines)} lines of {len(said)} characters, not one sentence", said)
    if CONTROL.search(errors[0]):
        return failure("control characters in a message", repr(said))
    if names and not any(name in errors[0] for name in names):
        return failure(f"a message that names none of {', '.join(names)}", said)
    return Outcome(SENTENCE, errors[0])


def attempt(work: Callable[[], object], *names: str) -> Outcome:
    """Judge a call as its command would end: as a result, or as an error that it prints.

    Args:
        work: raises AssertionError if the result is wrong.
        names: as in `sentence`.
    """
    try:
        work()
    except (UserError, BadImageError) as error:
        first, *more = printable(str(error)).splitlines() or [""]
        return sentence("\n".join([ERROR + first, *more][:MAX_LINES]), names)
    except AssertionError as error:
        return failure("a wrong result in silence", str(error))
    except Exception as error:
        said = explain_system_error(error)
        return sentence(ERROR + said, names) if said else failure("a traceback", traceback.format_exc())
    return Outcome(SAME)


def expected(kind: str, found: Outcome) -> Outcome:
    """Judge how a trial ended by how it must end: what is wrong must not be taken, and what is right not refused."""
    if found.kind in (kind, FAILURE):
        return found
    return failure("it is taken in silence" if kind == SENTENCE else "it is refused", found.said)


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """Name the files that differ, at most three; nothing if none does."""
    names = [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def same_or_failure(found: dict[str, bytes], expected: dict[str, bytes], said: str = "", how: str = "") -> Outcome:
    """Judge a run that ended well by the bytes of its files."""
    different = differences(found, expected)
    return failure(f"other bytes in silence: {different}", said) if different else Outcome(SAME, how=how)


def shortened(said: str, most: int = 3000) -> str:
    """The beginning and the end of a text."""
    return said if len(said) <= most else said[: most // 2] + f"{os.linesep}...{os.linesep}" + said[-most // 2 :]
