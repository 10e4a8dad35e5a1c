"""The files of `data/raw/<dataset>`, whether they lie in a folder, in an archive, or behind a symlink to either.

And `source.json`: the committed file that says, for generated and downloaded datasets, what exactly the raw data are.
It may also come from someone else, with a folder of raw data. So every text in it that reaches a program, an address or
a path is held to a pattern of what is harmless there. These patterns match whole texts: pydantic's `$`, unlike that of
`re`, does not match before a newline at the end.
"""

import csv
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TextIO, TypeVar

from pydantic import Field, ValidationError

from stages.prepare.limits import (
    LimitsParams,
    RawFiles,
    Resources,
    by_path,
    check_depth,
    hidden_folders,
    inside_archive,
    is_clutter,
    reading,
    utf8,
)
from stages.prepare.tar_files import open_tar
from stages.shared.core.params import Params
from stages.shared.runtime.errors import UserError, irregular, short_repr, with_command

SOURCE_FILE = "source.json"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
DVC_FILES = ("dvc.yaml", ".dvcignore")
ZIP_STARTS = (b"PK\3\4", b"PK\5\6")
"""The first bytes of a zip archive with files, and of an empty one."""
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions that Python unpacks piece by piece; of the others it unpacks as much as there is."""

MAX_ROW = 2**20
"""Characters of a row; Python's reader holds all cells of one in memory, and a letter may be one."""

MAX_END_BYTES = 2**16 + 22 + 20 + 56
"""Bytes of a comment, and of the three records that end an archive."""


def is_archive(name: str) -> bool:
    """Return whether a file's suffix is that of an archive that can be read."""
    return name.lower().endswith(ARCHIVES)


def open_archive(path: Path, resources: Resources) -> RawFiles:
    """Open an archive and list its files, without unpacking it.

    A compressed tar archive is read to its end, where its checksum stands; a file of a zip archive has a checksum of
    its own, which is compared when it is read; a plain tar archive has none.

    Args:
        path: the archive.
        resources: closes it, and has the limits.

    Raises:
        UserError: it is not an archive, is damaged, exceeds a limit, or has a member that points outside.
    """
    if not is_archive(path.name) and not is_archive(path.resolve().name):
        raise UserError(f"{path}: must be a folder or an archive ({', '.join(ARCHIVES)})")
    with reading(path), path.open("rb") as file:
        is_zip = file.read(4) in ZIP_STARTS or (path.name.lower().endswith(".zip") and zipfile.is_zipfile(path))
    return open_zip(path, resources) if is_zip else open_tar(path, resources)


def check_regular(raw: Path, *, for_dvc: bool = False) -> None:
    """Check that a raw folder holds, or is, only files and folders, as reading a pipe or a device may never end.

    Nothing is opened. DVC hashes every file in it, hidden ones too.

    Args:
        raw: a folder, or a file.
        for_dvc: refuse, too, a link to nothing or in a circle, at which DVC ends with the system's words, and files
            that DVC would take for its own if `.dvcignore` did not hide them.

    Raises:
        UserError: naming a pipe, a device or a socket, or a link to one; or folders are nested too deep.
    """
    if not raw.is_dir():
        _refuse_special(raw, for_dvc)
        return
    folders = [(raw, 0)]
    while folders:
        folder, depth = folders.pop()
        check_depth(raw, depth)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((Path(entry.path), depth + 1))
                    continue
                is_dvc_file = entry.name in DVC_FILES or entry.name.endswith(".dvc")
                if for_dvc and is_dvc_file and not raw.is_symlink():  # DVC follows no link
                    raise UserError(
                        f"{entry.path}: must not lie in a raw folder: DVC takes a file of this name for its own, and "
                        "would run the commands in it; remove it"
                    )
                if not entry.is_file(follow_symlinks=False):
                    _refuse_special(Path(entry.path), for_dvc)


