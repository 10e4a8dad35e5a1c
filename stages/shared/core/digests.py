"""Digests of the files of an artifact: what was written, of what it is, and whether it is still the same.

A file of JSON beside an artifact, by default `digests.json`, written last:

    {"format": "whichlayer.measures/1", "of": {"dataset": "mine", ...}, "files": {"layers.csv": [SIZE, HASH], ...},
     "hash": HASH}

`of` names what the artifact belongs to, the last hash is of what stands before it. Paths are relative to the folder of
the digests and sorted; there is no time in it, so that the same files have the same digests. A reader checks the files
that it reads, each once.

The hash is XXH3 with 128 bits: it finds damage and mix-ups, not forgery. On one core of a small server, reading from
memory, it takes 0.1 to 0.2 s for 1 GB, where SHA-256 takes 0.7 s and BLAKE2b 1.3 s. In a cell of the default study,
whose stages take half a minute each, all checkpoints take 5 ms and all embeddings 7 ms.

And what a stage reads, before and after it: code by hash from the first import on, files by size and time, parameters
by value.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from errno import ENOENT
from pathlib import Path
from typing import Any, Self

import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from stages.shared.runtime.errors import UserError, explain_system_error

DIGESTS = "digests.json"
CELL = ("dataset", "model", "fold", "seed")

ArtifactId = Mapping[str, str | int]
"""What an artifact belongs to: dataset, model, fold, seed."""


def cell_id(cell: tuple[str, str, str, int]) -> dict[str, str | int]:
    """Return the id of what belongs to one cell."""
    return dict(zip(CELL, cell, strict=True))


class Record(BaseModel):
    """The content of a file of digests.

    Attributes:
        format: name and version of the artifact's layout.
        of: what it belongs to.
        files: size in bytes and hash of every file, by path.
        hash: of the other three.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: str
    of: dict[str, str | int]
    files: dict[str, tuple[int, str]]
    hash: str = ""

    def hash_others(self) -> str:
        """Hash what the record says."""
        return json_hash([self.format, self.of, self.files])


class ZarrGroup(BaseModel):
    """The metadata of a Zarr group that has a record for its attributes."""

    attributes: Record


def json_hash(value: object) -> str:
    """Hash JSON values; equal for equal values."""
    return xxhash.xxh3_128_hexdigest(json.dumps(value, sort_keys=True).encode())


