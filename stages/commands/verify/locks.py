"""Locks that a killed DVC left. DVC cannot read a damaged one, and takes an old one for a process that still runs."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from stages.shared.console import UserError

RWLOCK = "rwlock"
"""DVC's list of the files that its processes read and write, of its temporary folder."""

LOCKS = ("lock", "rwlock.lock")
"""Its further locks, which outlast it only with `core.hardlink_lock`: they hold a name of host and process."""


@dataclass(frozen=True)
class StaleLock:
    """A lock that nothing holds: its path, and what was found."""

    path: Path
    found: str


def stale_locks(tmp: Path) -> list[StaleLock]:
    """Find the locks that nothing holds.

    Args:
        tmp: DVC's temporary folder.

    Raises:
        UserError: a DVC process holds one and runs.
    """
    return [*_rwlock(tmp / RWLOCK), *(lock for name in LOCKS for lock in _hardlink(tmp / name))]


def _rwlock(path: Path) -> Iterator[StaleLock]:
    try:
        text = path.read_text(encoding="utf-8")
        holders = sorted({int(holder["pid"]) for holder in _holders(json.loads(text))})
    except FileNotFoundError:
        return
    except (ValueError, TypeError, AttributeError, KeyError):
        yield StaleLock(path, "an empty file" if not path.stat().st_size else "no list of locks")
        return
    for pid in holders:
        _refuse_running(pid, path)
    if holders:
        yield StaleLock(path, f"entries of processes that have ended ({', '.join(map(str, holders))})")


def _holders(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from content.get("write", {}).values()
    for readers in content.get("read", {}).values():
        yield from readers


def _hardlink(path: Path) -> Iterator[StaleLock]:
    try:
        parts = path.read_text(encoding="utf-8").strip().rpartition("/")[2].split("|")
    except (OSError, ValueError):
        return
    if len(parts) != 4 or parts[1] != socket.gethostname():
        return
    _refuse_running(int(parts[2]), path)
    yield StaleLock(path, f"that of process {parts[2]}, which has ended")


def _refuse_running(pid: int, path: Path) -> None:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return
    if any("dvc" in word for word in words):
        raise UserError(
            f"{path}: nothing may run in the project while it is verified, found that process {pid} does "
            f"({' '.join(words)[:80]}); wait until it has ended"
        )
