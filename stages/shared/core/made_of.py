"""What a stage read, as it says itself, compared with what DVC recorded.

DVC hashes code, parameters and inputs when a stage has ended. What was edited after the stage's last look, and before
DVC's, stands in dvc.lock as what the result was made of. So a stage writes down what it read, as an output of its own,
on which no stage depends. The stages after it, and commands, compare that with dvc.lock:

    {"stage": "prepare@mine", "parameters": {"prepare": {...}, "datasets.mine": {...}},
     "raw": {"data/raw/mine": MD5}, "code": {"stages/prepare": HASH, ...}}

`raw` is what no stage made, hashed as DVC does. What a stage made is compared with its digests as it is read, and DVC
itself finds that there is another one. Hashes of code leave out comments: who edits one changes no output.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec
from ruamel.yaml import YAML, YAMLError

from stages.shared.core.digests import CELL, differences, flat, hash_file, rerun_hint
from stages.shared.core.params import read_run
from stages.shared.runtime.errors import UserError, listed, short_repr

MD5 = partial(hashlib.md5, usedforsecurity=False)

LOCK = Path("dvc.lock")
RECORDS = "made_of"
"""The name of the folder that has the records."""

CELL_STAGES = ("finetune", "embed", "measure")
MAX_SHOWN = 3
"""Differences that one message names."""

IGNORED = (".git/", ".git", ".hg/", ".dvc/")
"""What DVC ignores beside what .dvcignore says."""

BLOCK = 4096
"""Files that are hashed side by side."""

CONFLICT = "\n<<<<<<< "
"""What git writes into a file that both sides of a merge changed."""

COMMENT = re.compile(rb"^[ \t]*#.*\n|[ \t]{2,}# .*$|^[ \t]*\n", re.MULTILINE)
ENTRY = re.compile(r"^  (\S+):\n((?:    .*\n?)+)", re.MULTILINE)
PART = re.compile(r"^    (cmd|deps|params|outs):", re.MULTILINE)
HASHED = re.compile(r"^    - path: (.+)\n(?:      (?!md5:).*\n)*      md5: '?(\w{32}(?:\.dir)?)'?$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """What dvc.lock says of a stage.

    Attributes:
        deps: hashes of what it read, by path.
        outs: hashes of what it made, by path.
        parameters: values of what it read of params.yaml, by dotted name.
    """

    deps: Mapping[str, str]
    outs: Mapping[str, str]
    parameters: Mapping[str, Any]


def read_entries(stages: Iterable[str] | None = None) -> dict[str, Entry]:
    """Read what dvc.lock says of stages, by name; of all where none are named. It may lack some, or be missing.

    A parser of YAML would take minutes for a large grid: it reads parameters alone, each text once.

    Raises:
        UserError: the file is damaged.
    """
    text = LOCK.read_text(encoding="utf-8") if LOCK.is_file() else ""
    wanted = None if stages is None else set(stages)
    try:
        if CONFLICT in text:  # before which an entry may look whole
            raise YAMLError
        return {name: _entry(lines) for name, lines in ENTRY.findall(text) if wanted is None or name in wanted}
    except (YAMLError, AttributeError):  # parameters of one stage may be written as those of another: `*id001`
        found = _parsed(text)
        return {name: entry_of(entry) for name, entry in found.items() if wanted is None or name in wanted}


def entry_of(recorded: Mapping[str, Any]) -> Entry:
    """Return what DVC says of a stage, from its own mapping."""
    deps, outs = ({each["path"]: each.get("md5", "") for each in recorded.get(part, [])} for part in ("deps", "outs"))
    return Entry(deps, outs, _joined(recorded.get("params", {})))


def _entry(lines: str) -> Entry:
    parts = PART.split(lines)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    deps, outs = (dict(HASHED.findall(found.get(part, ""))) for part in ("deps", "outs"))
    return Entry(deps, outs, _parameters(found.get("params", "")))


@cache
def _parameters(lines: str) -> Mapping[str, Any]:
    return _joined(YAML(typ="safe").load(lines) or {})


def _joined(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for values in files.values() for name, value in values.items()}


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return dict(YAML(typ="safe").load(text)["stages"])
    except (YAMLError, AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{LOCK}: must be as DVC wrote it, found it damaged; `git checkout HEAD {LOCK}`") from None


def write_record(
    file: Path, parameters: Mapping[str, object], raw: Iterable[Path], code: Iterable[str], *, stage: str
) -> None:
    """Write what a stage read.

    Args:
        file: the record.
        parameters: values by dotted name.
        raw: inputs that no stage made.
        code: folders of code.
        stage: as DVC names it.
    """
    content = {
        "stage": stage,
        "parameters": parameters,
        "raw": {str(path): dvc_hash(path) for path in raw},
        "code": {folder: code_hash(folder) for folder in code},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")


@cache
def code_hash(folder: str) -> str:
    """Hash the code in a folder without comments, as it was when this process first asked."""
    hasher = MD5()
    for path in sorted(Path(folder).rglob("*.py")):
        hasher.update(f"{path}\n".encode() + COMMENT.sub(b"", path.read_bytes()) + b"\n\n")
    return hasher.hexdigest()


def stage_of(record: Path) -> str:
    """Return the stage that a record is of, as DVC names it: `prepare@mine` for `prepare.mine.json`."""
    return record.stem.replace(".", "@", 1)


def stages_before(record: Path, params: Path) -> list[str]:
    """Return the stages that a stage's result was made of; those of every cell of the grid for aggregate."""
    stage, _, cell = stage_of(record).partition("@")
    if stage in CELL_STAGES:
        own = CELL_STAGES[: CELL_STAGES.index(stage)]
        return [f"prepare@{cell.partition('-')[0]}", *(f"{each}@{cell}" for each in own)]
    if stage == "prepare":
        return []
    run = read_run(params)
    cells = ["-".join(map(str, each)) for each in run.cells()]
    return [f"prepare@{each}" for each in run.datasets] + [f"{each}@{cell}" for cell in cells for each in CELL_STAGES]


