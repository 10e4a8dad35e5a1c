"""Folders in which outputs come to be, and what killed runs left of theirs."""

import glob
import shutil
from pathlib import Path

from .processes import is_alive, process_mark

PARTIAL = ".partial-"


def partial_path(output: Path) -> Path:
    """Return where this process writes what becomes `output`: a hidden path beside it that names the process."""
    return output.with_name(f".{output.name}{PARTIAL}{process_mark()}")


def leftovers(output: Path) -> list[Path]:
    """Return what killed runs left beside an output; runs that have not ended keep theirs."""
    paths = sorted(output.parent.glob(f".{glob.escape(output.name)}{PARTIAL}*"))
    return [path for path in paths if not is_alive(path.name.rpartition(PARTIAL)[2])]


def remove_leftovers(output: Path) -> None:
    """Remove what killed runs left beside an output."""
    for path in leftovers(output):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_empty_folder(path: Path) -> bool:
    """Return whether a path is a folder without entries."""
    return path.is_dir() and not any(path.iterdir())
