"""Whether raw data are files and folders alone."""

import os
import stat
from pathlib import Path

from stages.shared.console import UserError

SPECIAL = {
    "a named pipe": stat.S_ISFIFO,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a socket": stat.S_ISSOCK,
}


def check_regular(raw: Path) -> None:
    """Check that a raw folder holds, or is, files and folders alone, as reading a pipe or a device may never end.

    Nothing is opened. DVC hashes every file in it, hidden ones too.

    Raises:
        UserError: naming a pipe, a device or a socket, or a link to one.
    """
    if not raw.is_dir():
        _refuse_special(raw)
        return
    with os.scandir(raw) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                check_regular(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                _refuse_special(Path(entry.path))


def _refuse_special(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:  # not there, or a link to nothing: reading will say so
        return
    kind = next((kind for kind, found in SPECIAL.items() if found(mode)), None)
    if kind:
        link = f", through a link to {path.readlink()}" if path.is_symlink() else ""
        raise UserError(f"{path}: must be a regular file, found {kind}{link}; remove it")
