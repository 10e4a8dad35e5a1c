"""Names of files and classes in raw data: which are safe, readable, and of no concern."""

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from stages.shared.runtime.errors import UserError

MAX_DEPTH = 100
MAX_LENGTH = 4096
"""Characters of a path, as Linux has it."""

INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)
"""Marks, fillers and tags that print nothing: with one of them, two names of classes look alike in every table."""

JOINERS = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
"""What alphabets and emoji need between letters, but shows nothing where there is nothing to join."""

CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX")


def inside(name: str) -> str | None:
    """Normalize a relative path, with forward slashes; none if it is absolute or leads out by `..`."""
    path = posixpath.normpath(name.replace("\\", "/"))
    return None if path.startswith(("/", "../")) or path == ".." else path


def inside_archive(name: str, archive: Path) -> str:
    """Normalize the name of an archive's member.

    Raises:
        UserError: it points outside the archive, is not valid UTF-8, or is too long or too deep.
    """
    if len(name) > MAX_LENGTH:
        raise UserError(f"{archive}: a member's name must have at most {MAX_LENGTH} characters, found {len(name)}")
    path = inside(name)
    check_depth(archive, name.count("/"))
    if path is None or path[1:2] == ":":
        raise UserError(f"{archive}: member {name!r} points outside the archive; pack it again with relative paths")
    return utf8(path, archive)


def check_depth(raw: Path, depth: int) -> None:
    """Check how deep a folder lies below the raw folder.

    Raises:
        UserError: deeper than libraries can follow.
    """
    if depth > MAX_DEPTH:
        raise UserError(f"{raw}: must have at most {MAX_DEPTH} folders in each other, found more; move them up")


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


def check_class_names(names: Iterable[str]) -> None:
    """Check that names of classes differ also for those who read them.

    Raises:
        UserError: one has invisible characters or begins or ends with a blank, or two look alike: they differ in how
            letters with accents are encoded (NFC, NFD), or in joiners.
    """
    met: dict[str, str] = {}
    for name in names:
        if INVISIBLE.search(name) or name != name.strip():
            raise UserError(
                f"the name of a class must not have invisible characters, or blanks at its ends, found {name!a}; "
                "rename it"
            )
        other = met.setdefault(JOINERS.sub("", unicodedata.normalize("NFC", name)), name)
        if other != name:
            raise UserError(
                f"names of classes must not look alike, found {other!a} and {name!a}; rename one of them, or "
                "put their images into one class"
            )


def hidden_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the outermost hidden folders that files lie in, sorted."""
    found = set()
    for path in paths:
        *folders, _ = path.split("/")
        first = next((i for i, folder in enumerate(folders) if is_clutter(folder)), None)
        if first is not None and folders[first].startswith("."):
            found.add("/".join(folders[: first + 1]))
    return tuple(sorted(found))


def is_clutter(name: str) -> bool:
    """Return whether a name is that of a hidden file, or of one made by an operating system."""
    return name.startswith(".") or name in CLUTTER
