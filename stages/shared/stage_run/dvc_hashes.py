"""The hashes that DVC gives to files and folders, without DVC, which takes a second to import."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from pathspec import GitIgnoreSpec

IGNORED = (".git/", ".git", ".hg/", ".dvc/")
"""What DVC ignores beside what .dvcignore says."""

BLOCK = 4096
"""Files that are hashed side by side."""


def dvc_hash(path: Path) -> str:
    """Return the MD5 of a file, or of the list of a folder's files with `.dir` after it.

    Args:
        path: relative to the working directory, in which .dvcignore says what a folder has beside its files.
    """
    if not path.is_dir():
        return _md5(path)
    listing, separator = hashlib.md5(b"[", usedforsecurity=False), b""
    names = iter(sorted(_files(path)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while block := list(islice(names, BLOCK)):
            for name, md5 in zip(block, pool.map(_md5, [path / name for name in block]), strict=True):
                listing.update(separator + json.dumps({"md5": md5, "relpath": name}).encode())
                separator = b", "
    listing.update(b"]")
    return f"{listing.hexdigest()}.dir"


def _files(folder: Path) -> Iterator[str]:
    """Yield the files below a folder that DVC sees, with forward slashes."""
    ignore = Path(".dvcignore")
    ignored = GitIgnoreSpec.from_lines([*IGNORED, *(ignore.read_text().splitlines() if ignore.is_file() else ())])
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = [name for name in folders if not ignored.match_file(f"{(here / name).as_posix()}/")]
        for name in names:
            if not ignored.match_file((here / name).as_posix()):
                yield (here / name).relative_to(folder).as_posix()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
