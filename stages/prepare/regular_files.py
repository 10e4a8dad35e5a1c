"""Whether raw data are files and folders alone."""

import os
import stat
from pathlib import Path

from stages.shared.runtime.errors import UserError

SPECIAL = {
    "a named pipe": stat.S_ISFIFO,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a socket": stat.S_ISSOCK,
}


def check_regular(raw: Path, *, links: bool = False) -> None:
    """Check that a raw folder holds, or is, files and folders alone, as reading a pipe or a device may never end.

    Nothing is opened. DVC hashes every file in it, hidden ones too.

    Args:
        raw: a folder, or a file.
        links: refuse a link to nothing or in a circle, too, at which DVC ends with the system's words.

    Raises:
        UserError: naming a pipe, a device or a socket, or a link to one.
    """
    if not raw.is_dir():
        _refuse_special(raw, links)
        return
    with os.scandir(raw) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                check_regular(Path(entry.path), links=links)
            elif not entry.is_file(follow_symlinks=False):
                _refuse_special(Path(entry.path), links)


def _refuse_special(path: Path, links: bool) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if links and path.is_symlink():
            raise UserError(f"{path}: is a link to {path.readlink()}: {error.strerror}; remove it") from None
        return  # reading will say so
    kind = next((kind for kind, found in SPECIAL.items() if found(mode)), None)
    if kind:
        link = f", through a link to {path.readlink()}" if path.is_symlink() else ""
        raise UserError(f"{path}: must be a regular file, found {kind}{link}; remove it")
