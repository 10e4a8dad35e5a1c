"""The raw data of a dataset: `data/raw/<dataset>`, a folder, an archive or a folder that holds one, or a link to it."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..shared.runtime.errors import UserError, irregular
from .archives import is_archive, open_archive
from .names import is_clutter
from .raw_files import SOURCE_FILE, RawFiles, list_files


def open_raw(raw: Path, resources: ExitStack, *, refused: Callable[[str], bool] = lambda path: True) -> RawFiles:
    """List the files of a raw folder, or of the one archive that it holds or is. Hidden files are left out.

    Args:
        raw: a folder, an archive, or a symlink to one.
        resources: closes the archive and removes what is unpacked.
        refused: as `list_files` takes it.

    Raises:
        UserError: it is missing, empty or unreadable, holds several archives or a refused link, or has a member
            that points outside.
    """
    if not raw.exists():
        raise UserError(
            f"{raw}: no such folder or archive; put the images there, or link to them: ln -s /any/path {raw}"
        )
    if not raw.is_dir() and (kind := irregular(raw.stat().st_mode)):
        raise UserError(f"{raw}: must be a folder or an archive, found {kind}; give the images' folder")
    archive = raw if raw.is_file() else find_archive(raw)
    files = open_archive(archive, resources) if archive else list_files(raw, refused=refused)
    if not files.paths:
        raise UserError(f"{files.where}: must hold images, found no file; put the images there, or link to them")
    return files


def find_archive(folder: Path) -> Path | None:
    """Find the one archive of a folder that holds no folders.

    Raises:
        UserError: there are several.
    """
    archives = list[str]()
    with os.scandir(folder) as entries:  # which may be a million
        for entry in entries:
            kind = Path(entry.path) if entry.is_symlink() else entry  # a link may lead in a circle
            if is_clutter(entry.name):
                continue
            if kind.is_dir():
                return None
            archives += [entry.name] if is_archive(entry.name) and kind.is_file() else []
    if len(archives) > 1:
        raise UserError(f"{folder}: must hold one archive, found {', '.join(sorted(archives))}; keep one")
    return folder / archives[0] if archives else None


def has_only_source_file(raw: Path) -> bool:
    """Return whether a raw folder holds `source.json` and, hidden files apart, nothing else."""
    return raw.is_dir() and {p.name for p in raw.iterdir() if not p.name.startswith(".")} == {SOURCE_FILE}
