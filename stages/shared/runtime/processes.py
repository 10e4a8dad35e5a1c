"""The processes around a stage: the DVC that started it, without which it ends, and its children."""

import contextlib
import os
import threading
import time
from itertools import pairwise

import psutil

STARTED_BY_DVC = "DVC_STAGE"
"""The environment variable that DVC sets for the commands of its stages."""

SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh")
POLL_SECONDS = 0.2
CLOCK_SECONDS = 2
"""How far two readings of one process's start may lie apart."""


class DvcWatch:
    """Ends this process when the DVC that started it is gone: DVC could not record the result.

    A stage that a person started is left alone; it may go on when a shell ends.
    """

    def __init__(self) -> None:
        """Check now, and five times a second, in a thread, from now on."""
        self._line = ancestor_pids() if STARTED_BY_DVC in os.environ else None
        self.check()
        if self._line is not None:
            threading.Thread(target=self._poll, daemon=True).start()

    def check(self) -> None:
        """End this process and those that it started, at once and without cleaning up, if DVC is gone."""
        if self._line is None or not orphaned(self._line):
            return
        kill_children()
        with contextlib.suppress(OSError):
            os.write(2, b"error: the DVC that started this stage has ended, so the stage ends too; run `dvc repro`\n")
        os._exit(1)

    def _poll(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            self.check()


def ancestor_pids() -> list[int]:
    """List the process ids from this process up to its closest ancestor that is no shell.

    DVC runs a command through a shell, which stays in between or not.
    """
    line = [os.getpid()]
    with contextlib.suppress(psutil.Error):
        for ancestor in psutil.Process().parents():
            line.append(ancestor.pid)
            if ancestor.name() not in SHELLS:
                return line
    return line[:1]


def orphaned(line: list[int]) -> bool:
    """Return whether a process has lost the DVC that started it.

    Args:
        line: from `ancestor_pids`. If DVC was gone before, it ends at a process of another session than the one before
            it, or has no end; not noticed only where one process of the same session adopts orphans, as the first one
            of a container may.
    """
    try:
        kept = all(psutil.Process(child).ppid() == parent for child, parent in pairwise(line))
        return len(line) < 2 or not kept or os.getsid(line[-1]) != os.getsid(line[-2])
    except (psutil.Error, OSError):
        return True


def kill_children() -> None:
    """Kill all processes below this one, but those that clean up after it and end by themselves."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "resource_tracker" not in " ".join(child.cmdline()):
                child.kill()


def is_running(pid: int) -> bool:
    """Return whether a process is running; one that has ended and was not waited for is not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def process_mark(pid: int | None = None) -> str:
    """Return the id and the second of the start of a process, by default this one: ids are reused."""
    process = psutil.Process(pid)
    return f"{process.pid}-{process.create_time():.0f}"


def is_alive(mark: str) -> bool:
    """Return whether the process of which `process_mark` returned this is running."""
    try:
        pid, began = map(int, mark.split("-"))
        return is_running(pid) and abs(psutil.Process(pid).create_time() - began) <= CLOCK_SECONDS
    except (ValueError, psutil.NoSuchProcess):
        return False