def check_records(folder: Path, stages: Sequence[str]) -> None:
    """Compare the records of stages with dvc.lock.

    Args:
        folder: holds the records.
        stages: as DVC names them; one that has no record is not compared.

    Raises:
        UserError: a stage read something else than dvc.lock says.
    """
    entries = read_entries(stages)
    for stage in stages:
        if problem := contradiction(folder / f"{stage.replace('@', '.', 1)}.json", entries.get(stage)):
            raise UserError(f"{stage}: dvc.lock must say what it was made of, found {problem}; {again(stage)}")


def again(stage: str) -> str:
    """Return how to run a stage again."""
    name, _, cell = stage.partition("@")
    return rerun_hint(name, dict(zip(CELL, cell.split("-"), strict=False)))


def contradiction(record: Path, entry: Entry | None, content: bytes | None = None) -> str:
    """Return what a stage read otherwise than dvc.lock says that it did, for people; empty if nothing.

    Args:
        record: its path, relative to the folder of dvc.lock.
        entry: what dvc.lock says; None: nothing.
        content: of the record, if it is not to be read.
    """
    expected = entry.outs.get(record.as_posix()) if entry else None
    if content is None:
        content = record.read_bytes() if record.is_file() else b""
    if entry is None or expected != MD5(content).hexdigest():
        return ""  # there is no such result here, or it is another one than dvc.lock names: DVC runs the stage again
    found = list(_contradictions(json.loads(content), entry))
    return f"an edit between its end and DVC's record: {listed(found, MAX_SHOWN)}" if found else ""


def _contradictions(read: Mapping[str, Any], entry: Entry) -> Iterator[str]:
    before, after = flat(read["parameters"]), flat(json.loads(json.dumps(entry.parameters, default=str)))
    for name in differences(before, after):
        yield f"{name} was {short_repr(before.get(name))}, not {short_repr(after.get(name))}"
    for path, md5 in read["raw"].items():
        if entry.deps.get(path) != md5:
            yield f"{path} had other files"
    for folder, found in read["code"].items():
        if folder in entry.deps and code_hash(folder) != found and entry.deps[folder] == _dvc_code_hash(folder):
            yield f"{folder} had other code"


@cache
def _dvc_code_hash(folder: str) -> str:
    return dvc_hash(Path(folder)) if Path(folder).is_dir() else ""  # one that is gone: DVC runs its stages again


def dvc_hash(path: Path) -> str:
    """Return the MD5 of a file, or of the list of a folder's files with `.dir` after it.

    Args:
        path: relative to the working directory, in which .dvcignore says what a folder has beside its files.
    """
    if not path.is_dir():
        return hash_file(path, MD5)
    listing, separator = MD5(b"["), b""
    names = iter(sorted(_files(path)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while block := list(islice(names, BLOCK)):
            for name, md5 in zip(block, pool.map(lambda name: hash_file(path / name, MD5), block), strict=True):
                listing.update(separator + json.dumps({"md5": md5, "relpath": name}).encode())
                separator = b", "
    listing.update(b"]")
    return f"{listing.hexdigest()}.dir"


def _files(folder: Path) -> Iterator[str]:
    """Yield the files below a folder that DVC sees, with forward slashes."""
    ignore = Path(".dvcignore")
    own = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else ()
    ignored = GitIgnoreSpec.from_lines([*IGNORED, *own])
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = [name for name in folders if not ignored.match_file(f"{(here / name).as_posix()}/")]
        for name in names:
            if not ignored.match_file((here / name).as_posix()):
                yield (here / name).relative_to(folder).as_posix()
