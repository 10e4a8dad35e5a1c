"""What the user can fix: one kind of error, and what its messages share."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


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
