"""DVC's locks: one that a killed DVC left damaged it cannot read, and an old one it takes for a process that runs."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from stages.shared.runtime.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo

PROGRAMS = ("dvc", "whichlayer")
"""What may hold a lock."""


@contextmanager
def locked(repo: "Repo") -> Iterator[dict[Path, str]]:
    """Keep DVC from changing a project, and yield the locks that nothing holds: {path: what is wrong}.

    DVC has a lock of the project, which ends with its process, and a list of the files that its processes read and
    write, which does not.

    Raises:
        UserError: a DVC process runs.
    """
    from dvc.lock import LockError
    from dvc.repo import lock_repo

    with ExitStack() as stack:
        try:
            stack.enter_context(lock_repo(repo))
        except LockError:
            remedy = ", or remove that file if none runs and `core.hardlink_lock` is set, with which it outlasts DVC"
            raise still_running(Path(repo.tmp_dir) / "lock", "that DVC does", remedy) from None
        yield stale_list(Path(repo.tmp_dir) / "rwlock")


def stale_list(path: Path) -> dict[Path, str]:
    """Return the list of files in use if it is damaged, or names processes that have ended.

    Raises:
        UserError: it names a DVC that runs.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        readers = [holder for holders in content.get("read", {}).values() for holder in holders]
        pids = sorted({int(holder["pid"]) for holder in [*content.get("write", {}).values(), *readers]})
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError, KeyError):
        return {path: "no list of locks" if path.stat().st_size else "an empty file"}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            words, began = process.cmdline(), process.create_time()
        except psutil.Error:
            continue
        if is_dvc(words) and began <= path.stat().st_mtime:  # else another process has the number of one that ended
            raise still_running(path, f"that process {pid} does ({' '.join(words)[:80]})")
    return {path: f"entries of processes that have ended ({', '.join(map(str, pids))})"} if pids else {}


def is_dvc(words: Sequence[str]) -> bool:
    """Return whether a command line is that of DVC or of whichlayer, by itself or by Python."""
    program, *more = [Path(word).name for word in words] or [""]
    return program in PROGRAMS or (program.startswith("python") and any(word in PROGRAMS for word in more))


def still_running(path: Path, what: str, remedy: str = "") -> UserError:
    """Return the error that something runs in the project."""
    return UserError(
        f"{path}: nothing may run in the project while it is verified, found {what}; wait until it has ended{remedy}"
    )
