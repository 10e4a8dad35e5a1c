"""What raw data may be and ask for: safe and readable names, and so much that no small file fills memory or disk."""

import posixpath
import re
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from stages.shared.core.params import Params
from stages.shared.runtime.errors import UserError, explain_system_error

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


try:
    from lzma import LZMAError
except ImportError:  # a Python built without it, which opens no .tar.xz
    LZMAError = OSError  # type: ignore[misc,assignment]

M = TypeVar("M")

BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, OSError, EOFError, ValueError, KeyError),
    *(RuntimeError, NotImplementedError, IndexError, OverflowError, MemoryError),
)
"""What the standard library's readers raise on archives that are damaged, encrypted or packed in an unknown way.

`reading` sorts out what the machine lacks.
"""

FREE = 2**20
"""Bytes that may be unpacked whatever the ratio."""


class LimitsParams(Params):
    """What raw data may hold; what holds more is refused: an image before it is decoded, an archive as it is unpacked.

    Attributes:
        pixels: most pixels of one image, before it is resized.
        file_bytes: most bytes of one file, in a folder or unpacked from an archive.
        ratio: how many times its packed size a file of a zip archive, or a whole compressed tar archive, may take; the
            first MiB is free.
        files: most members of one archive, folders and links included.
    """

    pixels: Annotated[int, Field(ge=1, lt=2**40)] = 50_000_000
    file_bytes: Annotated[int, Field(ge=1, lt=2**40)] = 300_000_000
    ratio: Annotated[float, Field(ge=1, le=1_000_000)] = 200.0
    files: Annotated[int, Field(ge=1, lt=2**40)] = 2_000_000

    def check_count(self, archive: Path, count: int) -> None:
        """Check how many members an archive has.

        Raises:
            UserError: more than the limit.
        """
        if count > self.files:
            raise UserError(
                f"{archive}: must have at most {self.files} files, found more; of data that you trust, set "
                "prepare.limits.files"
            )

    def check_size(self, archive: Path, name: str, size: int) -> None:
        """Check how large a member is, as its header says.

        Raises:
            UserError: larger than the limit, or less than nothing.
        """
        where = f"{archive}: member {name!r}"
        if size < 0:
            raise UserError(f"{where} has a size below 0; the archive is damaged: copy or pack it again")
        if size > self.file_bytes:
            raise UserError(
                f"{where} must have at most {self.file_bytes} bytes, found {size}; of data that you trust, set "
                "prepare.limits.file_bytes"
            )

    def check_ratio(self, what: str, size: int, packed: int) -> None:
        """Check how much larger something is unpacked.

        Raises:
            UserError: more than the limit times its packed size, and more than a MiB.
        """
        if size > FREE and size > self.ratio * packed:
            raise UserError(
                f"{what}: must unpack to at most {self.ratio:g} times its {packed} bytes, found more, as a "
                "decompression bomb does; of data that you trust, set prepare.limits.ratio"
            )


DEFAULT_LIMITS = LimitsParams()


class Resources(ExitStack):
    """What was opened to read raw data, closed at the end, and the limits that its readers keep to."""

    def __init__(self, limits: LimitsParams = DEFAULT_LIMITS) -> None:
        super().__init__()
        self.limits = limits


@dataclass(frozen=True)
class RawFiles:
    """Files that can be read, without those that are hidden or lie in hidden folders.

    Attributes:
        where: the folder or archive.
        paths: relative to it, with forward slashes, in the order in which they are read fastest.
        hidden: the hidden folders.
        read: reads one file.
    """

    where: Path
    paths: tuple[str, ...]
    hidden: tuple[str, ...]
    read: Callable[[str], bytes]

    def content(self, path: str) -> Callable[[], bytes]:
        """Return a function that reads one file."""
        return partial(self.read, path)


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Turn what Python raises on a damaged archive into an error that names it; what the machine lacks is raised."""
    try:
        yield
    except BROKEN as error:
        if explain_system_error(error):
            error.add_note(str(archive))
            raise
        raise UserError(f"{archive}: the archive cannot be read ({error}); copy or pack it again") from None


def by_path(archive: Path, members: Iterable[tuple[str, M]]) -> dict[str, M]:
    """Collect members by their paths, without those that are hidden or made by an operating system.

    Raises:
        UserError: two have one path, so that readers disagree about which of them counts.
    """
    by_name: dict[str, M] = {}
    for path, member in members:
        if path in by_name:
            raise UserError(f"{archive}: member {path!r} is there twice; pack the archive again with one of them")
        if not any(map(is_clutter, path.split("/"))):
            by_name[path] = member
    return by_name
