"""Who computes which cell: locks that no two fleets on one cache hold at once, and what became of each cell."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stages.commands.fleet.worker import Outcome
from stages.shared.console import UserError

OPEN, FAILED, COMPUTED, CACHED = "open", "failed", "computed", "from the cache"


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
                held.enter_context(FileLock(folder / f"{name}.lock", timeout=0))
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
    """What became of each cell of a fleet, in a file that `whichlayer fleet status` reads.

    Args:
        folder: holds the file, and a log for each cell.
        names: of the cells.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.states: dict[str, str] = dict.fromkeys(names, OPEN)
        self._write()

    def add(self, outcome: Outcome, durations: Path) -> None:
        """Keep a cell's log and durations, and what became of it.

        Args:
            outcome: of the cell.
            durations: the log of durations of this workspace, to which the cell's are added.
        """
        self.states[outcome.name] = FAILED if outcome.failed else COMPUTED if outcome.computed else CACHED
        self.log(outcome.name).write_text(f"{outcome.log}\n", encoding="utf-8")
        with durations.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in outcome.computed)
        self._write()

    def log(self, name: str) -> Path:
        """Return the file that keeps a cell's output."""
        return self.folder / f"{name}.log"

    def _write(self) -> None:
        beside = self.folder / f".status-{os.getpid()}.json"
        beside.write_text(json.dumps(self.states, indent=1), encoding="utf-8")
        beside.replace(self.folder / "status.json")


def read_states(folder: Path) -> dict[str, str]:
    """Read what became of each cell of the last fleet on this cache; empty if there was none."""
    path = folder / "status.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def summary(states: dict[str, str]) -> str:
    """Count cells by what became of them: `3 computed, 1 from the cache, 1 failed`."""
    counts = {state: sum(found == state for found in states.values()) for state in (COMPUTED, CACHED, FAILED, OPEN)}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no cell"
