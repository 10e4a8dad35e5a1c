"""Who computes which cell: locks that no two fleets on one cache hold at once, and what became of each cell."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stages.commands.fleet.task import RUNNING_FILE, Outcome
from stages.shared.runtime.errors import UserError, printable

OPEN, RUNNING, FAILED, COMPUTED, CACHED = "open", "running", "failed", "computed", "from the cache"

OF_DVC = "ERROR: failed to reproduce"
"""With what DVC's line begins that names the stage that failed and not why."""

KILLED = re.compile(rf"^{OF_DVC}.*(exited with -\d+)$")
"""What that line says of a stage that a signal ended, and that said nothing itself."""

PATIENCE = 1.0
"""Seconds to wait for a lock that `fleet status` may hold for a moment."""


@contextmanager
def hold_cells(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Within, no other process may compute these cells; the locks go with this process, however it ends.

    Args:
        folder: below the cache that is shared; made if missing.
        names: of the cells.

    Raises:
        UserError: another process computes one of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for name in names:
            try:
                held.enter_context(FileLock(folder / f"{name}.lock", timeout=PATIENCE))
            except Timeout:
                raise UserError(
                    f"cell {name}: must be computed by one process at a time, found one at work on this cache "
                    f"({folder}); wait for it (`whichlayer fleet status`), or stop it"
                ) from None
        yield


def is_held(folder: Path, name: str) -> bool:
    """Say whether a process computes a cell, or will."""
    try:
        with FileLock(folder / f"{name}.lock", timeout=0):
            return False
    except Timeout:
        return True


class Record:
    """What became of each cell of a fleet, in files that `whichlayer fleet status` reads.

    Args:
        folder: holds a file and a log for each cell.
        names: of the cells.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.states: dict[str, str] = {}
        for name in names:
            (folder / f"{name}{RUNNING_FILE}").unlink(missing_ok=True)
            self._write(name, OPEN, "")

    def add(self, outcome: Outcome, durations: Path) -> str:
        """Keep a cell's log and durations, and what became of it.

        Args:
            outcome: of the cell.
            durations: the log of durations of this workspace, to which the cell's are added.

        Returns:
            What became of the cell, in one line.
        """
        log = self.folder / f"{outcome.name}.log"
        log.write_text(f"{outcome.log}\n", encoding="utf-8")
        with durations.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in outcome.computed)
        line = line_of(outcome, log)
        self._write(outcome.name, FAILED if outcome.failed else COMPUTED if outcome.computed else CACHED, line)
        return line

    def _write(self, name: str, state: str, line: str) -> None:
        self.states[name] = state
        beside = self.folder / f".{name}-{os.getpid()}.json"
        beside.write_text(json.dumps([state, line]), encoding="utf-8")
        beside.replace(self.folder / f"{name}.json")


def line_of(outcome: Outcome, log: Path) -> str:
    """Say in one line what became of a cell."""
    if outcome.failed:
        where = outcome.host or "a machine that was lost"
        return f"{outcome.name}: {outcome.failed} failed on {where}: {reason(outcome.log)}; see {log}"
    stages = [str(row["stage"]) for row in outcome.computed]
    ran = f"computed {', '.join(stages)}" if stages else "from the cache"
    return f"{outcome.name}: {ran}, {outcome.seconds:.0f} s on {outcome.host}"


def reason(log: str) -> str:
    """Return the last line of a log that says anything, but for DVC's own that a stage failed.

    Of a stage that the system ended, DVC's line alone tells so.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if killed := [found[1] for line in lines if (found := KILLED.match(line))]:
        return f"it {killed[-1]}"
    return printable(next((line for line in reversed(lines) if not line.startswith(OF_DVC)), "nothing was printed"))


def read_states(folder: Path, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Read what became of each of these cells when it was computed last, and the line that says it.

    Cells that no fleet has met on this cache are left out. Where results pass through a remote, a cell that runs counts
    as open.
    """
    found = {name: folder / f"{name}.json" for name in names}
    read = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.is_file()}
    states = {name: (str(state), str(line)) for name, (state, line) in read.items()}
    running = {
        name: line for name, (state, _) in states.items() if state == OPEN and (line := where_running(folder, name))
    }
    return states | {name: (RUNNING, line) for name, line in running.items()}


def where_running(folder: Path, name: str) -> str:
    """Say in one line where an open cell is at work; nothing if it is not."""
    path = folder / f"{name}{RUNNING_FILE}"
    if not (path.is_file() and is_held(folder, name)):  # a fleet that was stopped leaves the file
        return ""
    try:
        started = json.loads(path.read_text(encoding="utf-8"))
        return f"{name}: runs on {started['host']}, since {time.time() - started['time']:.0f} s"
    except (OSError, ValueError, KeyError, TypeError):  # it is just being written
        return f"{name}: runs"


def summary(states: Mapping[str, str]) -> str:
    """Count cells by what became of them: `3 computed, 1 from the cache, 1 failed`."""
    found = [*states.values()]
    counts = {state: found.count(state) for state in (COMPUTED, CACHED, FAILED, RUNNING, OPEN)}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no cell"
