"""Digests of the files of an artifact: what was written, of what it is, and whether it is still the same.

A file of JSON beside an artifact, by default `digests.json`, written last:

    {"format": "whichlayer.measures/1", "of": {"dataset": "mine", ...}, "files": {"layers.csv": [SIZE, HASH], ...},
     "hash": HASH}

`of` names what the artifact belongs to, the last hash is of what stands before it. Paths are relative to the folder of
the digests and sorted; there is no time in it, so that the same files have the same digests. A reader checks the files
that it reads, each once.

Hashes are SHA-256.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from errno import ENOENT
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ..runtime.errors import UserError, explain_system_error

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
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_files(folder: Path, files: Iterable[Path], *, format: str, of: ArtifactId) -> Record:
    """Compute the digests of files, and of all files in folders, below one folder."""
    paths = sorted((file.relative_to(folder).as_posix(), file) for path in files for file in files_below(path))
    digests = {name: (file.stat().st_size, file_sha256(file)) for name, file in paths}
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
                    hash_on_disk = file_sha256(self.folder / path)
                except OSError as error:
                    if explain_system_error(error):
                        raise
                    raise self._error(path, f"that it cannot be read ({error.strerror})") from None
                if hash_on_disk != self.record.files[path][1]:
                    raise self._error(path, "different content")
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
        problem = "" if record.hash == record.hash_others() else "another hash, or one of an earlier version"
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
    return f"remove it with `whichlayer verify --remove` and run `dvc repro`, or {rerun_hint(stage, of)}"


def rerun_hint(stage: str, of: ArtifactId | None = None) -> str:
    """Return the remedy for an artifact of another version or cell; names that are not known are in capitals.

    Its target is that of one cell, as DVC names it: `measure@mine-net-0-0`.
    """
    item = {"prepare": ("dataset",), "aggregate": ()}.get(stage, CELL)
    cell = "-".join(str((of or {}).get(name, name.upper())) for name in item)
    return f"rerun the {stage} stage (`dvc repro --single-item --force {stage}{'@' if cell else ''}{cell}`)"