def hash_file(path: Path, algorithm: Callable[[], Any] = xxhash.xxh3_128) -> str:
    """Hash a file, a block at a time: hexadecimal digits."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hash_file(path, hashlib.sha256)


def record_files(folder: Path, files: Iterable[Path], *, format: str, of: ArtifactId) -> Record:
    """Compute the digests of files, and of all files in folders, below one folder."""
    paths = sorted((file.relative_to(folder).as_posix(), file) for path in files for file in files_below(path))
    digests = {name: (file.stat().st_size, hash_file(file)) for name, file in paths}
    record = Record(format=format, of=dict(of), files=digests)
    return record.model_copy(update={"hash": record.hash_others()})


def write_digests(path: Path, files: Iterable[Path], *, format: str, of: ArtifactId) -> None:
    """Write the digests of files, and of all files in folders, that lie in the same folder; the same bytes for both.

    Args:
        path: the file to write.
        files: what it covers.
        format: name and version of the artifact's layout.
        of: what the artifact belongs to.
    """
    record = record_files(path.parent, files, format=format, of=of)
    path.write_text(json.dumps(record.model_dump(), indent=1) + "\n", encoding="utf-8")


def files_below(path: Path) -> Iterator[Path]:
    """Yield a file, or the files of a folder and its folders; nothing if there is neither."""
    if path.is_dir():
        yield from (file for file in path.rglob("*") if not file.is_dir())
    elif path.exists() or path.is_symlink():
        yield path


@dataclass(frozen=True)
class Digests:
    """The digests of one artifact, to compare its files with.

    Attributes:
        folder: what the paths are relative to.
        record: what was written.
        stage: the stage that wrote it, for messages.
    """

    folder: Path
    record: Record
    stage: str
    _checked: set[str] = field(default_factory=set)

    def check_sizes(self, *names: str) -> Self:
        """Check that files, and all files of folders, are there with their sizes, and no others; none is read.

        Raises:
            UserError: naming the first file that is missing, of another size, or was not written by the stage.
        """
        for name in names:
            listed = set(self._listed(name))
            present = {path.relative_to(self.folder).as_posix() for path in files_below(self.folder / name)}
            for path in sorted(listed ^ present):
                raise self._error(path, "no file" if path in listed else "one that it did not write")
            for path in sorted(listed):
                size, file = self.record.files[path][0], self.folder / path
                if not file.exists():  # as DVC's links are when its cache has lost a file
                    raise self._error(path, "a link to no file")
                if (on_disk := file.stat().st_size) != size:
                    of_all = f" of {size:,}" if on_disk < size else ""
                    raise self._error(path, f"{on_disk:,}{of_all} bytes")
        return self

    def check(self, *names: str) -> Self:
        """Check also that what is in the files is what was written.

        Raises:
            UserError: naming the first file that differs or cannot be read.
        """
        for name in names:
            if name in self._checked:
                continue
            self.check_sizes(name)
            for path in self._listed(name):
                try:
                    hash_on_disk = hash_file(self.folder / path)
                except OSError as error:
                    if explain_system_error(error):
                        raise
                    raise self._error(path, f"that it cannot be read ({error.strerror})") from None
                if hash_on_disk != self.record.files[path][1]:
                    raise self._error(path, "other content")
            self._checked.add(name)
        return self

    def _listed(self, name: str) -> list[str]:
        """The files that a name stands for: itself, or all in the folder."""
        files = self.record.files
        return [name] if name in files else [path for path in files if path.startswith(f"{name}/")]

    def _error(self, path: str, found: str) -> UserError:
        return UserError(
            f"{self.folder / path}: must be as the {self.stage} stage wrote it, found {found}; "
            f"{repair_hint(self.stage, self.record.of)}"
        )


def read_digests(path: Path, *, format: str, of: ArtifactId, stage: str, zarr: bool = False) -> Digests:
    """Read the digests of an artifact, and check that it is of this version and belongs to what is asked for.

    Args:
        path: the file.
        format: name and version that the layout must have.
        of: what the artifact must belong to; further names that it has are not compared.
        stage: the stage that writes it.
        zarr: whether the file is the metadata of a Zarr group that has the record for its attributes, and lies in the
            store that it is about.

    Raises:
        UserError: the file is missing or damaged, or says otherwise.
    """
    folder = path.parents[1] if zarr else path.parent
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(ENOENT, "what is there is no file")
        content = path.read_bytes()
    except OSError as error:
        if explain_system_error(error):
            raise
        raise UserError(
            f"{path}: must say what is in {folder}, found no such file ({error.strerror}): it was lost, the {stage} "
            f"stage did not finish, or an earlier version of whichlayer wrote the folder; {repair_hint(stage, of)}"
        ) from None
    try:
        record = ZarrGroup.model_validate_json(content).attributes if zarr else Record.model_validate_json(content)
        problem = "" if record.hash == record.hash_others() else "another hash"
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
    if problem:
        raise UserError(f"{path}: must be digests of files, found it damaged ({problem}); {repair_hint(stage, of)}")
    if record.format != format:
        raise UserError(
            f"{path}: must be of format {format}, found {record.format} of another version; run `dvc repro`"
        )
    recorded_id = {name: record.of.get(name) for name in of}
    if recorded_id != of:
        raise UserError(
            f"{path}: must be of {describe_id(of)}, found {describe_id(recorded_id)}; {rerun_hint(stage, of)}"
        )
    return Digests(folder, record, stage)


def describe_id(of: Mapping[str, str | int | None]) -> str:
    """Return in words what an artifact belongs to: `dataset mine, fold 0`."""
    return ", ".join(f"{name} {value}" for name, value in of.items())


def repair_hint(stage: str, of: ArtifactId | None = None) -> str:
    """Return the remedy for an artifact that is damaged."""
    return f"repair it with `whichlayer verify --repair`, or {rerun_hint(stage, of)}"


def rerun_hint(stage: str, of: ArtifactId | None = None) -> str:
    """Return the remedy for an artifact of another version or cell; names that are not known are in capitals.

    Its target is that of one cell, as DVC names it: `measure@mine-net-0-0`.
    """
    item = {"prepare": ("dataset",), "aggregate": ()}.get(stage, CELL)
    cell = "-".join(str((of or {}).get(name, name.upper())) for name in item)
    return f"run the {stage} stage again (`dvc repro --single-item --force {stage}{'@' if cell else ''}{cell}`)"


CODE = Path(__file__).parents[2]
ABSENT = "nothing"

State = Mapping[str, object]
"""Hashes or sizes and times of files by path, or values of parameters by dotted name."""


def code_state() -> dict[str, str]:
    """Hash the code of all stages, in milliseconds: {path below `stages`: SHA-256}."""
    return {str(path.relative_to(CODE)): file_sha256(path) for path in sorted(CODE.rglob("*.py"))}


CODE_AT_START = code_state()


def code_changes(stage: str) -> Iterator[str]:
    """Yield the files that have changed of a stage's own folder and of the shared code that was imported."""
    changed = differences(CODE_AT_START, code_state())
    yield from (str(Path(CODE.name) / file) for file in _of_stage(changed, stage))


def code_folders(stage: str) -> list[str]:
    """Return the folders that have the code of a stage: its own, and those of shared code that was imported."""
    folders = [Path(file).parent.parts for file in _of_stage(CODE_AT_START, stage)]
    named = {parts[: 2 if parts[0] == "shared" else 1] for parts in folders if parts != ("shared",)}
    return sorted("/".join((CODE.name, *parts)) for parts in named)


def _of_stage(files: Iterable[str], stage: str) -> Iterator[str]:
    imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    for file in files:
        if decides(file, stage) and (str(CODE / file) in imported or Path(file).parts[0] == stage):
            yield file


def decides(file: str, stage: str) -> bool:
    """Return whether a file of code can change what a stage makes: its own and shared ones, but `shared/runtime`."""
    folder, *inner = Path(file).parts
    return folder == stage or (folder == "shared" and inner[0] != "runtime")


def file_states(path: Path) -> dict[str, object]:
    """Return size and time of change of a file, or of every file below a folder but hidden ones; none are opened."""
    if not path.is_dir():
        return {str(path): _size_and_time(path)} if path.exists() else {}
    states: dict[str, object] = {}
    folders = [str(path)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    states[entry.path] = _size_and_time(entry)
    return states


def _size_and_time(file: Path | os.DirEntry[str]) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:  # a link to nothing
        return None
    return status.st_size, status.st_mtime_ns


def differences(before: State, after: State) -> list[str]:
    """Return the names, sorted, whose values differ or that are only in one state."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name, ABSENT) != after.get(name, ABSENT))


def value_at(tree: Any, key: str) -> Any:
    """Look up a dotted key in nested mappings; None if it is not there."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def flat(value: Any, name: str = "") -> dict[str, object]:
    """Flatten nested mappings: {dotted name: value}, each name below the one that is given."""
    if not isinstance(value, dict):
        return {name: value}
    start = f"{name}." if name else ""
    return {leaf: found for key, below in value.items() for leaf, found in flat(below, f"{start}{key}").items()}
