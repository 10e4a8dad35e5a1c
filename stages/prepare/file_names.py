"""Names of files in raw data: which are safe, readable, and of no concern."""

import posixpath
from pathlib import Path

from stages.shared.runtime.errors import UserError

CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX")


def inside(name: str) -> str | None:
    """Normalize a relative path, with forward slashes; none if it is absolute or leads out by `..`."""
    path = posixpath.normpath(name.replace("\\", "/"))
    return None if path.startswith(("/", "../")) or path == ".." else path


def inside_archive(name: str, archive: Path) -> str:
    """Normalize the name of an archive's member.

    Raises:
        UserError: it points outside the archive, or is not valid UTF-8.
    """
    path = inside(name)
    if path is None or path[1:2] == ":":
        raise UserError(f"{archive}: member {name!r} points outside the archive; pack it again with relative paths")
    return utf8(path, archive)


def utf8(path: str, where: Path) -> str:
    """Return a path that can be written to a table.

    Raises:
        UserError: it is not valid UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: the file name {path!r} is not valid UTF-8; rename it") from None
    return path


def has_clutter(path: str) -> bool:
    """Return whether a file, or a folder that it lies in, is hidden or made by an operating system."""
    return any(is_clutter(part) for part in path.split("/"))


def hidden_folder(path: str) -> str | None:
    """Find the outermost hidden folder that a file lies in; none if it lies in no such folder."""
    folders = path.split("/")[:-1]
    first = next((i for i, folder in enumerate(folders) if folder.startswith(".")), None)
    return None if first is None or has_clutter("/".join(folders[:first])) else "/".join(folders[: first + 1])


def is_clutter(name: str) -> bool:
    """Return whether a name is that of a hidden file, or of one made by an operating system."""
    return name.startswith(".") or name in CLUTTER
