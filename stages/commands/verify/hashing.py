"""MD5 of many files, which is what DVC names its objects by: in threads, each file a block at a time."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.shared.runtime.console import progress

UNREADABLE = "unreadable"
"""In the place of the hash of a file that cannot be read."""


class Hasher:
    """Hashes files, each once as long as nothing writes to it, also where one of the workspace links to the cache."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def hash_all(self, paths: Sequence[Path], what: str) -> dict[Path, str]:
        """Hash files that exist: {path: MD5}; the time does not matter, unlike to DVC.

        Args:
            paths: the files; of these alone memory holds anything.
            what: for the progress display.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = progress(pool.map(self._hash, paths), total=len(paths), what=what, unit="files")
            return dict(zip(paths, found, strict=True))

    def _hash(self, path: Path) -> str:
        try:
            stat = path.stat()
            key = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
            if key not in self._known:
                with path.open("rb") as file:
                    self._known[key] = hashlib.file_digest(file, _md5).hexdigest()
            return self._known[key]
        except OSError:
            return UNREADABLE


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
