"""Who computes which cells: locks that no two fleets on one cache hold at once, and what became of each cell."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from stages.commands.dvc_project.workspace import FAILED as OF_DVC
from stages.commands.fleet.worker import KILLED, OPEN, RUNNING, Outcome, write_state
from stages.shared.runtime.errors import UserError, printable

COMPUTED, CACHED, FAILED = "computed", "from the cache", "failed"

PATIENCE = 60.0
"""Seconds to wait for another process that looks for a moment which cells are taken."""


@contextmanager
def hold_cells(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Within, no other process may compute these cells; the one lock goes with this process, however it ends.

    Args:
        folder: below the cache that is shared; made if missing.
        names: of the cells.

    Raises:
        UserError: another process computes one of them.
    """
    listed = folder / f"{socket.gethostname()}-{os.getpid()}.cells"
    with ExitStack() as stack:
        with held_cells(folder) as taken:
            for name in (name for name in names if name in taken):
                raise UserError(
                    f"cell {name}: must be computed by one process at a time, found one at work on this cache "
                    f"({folder}); wait for it (`whichlayer fleet status`), or stop it"
                )
            file = stack.enter_context(listed.open("w", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX)
            print(*names, sep="\n", file=file, flush=True)
        try:
            yield
        finally:
            listed.unlink(missing_ok=True)


@contextmanager
def held_cells(folder: Path) -> Iterator[set[str]]:
    """Give the names of the cells that processes compute, or will; within, no other process looks which are taken."""
    folder.mkdir(parents=True, exist_ok=True)
    names: set[str] = set()
    with FileLock(folder / "cells.lock", timeout=PATIENCE):
        for listed in folder.glob("*.cells"):
            with suppress(FileNotFoundError):  # its process has ended just now
                if is_at_work(listed):
                    names |= set(listed.read_text(encoding="utf-8").splitlines())
                else:
                    listed.unlink()
        yield names


def is_at_work(path: Path) -> bool:
    """Return whether a process holds a file: a fleet the list of its cells, a worker the log of a cell."""
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def begin(folder: Path, names: Sequence[str]) -> None:
    """Forget what became of cells, for other commands, and their logs."""
    for name in names:
        write_state(folder, name, OPEN, "")
        (folder / f"{name}.log").unlink(missing_ok=True)


def add(folder: Path, outcome: Outcome, durations: Path) -> tuple[str, str]:
    """Keep a cell's log and durations, and what became of it.

    Args:
        folder: holds a file and a log for each cell.
        outcome: of the cell.
        durations: the log of durations of this workspace, to which the cell's are added.

    Returns:
        What became of the cell: its state, and one line.
    """
    log = folder / f"{outcome.name}.log"
    written = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if outcome.log not in written:  # no worker that sees this folder wrote it
        log.write_text(f"{written}{outcome.log}\n", encoding="utf-8")
    with durations.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in outcome.computed)
    stages = ", ".join(str(row["stage"]) for row in outcome.computed)
    if outcome.failed:
        where = outcome.host or "a machine that was lost"
        state, what = FAILED, f"{outcome.failed} failed on {where}: {reason(outcome.log)}; see {log}"
    else:
        state = COMPUTED if stages else CACHED
        what = f"{f'{state} {stages}'.strip()}, {outcome.seconds:.0f} s on {outcome.host}"
    write_state(folder, outcome.name, state, f"{outcome.name}: {what}", outcome.locked)
    return state, f"{outcome.name}: {what}"


def reason(log: str) -> str:
    """Return the last line of a log that is not blank, but for DVC's own that a stage failed.

    If the system ended the stage, DVC's line alone says so.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if killed := KILLED.findall(log):
        return f"it {killed[-1]}"
    return printable(next((line for line in reversed(lines) if OF_DVC not in line), "nothing was printed"))


def read_states(folder: Path, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return what became of each of these cells when it was computed last, and the line that says it.

    Cells that no fleet has met on this cache are left out. Where results pass through a remote, a cell that runs counts
    as open, as does one whose worker was lost.
    """
    states = {}
    for name, content in read_contents(folder, names).items():
        state, line = str(content["state"]), str(content["line"])
        if state == RUNNING:
            since = time.time() - content["time"]
            if (folder / f"{name}.log").exists() and is_at_work(folder / f"{name}.log"):
                line += f", since {since:.0f} s"
            else:
                state, line = OPEN, f"{line}; was lost or stopped there"
        states[name] = state, line
    return states


def read_contents(folder: Path, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Read what was written of those cells that a fleet has met on this cache."""
    contents = {}
    for name in names:
        with suppress(FileNotFoundError, ValueError):  # empty, if the machine lost its power
            contents[name] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return contents


def summary(states: Mapping[str, str]) -> str:
    """Count cells by what became of them: `3 computed, 1 from the cache, 1 failed`."""
    all_states = [*states.values()]
    counts = {state: all_states.count(state) for state in (COMPUTED, CACHED, FAILED, RUNNING, OPEN)}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no cell"