def _refuse_special(path: Path, for_dvc: bool) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if for_dvc and path.is_symlink():
            raise UserError(f"{path}: is a link to {path.readlink()}: {error.strerror}; remove it") from None
        return  # reading will say so
    if (kind := irregular(mode)) and not stat.S_ISDIR(mode):
        link = f", through a link to {path.readlink()}" if path.is_symlink() else ""
        raise UserError(f"{path}: must be a regular file, found {kind}{link}; remove it")


def open_raw(raw: Path, resources: Resources, *, refused: Callable[[str], bool] = lambda path: True) -> RawFiles:
    """List the files of a raw folder, or of the one archive that it holds or is. Hidden files are left out.

    Args:
        raw: a folder, an archive, or a symlink to one.
        resources: closes the archive, and has the limits.
        refused: says of a symlink to a folder, by its path below a raw folder, whether it is an error; others are
            passed over.

    Raises:
        UserError: it is missing, empty or unreadable, holds several archives or a refused link, or has a member
            that points outside.
    """
    if not raw.exists():
        raise UserError(
            f"{raw}: no such folder or archive; put the images there, or link to them: ln -s /any/path {raw}"
        )
    archive = raw if raw.is_file() else find_archive(raw)
    files = open_archive(archive, resources) if archive else list_files(raw, resources.limits, refused=refused)
    if not files.paths:
        raise UserError(f"{files.where}: must hold images, found no file; put the images there, or link to them")
    return files


def find_archive(folder: Path) -> Path | None:
    """Find the one archive of a folder that holds no folders.

    Raises:
        UserError: there are several.
    """
    entries = [p for p in sorted(folder.iterdir()) if not is_clutter(p.name)]
    archives = [p for p in entries if p.is_file() and is_archive(p.name)]
    if any(p.is_dir() for p in entries) or not archives:
        return None
    if len(archives) > 1:
        raise UserError(f"{folder}: must hold one archive, found {', '.join(p.name for p in archives)}; keep one")
    return archives[0]


def read_file(path: Path, limits: LimitsParams) -> bytes:
    """Read a file that is not in an archive.

    Raises:
        OSError: it cannot be read, or has more bytes than the limit.
    """
    most = limits.file_bytes
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > most or len(content := file.read(most + 1)) > most:
            raise OSError(f"more than {most} bytes, prepare.limits.file_bytes")
    return content


