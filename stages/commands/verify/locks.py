"""Locks that a killed DVC left. DVC cannot read a damaged one, and takes an old one for a process that still runs.

With `core.hardlink_lock` a lock is a hard link to its holder's claim file, and says nothing but that file's name, a
hash of host and process. DVC never takes it for stale. Whether its holder runs is seen of this machine from its
processes; of other machines that share the folder only the user knows it.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from dvc.lock import HardlinkLock, LockError
from dvc.repo import Repo, lock_repo

from stages.shared.runtime.errors import UserError

RWLOCK = "rwlock"
"""DVC's list of the files that its processes read and write, of its temporary folder."""

LOCK, GUARD = "lock", "rwlock.lock"
"""Its further locks: of the project, and of that list. They outlast DVC only with `core.hardlink_lock`."""

PROGRAMS = ("dvc", "whichlayer")
"""What may hold a lock."""


@dataclass(frozen=True)
class StaleLock:
    """A lock that nothing holds.

    Attributes:
        path: the file.
        found: what was found.
        claim: the content of a hard link, which another machine may have made; None of other locks.
    """

    path: Path
    found: str
    claim: str | None = None

    def remove(self) -> None:
        """Delete it, but no hard link that was made since; and its holder's claim file."""
        if self.claim is not None:
            if _claim(self.path) != self.claim:
                return
            beside = self.path.parent / Path(self.claim).name
            if beside.suffix == ".lock" and beside.exists() and beside.samefile(self.path):
                beside.unlink()
        self.path.unlink(missing_ok=True)


@contextmanager
def locked(repo: Repo) -> Iterator[list[StaleLock]]:
    """Keep DVC from changing a project, and find the locks that nothing holds; one of these may be what keeps it.

    Raises:
        UserError: a DVC process runs.
    """
    root, tmp, linked = Path(repo.root_dir), Path(repo.tmp_dir), isinstance(repo.lock, HardlinkLock)
    left = list(_hardlink(tmp / LOCK, root)) if linked else []
    with ExitStack() as stack:
        if not left:
            try:
                stack.enter_context(lock_repo(repo))
            except LockError:
                raise _running(root, "that DVC does") from None
        guards = list(_hardlink(tmp / GUARD, root)) if linked else []
        yield [*left, *_rwlock(tmp / RWLOCK), *guards]


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


def _hardlink(path: Path, root: Path) -> Iterator[StaleLock]:
    claim = _claim(path)
    if claim is not None:
        for process in _at_work(root):
            raise _running(path, _described(process))
        yield StaleLock(path, "left by a DVC that no longer runs on this machine", claim)


def _claim(path: Path) -> str | None:
    """Read the content of a hard link; None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None


def _at_work(root: Path) -> Iterator[psutil.Process]:
    """Yield the other processes of DVC and of this program in a folder, and those of which the folder is not known."""
    own = {psutil.Process().pid, *(process.pid for process in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid not in own and any(Path(word).name in PROGRAMS for word in _words(process)):
            try:
                if Path(process.cwd()).is_relative_to(root):
                    yield process
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                yield process


def _words(process: psutil.Process) -> list[str]:
    """Read the command of a process; nothing where it has ended."""
    try:
        words: list[str] = process.cmdline()
        return words
    except psutil.Error:
        return []


def _refuse_running(pid: int, path: Path) -> None:
    if not psutil.pid_exists(pid):
        return
    process = psutil.Process(pid)
    if any("dvc" in word for word in _words(process)):
        raise _running(path, _described(process))


def _described(process: psutil.Process) -> str:
    return f"that process {process.pid} does ({' '.join(_words(process))[:80]})"


def _running(path: Path, found: str) -> UserError:
    return UserError(
        f"{path}: nothing may run in the project while it is verified, found {found}; wait until it has ended"
    )
