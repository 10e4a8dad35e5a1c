"""A user's file of weights: a regular file, with the content that the params entry says. Imports no network library.

DVC cannot depend on a path that one entry alone has, so the content's hash stands in the entry: another file under the
same name is refused, and taking it changes a parameter, which runs its cells again.
"""

import hashlib
import stat
from pathlib import Path

from stages.shared.networks.params import WeightsParams
from stages.shared.runtime.errors import UserError

SHOWN = 16
"""Digits of a hash that a message gives."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_file(weights: WeightsParams) -> Path:
    """Check a file of weights, without reading what it holds but for its hash.

    Args:
        weights: with `source: file`.

    Returns:
        Its path.

    Raises:
        UserError: there is no such file, it is not a regular one, or `sha256` is missing or another's.
    """
    path = Path(str(weights.path))
    try:
        _check_regular(path)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # a path with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"weights.path: must be a safetensors or torch file that can be read, found at {path}: {reason}; "
            "correct the path, or put the file there"
        ) from None
    line = f'sha256: "{found[:SHOWN]}"'
    if weights.sha256 is None:
        raise UserError(f"weights.sha256 is missing: a cell depends on what {path} holds; add it to the entry: {line}")
    if not found.startswith(weights.sha256):
        raise UserError(
            f"weights.sha256: {path} must have a SHA-256 that begins with {weights.sha256}, found {found[:SHOWN]}: its "
            f"content has changed; put the former file back, or take this one: {line}"
        )
    return path


def _check_regular(path: Path) -> None:
    mode = path.stat().st_mode  # of what a link points to; opening a FIFO would wait for ever
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise UserError(f"weights.path: {path} must be a regular file, found {kind}; name a file of weights")
