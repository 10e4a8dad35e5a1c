"""A YAML file as plain values, read as DVC reads it, with one sentence about what is wrong in it."""

import copy
import re
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError

from stages.shared.runtime.errors import UserError
from stages.shared.runtime.resources import irregular

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)
"""What the parser raises beside its own errors, for example for a date, number or boolean that is none."""

MAX_BYTES = 2**20
MAX_DEPTH = 100
"""Open brackets; the parser takes seconds for hundreds, and ends with an error for thousands."""


def read_yaml(path: Path) -> Any:
    """Read a params file; nothing in it is executed.

    Raises:
        UserError: it cannot be read, is too large, or is no YAML.
    """
    return copy.deepcopy(_parsed(path, _content(path)))


@lru_cache(maxsize=1)  # a stage reads several sections
def _parsed(path: Path, content: bytes) -> Any:
    if bracket_depth(content) > MAX_DEPTH:
        raise UserError(f"{path}: not valid YAML: more than {MAX_DEPTH} brackets are open at once")
    try:
        parser = YAML(typ="safe", pure=True)  # the parser DVC uses: both see the same values
        parser.Constructor = _WithoutMerging
        return parser.load(content)
    except (YAMLError, *UNREADABLE) as error:
        raise UserError(f"{path}: not valid YAML{_explained(error)}") from None


class _WithoutMerging(SafeConstructor):  # type: ignore[misc]
    """Refuse the keys by which a mapping takes the items of others: eight lines with them may have a billion items."""

    def flatten_mapping(self, node: Any) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise ConstructorError(
                    problem="merge keys (<<) are not read; write the items", problem_mark=key.start_mark
                )
            if key.tag == "tag:yaml.org,2002:value":  # a plain `=`, a text here as in the class above
                key.tag = "tag:yaml.org,2002:str"


def _content(path: Path) -> bytes:
    try:
        if kind := irregular(path.stat().st_mode):  # a pipe would be waited for, and a device has no end
            raise UserError(f"{path}: must be a regular file, found {kind}; name one with --params")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the repository's root, or name it with --params") from None
    except OSError as error:
        raise UserError(
            f"{path}: must be a file that can be read, found: {error.strerror}; name it with --params"
        ) from None
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: must have at most {MAX_BYTES} bytes, found more; take out what is not a parameter")
    return content


def bracket_depth(content: bytes) -> int:
    """Largest number of brackets that are open at once, those in texts and comments included."""
    brackets = re.findall(rb"[\[\]{}]", content)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def _explained(error: Exception) -> str:
    """Return the line, if it is known, and the problem, without the parser's advice."""
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        return f"{line}: {error.problem or error.context}"
    if isinstance(error, RecursionError):
        return ": nested too deep"
    if isinstance(error, KeyError):
        return f": {error} is not of the type that its tag says"
    return f": {(str(error) or type(error).__name__).splitlines()[0].partition('; use ')[0]}"
