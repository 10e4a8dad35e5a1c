"""Folders of workers: workspaces that go with them, and images that a machine keeps.

Nothing of the project is imported here: a fleet sends this module to machines that have no checkout.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "whichlayer-fleet-"
"""Of the names of workspaces, in the temporary folder of a machine."""

HELD = ".held"
"""The file in a workspace that its worker keeps locked."""

INPUTS_SECONDS = 86400.0
"""How long prepared images stay on a machine after a worker has used them, where no cache is shared."""


@contextlib.contextmanager
def own_workspace() -> Iterator[Path]:
    """Make a folder that is removed at the end; what killed workers left on this machine is removed first."""
    remove_left_workspaces()
    made = Path(tempfile.mkdtemp(prefix="whichlayer-"))
    workspace = made.with_name(made.name.replace("whichlayer-", PREFIX, 1))
    try:
        with (made / HELD).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            made.rename(workspace)  # others see it when it is locked
            yield workspace
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def remove_left_workspaces(patience: float = 0) -> None:
    """Remove the workspaces on this machine whose workers were killed.

    Args:
        patience: seconds to wait in all for workers that are about to end.
    """
    until = time.monotonic() + patience
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        while is_own(folder) and not removed(folder) and time.monotonic() < until:
            time.sleep(0.1)


def is_own(folder: Path) -> bool:
    """Return whether it is a folder, and no link, of this user, in which nobody else can have made links."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022


def open_held(path: str, flags: int) -> int:
    """Open what a worker keeps locked; a link or FIFO in its place is an error, and neither followed nor waited for."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is no regular file")
    return file


def removed(folder: Path) -> bool:
    """Remove a workspace of this user, unless a worker is at work there.

    Returns:
        Whether it is gone; a stage that outlives its killed worker for a moment may write what was removed again,
        but for the file that is held.
    """
    with contextlib.suppress(OSError), open(folder / HELD, "a", opener=open_held) as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@contextlib.contextmanager
def inputs_of_machine(entry: object) -> Iterator[str]:
    """Give one worker at a time the cache for images that it pulls, so that no other on this machine pulls them again.

    It is a folder of this user that goes when nobody has used it for a day.

    Args:
        entry: what dvc.lock says of the stage that prepared them.

    Yields:
        Its path; empty where other users may have made what is there.
    """
    content = json.dumps(entry, sort_keys=True).encode()
    prefix = Path(tempfile.gettempdir(), f"whichlayer-inputs-{os.getuid()}-")
    folder = Path(f"{prefix}{hashlib.md5(content, usedforsecurity=False).hexdigest()}")
    for other in prefix.parent.glob(f"{prefix.name}*"):
        if is_own(other) and time.time() - other.stat().st_mtime > INPUTS_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not is_own(folder):
        yield ""
        return
    with open(folder / HELD, "a", opener=open_held) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.utime(folder)
        yield str(folder)
