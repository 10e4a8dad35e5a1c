"""Downloads into a cache outside the DAG: resumed where they were cut, checked, moved into place only when whole."""

import os
import time
from pathlib import Path

import requests

from ..shared.runtime.errors import UserError
from ..shared.runtime.progress import progress
from ..shared.workflow.digests import file_sha256

BLOCK = 1 << 16  # bytes; a cut loses at most one block
ATTEMPTS = 4
TIMEOUT = (10, 60)  # seconds to connect, and without a byte


def cache_folder() -> Path:
    """Return where downloads are kept: `$WHICHLAYER_CACHE`, else a folder of the user's cache."""
    folder = os.environ.get("WHICHLAYER_CACHE")
    return Path(folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whichlayer")


def download(url: str, path: Path, *, sha256: str, size: int, advice: str, pause: float = 1.0) -> Path:
    """Download a file unless it is there; what a cut connection left behind is continued.

    Args:
        url: where it is.
        path: where it goes; until it is whole and checked it is called `<name>.part`.
        sha256: of the whole file, hexadecimal.
        size: of the whole file in bytes.
        advice: what to do without a network, for the message.
        pause: seconds before the second attempt; doubled for each further one.

    Returns:
        The path of the whole, checked file.

    Raises:
        UserError: the server cannot be reached, the file is not there, or it is not what it should be.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        _fetch_part(url, part, size, advice, pause)
        if (file_hash := file_sha256(part)) != sha256:
            part.unlink()
            raise UserError(
                f"{url}: must have the SHA-256 {sha256}, found {file_hash}; it was discarded. Retry; if that does "
                f"not help, the file on the server has changed: {advice}"
            )
        part.replace(path)
    return verified(path, sha256)


def verified(path: Path, sha256: str) -> Path:
    """Return the path of a file that has this SHA-256.

    Raises:
        UserError: it has another.
    """
    if (file_hash := file_sha256(path)) != sha256:
        raise UserError(
            f"{path}: must have the SHA-256 {sha256}, found {file_hash}; it is damaged or another version: remove it"
        )
    return path


def _fetch_part(url: str, part: Path, size: int, advice: str, pause: float) -> None:
    last: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _continue(url, part, size)
        except (requests.RequestException, ValueError) as error:  # ValueError: an address of which no host can be read
            if isinstance(error, requests.HTTPError) and error.response.status_code < requests.codes.server_error:
                raise UserError(f"{url}: the server answers {error.response.status_code}; {advice}") from None
            last = error
        if _length(part) >= size:
            return
    found = f"{_length(part)} of {size} bytes arrived after {ATTEMPTS} attempts" + (f" ({last})" if last else "")
    raise UserError(f"{url}: cannot be downloaded: {found}. Retry to continue, or without a network: {advice}")


def _continue(url: str, part: Path, size: int) -> None:
    have = _length(part)
    if have >= size:
        return
    identity = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
    headers = identity | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        with part.open("ab" if resumed else "wb") as file:
            total = (size - (have if resumed else 0)) // BLOCK + 1
            for block in progress(response.iter_content(BLOCK), total=total, what=part.stem, unit="x 64 KiB"):
                file.write(block)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