def csv_rows(text: TextIO, where: object) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row that is not blank, with the line where it begins, from 1.

    Args:
        text: in which line ends are not translated (`newline=""`).
        where: it lies, for messages.

    Raises:
        UserError: it is no CSV in UTF-8, or has a row of more than `MAX_ROW` characters.
    """
    of_row = 0

    def limited() -> Iterator[str]:
        nonlocal of_row
        while piece := text.readline(MAX_ROW + 1):
            of_row += len(piece)
            if of_row > MAX_ROW:
                raise ValueError(f"a row of more than {MAX_ROW} characters")
            yield piece

    reader, line = csv.reader(limited(), strict=True), 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield line, cells
            line, of_row = reader.line_num + 1, 0
    except (csv.Error, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):  # of a block of bytes, which begins within the next line to be read
            line = reader.line_num + 1 + error.object[: error.start].count(b"\n")
        raise UserError(f"{where}, line {line}: not a CSV in UTF-8 with commas: {error}") from None


def list_files(where: Path, limits: LimitsParams, *, refused: Callable[[str], bool]) -> RawFiles:
    """List the files below a folder. It may be a symlink, and so may they.

    Args:
        where: the folder.
        limits: of them, the size of a file holds.
        refused: says of a symlink to a folder, by its path below this one, whether it is an error; others are passed
            over. None is followed: DVC does not follow them either, and would not notice what changes behind them.

    Raises:
        UserError: there is a refused link or a DVC repository below it, or a file's name is not valid UTF-8.
    """
    hidden: list[str] = []

    def unnoticed(problem: str) -> UserError:
        return UserError(
            f"{problem}: it is not looked into, since changes there go unnoticed; copy the images themselves, or "
            f"link {where} as a whole to a folder that holds them"
        )

    def walk(folder: Path, prefix: str) -> Iterator[str]:
        check_depth(where, prefix.count("/"))
        with os.scandir(folder) as entries:
            for entry in entries:
                if prefix and entry.name == ".dvc":
                    raise unnoticed(f"{folder}: must not be a DVC repository of its own, found {entry.name} in it")
                if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    hidden.append(prefix + entry.name)
                if is_clutter(entry.name) or (not prefix and entry.name == SOURCE_FILE):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from walk(Path(entry.path), f"{prefix}{entry.name}/")
                elif not (entry.is_symlink() and Path(entry.path).is_dir()):
                    yield utf8(prefix + entry.name, where)
                elif refused(prefix + entry.name):
                    target = Path(entry.path).readlink()
                    raise unnoticed(f"{entry.path}: must not be a link to a folder, found one to {target}")

    paths = tuple(sorted(walk(where, "")))
    return RawFiles(where, paths, tuple(sorted(hidden)), lambda path: read_file(where / path, limits))


def open_zip(where: Path, resources: Resources) -> RawFiles:
    """List the files of a zip archive, each with a checksum, which is compared when it is read."""
    limits = resources.limits
    with reading(where):
        archive = resources.enter_context(zipfile.ZipFile(where))
        members = archive.infolist()
        _check_end(where, len(members))
    limits.check_count(where, len(members))
    files = [(inside_archive(member.filename, where), member) for member in members if not member.is_dir()]
    kept = by_path(where, files)
    for path, member in kept.items():
        limits.check_size(where, path, member.file_size)
        limits.check_ratio(f"{where}: member {path!r}", member.file_size, member.compress_size)
        if member.compress_type not in PACKED:
            raise UserError(
                f"{where}: member {path!r} must be stored or deflated, found compression {member.compress_type}; pack "
                "the archive again"
            )

    def read(path: str) -> bytes:
        member = kept[path]
        with reading(where), archive.open(member) as file:
            content = file.read(max(member.file_size, 1))  # without a number it would unpack all that there is at once
            if len(content) < member.file_size:
                raise EOFError(f"{path!r} ends early")
            return content

    return RawFiles(where, tuple(kept), hidden_folders(path for path, _ in files), read)


def _check_end(where: Path, members: int) -> None:
    """Compare the number of members with that in the archive's end: a wrong length in a list takes what follows it.

    Raises:
        zipfile.BadZipFile: they differ; zipfile does not compare them.
    """
    with where.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_END_BYTES))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    (promised,) = struct.unpack_from("<H", tail, end + 10)
    wide = tail.rfind(b"PK\6\6", 0, end)
    if promised == 0xFFFF and wide >= 0:
        (promised,) = struct.unpack_from("<Q", tail, wide + 32)
    if promised % 2**16 != members % 2**16:  # old programs count so
        raise zipfile.BadZipFile(f"it lists {members} files and folders, and ends with {promised}")


HttpsUrl = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9][A-Za-z0-9./:_~?=%+-]*$", max_length=1000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

MAX_BYTES = 2**20


class SourceFile(Params):
    """Base of the models of `source.json`."""

    about: str
    license: str


F = TypeVar("F", bound=SourceFile)


def read_source_file(raw: Path, model: type[F]) -> F:
    """Read and validate `source.json`.

    Raises:
        UserError: it is missing, no regular file, or not as it was committed.
    """
    path = raw / SOURCE_FILE
    restore_it = with_command("restore it", "git checkout --", path)
    try:
        if kind := irregular(path.lstat().st_mode):  # a link may lead to a file whose content no message should show
            raise UserError(f"{path}: must be a regular file, found {kind}; {restore_it}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{path}: must have at most {MAX_BYTES} bytes, found more; {restore_it}")
        return model.model_validate_json(content)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; it comes with the project; {restore_it}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" or not field else f", found {short_repr(first['input'])}"
        problem = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {field or 'content'}: {problem}{found}; {restore_it}") from None


def has_only_source_file(raw: Path) -> bool:
    """Return whether a raw folder holds `source.json` and, hidden files apart, nothing else."""
    return raw.is_dir() and {p.name for p in raw.iterdir() if not p.name.startswith(".")} == {SOURCE_FILE}
