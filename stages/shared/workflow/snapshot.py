"""What a stage reads, to compare before and after it: code by hash, files by size and time, parameters by value."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .digests import file_sha256

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


def _of_stage(files: Iterable[str], stage: str) -> Iterator[str]:
    imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    for file in files:
        if decides(file, stage) and (str(CODE / file) in imported or Path(file).parts[0] == stage):
            yield file


def decides(file: str, stage: str) -> bool:
    """Return whether a file can change what a stage makes: its own, shared ones but `shared/runtime`, and used core."""
    folder, *inner = Path(file).parts
    uses_core = f"{CODE.name}.core" in sys.modules
    return folder == stage or (folder == "shared" and inner[0] != "runtime") or (folder == "core" and uses_core)


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
