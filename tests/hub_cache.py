"""Repositories in a cache of the Hugging Face hub, laid out as its client lays them out."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMIT = "0" * 40


@contextmanager
def downloaded(hub: Path, repository: str) -> Iterator[Path]:
    """Give a folder for a repository's files; in the end they are blobs, named by their hashes, with links to them."""
    root = hub / f"models--{repository.replace('/', '--')}"
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "snapshots" / COMMIT
    for made in (root / "refs", root / "blobs", folder):
        made.mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    yield folder
    for file in sorted(folder.iterdir()):
        link_to_blob(file, blob_name(file.read_bytes(), large=file.suffix != ".json"))


def blob_name(content: bytes, *, large: bool) -> str:
    """Name a blob: SHA-256 of a large file, git's SHA-1 of a small one."""
    return (
        hashlib.sha256(content).hexdigest()
        if large
        else hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
    )


def link_to_blob(file: Path, name: str) -> Path:
    """Move a file of a snapshot to its repository's blobs, and leave a link; gives the blob."""
    blob = file.parents[2] / "blobs" / name
    file.replace(blob)
    file.symlink_to(Path("../../blobs") / name)
    return blob
