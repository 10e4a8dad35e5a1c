"""The images of any folder or archive, of a list, or one alone, listed without labels and without being decoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from stages.commands.features.lists import LISTS, NamedFiles, read_list
from stages.prepare.candidates import Content
from stages.prepare.decode import BadImageError, damage_named, known_formats, open_image, read_content
from stages.prepare.limits import Resources
from stages.prepare.raw_files import RawFiles, check_regular, is_archive, open_raw
from stages.shared.runtime.errors import CONTROL, UserError

MAX_SHOWN = 5


@dataclass(frozen=True)
class ImageFiles:
    """Files to embed, in the order in which they are read fastest.

    Attributes:
        where: the folder or archive.
        paths: relative to it, with forward slashes, or as a list has them.
    """

    where: Path
    paths: Sequence[str]
    _files: RawFiles

    def contents(self, paths: Sequence[str]) -> list[Callable[[], bytes]]:
        """Return functions that read files, which fail with an `OSError` or a `UserError`."""
        return [self._files.content(path) for path in paths]

    def state(self, path: str) -> tuple[str, int, int]:
        """Return name, size and time of change of a file; of an archive's member the archive's."""
        try:
            found = (self.where / path if self.where.is_dir() else self.where).stat()
        except OSError:  # a link to nothing: reading will say so
            return path, -1, -1
        return path, found.st_size, found.st_mtime_ns


def list_images(where: Path, resources: Resources) -> ImageFiles:
    """List all files of a folder, of an archive or of a list as images. Hidden files are left out.

    Args:
        where: a folder, which may hold folders or one archive; an archive; a text file of paths, one a line, or a CSV
            with a column `path`, which are relative to the list's folder or absolute; or an image.
        resources: closes the archive, and has the limits.

    Raises:
        UserError: it is missing or empty, the archive or list is damaged, or an entry is a pipe, a device or a link to
            a folder.
    """
    if not where.exists():
        raise UserError(f"{where}: must be a folder, an archive or a list of images, or an image, found nothing there")

    def refuse_link(path: str) -> bool:
        raise UserError(
            f"{where / path}: must not be a link to a folder, found one: links to folders are not followed; embed its "
            "images by a command of their own, or copy them"
        )

    check_regular(where)
    files: RawFiles
    if where.is_dir() or is_archive(where.name) or is_archive(where.resolve().name):
        files = open_raw(where, resources, refused=refuse_link)
    else:
        named = [row["path"] for row in read_list(where)] if where.suffix.lower() in LISTS else [where.name]
        files = NamedFiles(where.parent, named, resources.limits)
    for path in files.paths:
        if CONTROL.search(path):
            raise UserError(f"{files.where}: the name of a file must not have control characters, found {path!r}")
    return ImageFiles(files.where, files.paths, files)


def without_other_files(images: ImageFiles) -> tuple[ImageFiles, dict[str, str]]:
    """Leave out the files that are no images by what they hold; those with an image's ending are not looked at.

    Returns:
        The others, and of those left out path and reason.
    """
    reasons = not_images(dict(zip(images.paths, images.contents(images.paths), strict=True)))
    return replace(images, paths=[path for path in images.paths if path not in reasons]), reasons


def not_images(files: Mapping[str, Callable[[], Content]]) -> dict[str, str]:
    """Open the files whose names do not end as an image's, and return why some are none.

    Args:
        files: path -> a function that reads it.
    """
    formats = known_formats()
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in formats}
    unclear = {path: content for path, content in files.items() if PurePosixPath(path).suffix.lower() not in endings}
    others = [path for path, content in unclear.items() if not _is_image(content)]
    return dict.fromkeys(others, "not an image of a format that is read")


def check_any(where: Path, paths: Sequence[str]) -> None:
    """Check that there are images.

    Raises:
        UserError: there are none.
    """
    if not paths:
        raise UserError(f"{where}: must hold images, found none that can be read; name their folder or archive")


def refuse_unreadable(where: Path, reasons: dict[str, str]) -> None:
    """Refuse files that cannot be embedded, if there are any.

    Raises:
        UserError: naming some, and the remedies.
    """
    if reasons:
        raise UserError(
            f"{where}: every file must be an image, found {describe(reasons)}; take such files out, or leave them out "
            "with --skip-unreadable; what is done so far is kept"
        )


def describe(reasons: dict[str, str]) -> str:
    """Count files and name the first of them with their reasons."""
    some = [f"{path} ({reason})" for path, reason in list(reasons.items())[:MAX_SHOWN]]
    more = f", and {len(reasons) - MAX_SHOWN} more" if len(reasons) > MAX_SHOWN else ""
    return f"{len(reasons)} that cannot be read: {', '.join(some)}{more}"


def _is_image(content: Callable[[], Content]) -> bool:
    file = read_content(content)
    try:
        with damage_named():
            return isinstance(file, bytes) and bool(open_image(file))
    except BadImageError:
        return False
