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
from typing import TYPE_CHECKING

import psutil

from stages.shared.runtime.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo

PROGRAMS = ("dvc", "whichlayer")
"""What may hold a lock."""


@dataclass(frozen=True)
class StaleLock:
    """A lock that nothing holds.

    Attributes:
        path: the file.
        problem: what it is.
        claim: the content of a hard link, which another machine may have made; None of other locks.
    """

    path: Path
    problem: str
    claim: str | None = None

    def remove(self) -> None:
        """Delete it, but no hard link that was made since; and its holder's claim file."""
        if self.claim is not None:
            if read_claim(self.path) != self.claim:
                return
            beside = self.path.parent / Path(self.claim).name
            if beside.suffix == ".lock" and beside.exists() and beside.samefile(self.path):
                beside.unlink()
        self.path.unlink(missing_ok=True)


@contextmanager
def locked(repo: "Repo") -> Iterator[list[StaleLock]]:
    """Keep DVC from changing a project, and yield the locks that nothing holds; one of these may be what keeps it.

    DVC has a lock of the project, a list of the files that its processes read and write, and a guard of that list. The
    first and the last outlast DVC only with `core.hardlink_lock`.

    Raises:
        UserError: a DVC process runs.
    """
    from dvc.lock import HardlinkLock, LockError
    from dvc.repo import lock_repo

    root, tmp, linked = Path(repo.root_dir), Path(repo.tmp_dir), isinstance(repo.lock, HardlinkLock)
    stale = stale_links(tmp / "lock", root) if linked else []
    with ExitStack() as stack:
        if not stale:
            try:
                stack.enter_context(lock_repo(repo))
            except LockError:
                raise still_running(root, "that DVC does") from None
        yield [*stale, *stale_list(tmp / "rwlock"), *(stale_links(tmp / "rwlock.lock", root) if linked else [])]


def stale_list(path: Path) -> list[StaleLock]:
    """Return the list of files in use if it is damaged, or names processes that have ended.

    Raises:
        UserError: it names a DVC that runs.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        readers = [holder for holders in content.get("read", {}).values() for holder in holders]
        pids = sorted({int(holder["pid"]) for holder in [*content.get("write", {}).values(), *readers]})
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, AttributeError, KeyError):
        return [StaleLock(path, "no list of locks" if path.stat().st_size else "an empty file")]
    for process in psutil.process_iter():
        if process.pid in pids and may_hold(process):
            raise still_running(path, described(process))
    ended = f"entries of processes that have ended ({', '.join(map(str, pids))})"
    return [StaleLock(path, ended)] if pids else []


def stale_links(path: Path, root: Path) -> list[StaleLock]:
    """Return a hard link, where there is one.

    Raises:
        UserError: another process of DVC or of this program runs in the project, or in a folder that is not known.
    """
    claim = read_claim(path)
    if claim is None:
        return []
    own = {psutil.Process().pid, *(process.pid for process in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid not in own and may_hold(process):
            try:
                inside = Path(process.cwd()).is_relative_to(root)
            except psutil.Error as error:
                inside = isinstance(error, psutil.AccessDenied)
            if inside:
                raise still_running(path, described(process))
    return [StaleLock(path, "left by a DVC that no longer runs on this machine", claim)]


def read_claim(path: Path) -> str | None:
    """Read the content of a hard link; None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None


def may_hold(process: psutil.Process) -> bool:
    """Return whether a process is one of `PROGRAMS`."""
    return any(Path(word).name in PROGRAMS for word in command_of(process))


def command_of(process: psutil.Process) -> list[str]:
    """Return the command of a process; nothing where it has ended."""
    try:
        words: list[str] = process.cmdline()
        return words
    except psutil.Error:
        return []


def described(process: psutil.Process) -> str:
    """Return a phrase that names a process."""
    return f"that process {process.pid} does ({' '.join(command_of(process))[:80]})"


def still_running(path: Path, what: str) -> UserError:
    """Return the error that something runs in the project."""
    return UserError(
        f"{path}: nothing may run in the project while it is verified, found {what}; wait until it has ended"
    )
