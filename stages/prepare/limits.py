"""How much raw data may ask for, so that a small file does not fill memory or disk, and checks of archives."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from stages.prepare.file_names import is_clutter
from stages.shared.core.params import Params
from stages.shared.runtime.errors import UserError, explain_system_error

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
