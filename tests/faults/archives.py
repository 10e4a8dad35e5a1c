"""Archives that are wrong in ways that a reader may fall for, made by code; the right one holds FILES."""

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FILES = {"a/1.png": b"one" * 50, "a/2.png": b"two" * 700, "b/3.png": b"three" * 1000, "b/4.png": b""}
TAR_MODES = {".tar": "w:", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
MIB = 2**20


def write_zip(path: Path, files: Mapping[str, bytes] = FILES, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    with tarfile.open(path, _mode(path)) as archive:
        for name, content in files.items():
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
    return path


def write_archive(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """Write an archive of the kind that its name says."""
    return write_zip(path, files) if path.suffix == ".zip" else write_tar(path, files)


def flip(content: bytes, position: int, bit: int = 0) -> bytes:
    """Turn one bit over."""
    damaged = bytearray(content)
    damaged[position] ^= 1 << bit
    return bytes(damaged)


def damaged(content: bytes, seed: int) -> bytes:
    """Damage a file in one of the ways that disks and copies do."""
    rng = random.Random(seed)
    start, stop = sorted(rng.randrange(len(content)) for _ in range(2))
    ways: list[Callable[[], bytes]] = [
        lambda: flip(content, start, rng.randrange(8)),
        lambda: content[:start],
        lambda: content[:start] + content[stop:],
        lambda: content[:start] + bytes(stop - start) + content[stop:],
        lambda: content[:start] + rng.randbytes(stop - start) + content[stop:],
        lambda: content[:stop] + content[start:],
        lambda: content + rng.randbytes(700),
    ]
    return rng.choice(ways)()


def _mode(path: Path) -> Any:
    return TAR_MODES["".join(path.suffixes[-2:]) if path.suffix != ".tar" else ".tar"]


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member
