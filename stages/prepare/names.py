"""Names of files and classes: which may be used, and which are passed over."""

import posixpath
import re
import unicodedata
from collections.abc import Iterable

from ..shared.runtime.errors import UserError

INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e007f]"
)
"""Marks, fillers and joiners that print nothing: two names of classes that differ in them look alike in every table."""

CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX")


def inside(name: str) -> str | None:
    """Normalize a relative path, with forward slashes; none if it is absolute or leads out by `..`."""
    path = posixpath.normpath(name.replace("\\", "/"))
    return None if path.startswith(("/", "../")) or path == ".." else path


def check_class_names(names: Iterable[str]) -> None:
    """Check that names of classes differ also for those who read them.

    Raises:
        UserError: two differ in invisible characters, in blanks at their ends, or in how letters with accents are
            encoded (NFC, NFD).
    """
    met: dict[str, str] = {}
    for name in names:
        other = met.setdefault(INVISIBLE.sub("", unicodedata.normalize("NFC", name)).strip(), name)
        if other != name:
            raise UserError(
                f"names of classes must not look alike, found {other!a} and {name!a}; rename one of them, or "
                "put their images into one class"
            )


def is_clutter(name: str) -> bool:
    """Return whether a name is that of a hidden file, or of one made by an operating system."""
    return name.startswith(".") or name in CLUTTER
