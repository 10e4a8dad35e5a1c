"""Who computes which cell: locks that no two fleets on one cache hold at once, and what became of each cell."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stages.commands.dvc_project.workspace import FAILED as OF_DVC
from stages.commands.fleet.worker import OPEN, RUNNING, Outcome, write_state
from stages.shared.runtime.errors import UserError, printable

COMPUTED, CACHED, FAILED = "computed", "from the cache", "failed"

KILLED = re.compile(rf"^ERROR: {OF_DVC}.*(exited with -\d+)$")
"""What DVC says of a stage that a signal ended, and that said nothing itself."""

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
    """Return whether a process computes a cell, or will."""
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
        self.folder, self.states = folder, dict.fromkeys(names, OPEN)
        for name in names:
            write_state(folder, name, OPEN, "")

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
        state = FAILED if outcome.failed else COMPUTED if outcome.computed else CACHED
        if outcome.failed:
            where = outcome.host or "a machine that was lost"
            what = f"{outcome.failed} failed on {where}: {reason(outcome.log)}; see {log}"
        else:
            stages = ", ".join(str(row["stage"]) for row in outcome.computed)
            ran = f"computed {stages}" if stages else "from the cache"
            what = f"{ran}, {outcome.seconds:.0f} s on {outcome.host}"
        self.states[outcome.name] = state
        write_state(self.folder, outcome.name, state, f"{outcome.name}: {what}")
        return f"{outcome.name}: {what}"


def reason(log: str) -> str:
    """Return the last line of a log that is not blank, but for DVC's own that a stage failed.

    If the system ended the stage, DVC's line alone says so.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    killed = [match[1] for line in lines if (match := KILLED.match(line))]
    if killed:
        return f"it {killed[-1]}"
    return printable(next((line for line in reversed(lines) if OF_DVC not in line), "nothing was printed"))


def read_states(folder: Path, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return what became of each of these cells when it was computed last, and the line that says it.

    Cells that no fleet has met on this cache are left out. Where results pass through a remote, a cell that runs counts
    as open.
    """
    states = {}
    for name in names:
        path = folder / f"{name}.json"
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            state, line = str(content["state"]), str(content["line"])
            if state == RUNNING and not is_held(folder, name):  # a fleet that was stopped
                state, line = OPEN, ""
            elif state == RUNNING:
                line += f", since {time.time() - content['time']:.0f} s"
            states[name] = state, line
    return states


def summary(states: Mapping[str, str]) -> str:
    """Count cells by what became of them: `3 computed, 1 from the cache, 1 failed`."""
    all_states = [*states.values()]
    counts = {state: all_states.count(state) for state in (COMPUTED, CACHED, FAILED, RUNNING, OPEN)}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no cell"
