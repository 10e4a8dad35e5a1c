"""Archives that are wrong in ways that a reader may fall for, made by code; the right one holds FILES."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib
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


def zip_bomb(path: Path) -> Path:
    """A file of 64 MiB in 64 KiB."""
    return write_zip(path, {**FILES, "a/bomb.png": bytes(64 * MIB)})


def zip_that_lies(path: Path, size: int = 64 * MIB) -> Path:
    """A file that says it has one byte and unpacks to many more."""
    packed = zlib.compress(bytes(size), wbits=-15)
    crc, name = zlib.crc32(bytes(size)), b"a/1.png"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(packed), 1, len(name), 0)
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(packed), 1, len(name), 0, 0, 0, 0, 0, 0)
    body = local + name + packed
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry) + len(name), len(body), 0)
    path.write_bytes(body + entry + name + end)
    return path


def tar_bomb(path: Path, size: int = 256 * MIB) -> Path:
    """A compressed archive with one file of zeros."""
    with gzip.open(path, "wb") as file:
        file.write(_member("a/bomb.png", size).tobuf())
        for _ in range(size // MIB):
            file.write(bytes(MIB))
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


def tar_with_endless_tail(path: Path, size: int = 256 * MIB) -> Path:
    """A compressed archive with zeros behind its end mark."""
    write_tar(path)
    content = gzip.decompress(path.read_bytes())
    with gzip.open(path, "wb") as file:
        file.write(content)
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return path


def tar_with_header(path: Path, kind: bytes, size: int) -> Path:
    """An archive that begins with a header of the given kind, which says that `size` bytes belong to it."""
    header = bytearray(_member("x", 0).tobuf(tarfile.GNU_FORMAT))
    header[156:157] = kind
    header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(20 * tarfile.BLOCKSIZE))
    return path


def sparse_tar(path: Path, size: int) -> Path:
    """A file that is a hole of `size` bytes."""
    member = _member("a/1.png", 0)
    member.pax_headers = {"GNU.sparse.size": str(size), "GNU.sparse.numblocks": "0", "GNU.sparse.map": "0,0"}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    return path


def tar_with_map(path: Path, numbers: int, *, members: int = 1) -> Path:
    """Files of ten bytes whose maps of holes have so many numbers; the first five bytes are `hello`."""
    holes = ["0", "5", *["0000000010", "0"] * (numbers // 2 - 1)]
    start = "".join(f"{number}\n" for number in [len(holes) // 2, *holes]).encode()
    with tarfile.open(path, _mode(path), format=tarfile.PAX_FORMAT) as archive:
        for number in range(members):
            content = start + bytes(-len(start) % tarfile.BLOCKSIZE) + b"hello"
            member = _member(f"a/{number}.png", len(content))
            names = {"major": "1", "minor": "0", "name": member.name, "realsize": "10"}
            member.pax_headers = {f"GNU.sparse.{name}": value for name, value in names.items()}
            archive.addfile(member, io.BytesIO(content))
    return path


def tar_of_empty_files(path: Path, count: int, **headers: str) -> Path:
    """Names alone, after values that all members have."""
    with tarfile.open(
        path, TAR_MODES["".join(path.suffixes)], format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as archive:  # type: ignore[call-overload]
        for number in range(count):
            archive.addfile(_member(f"a/{number}.png", 0))
    return path


def tar_of_links(path: Path, kind: bytes, count: int) -> Path:
    """A file and so many links: symbolic ones each to the one before, hard ones all to the file."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(_member("a/0.png", 3), io.BytesIO(b"one"))
        for number in range(count):
            link = _member(f"a/{number + 1}.png", 0)
            link.type, link.linkname = kind, f"{number}.png" if kind == tarfile.SYMTYPE else "a/0.png"
            archive.addfile(link)
    return path


def tar_that_goes_back(path: Path) -> Path:
    """A file with holes whose size leads back to its own header."""
    tar_with_header(path, b"S", -512)
    content = bytearray(path.read_bytes())
    content[483:495] = b"%011o\0" % 10  # the size with its holes
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    return path


def tar_with_name(path: Path, name: str) -> Path:
    """A file of a name of any length."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_member(name, 0))
    return path


def tar_with_long_number(path: Path, digits: int) -> Path:
    """A header of digits, in which some versions of Python look for a keyword at each."""
    body = b"1" * digits
    header = _member("x", len(body))
    header.type = tarfile.XHDTYPE
    end = bytes(-len(body) % tarfile.BLOCKSIZE) + _member("a/1.png", 0).tobuf() + bytes(2 * tarfile.BLOCKSIZE)
    path.write_bytes(header.tobuf() + body + end)
    return path


def _mode(path: Path) -> Any:
    return TAR_MODES["".join(path.suffixes[-2:]) if path.suffix != ".tar" else ".tar"]


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member
