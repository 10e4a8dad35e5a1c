"""What a campaign is: many trials of one kind, each with a name, by which it can be run again alone."""

import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.outcomes import Outcome
from tests.workflow import Workflow


@dataclass(frozen=True)
class Place:
    """Where trials work.

    Attributes:
        bases: has a folder for each undisturbed project (`tests.faults.bases`).
        scratch: an empty folder of the worker's own, emptied after every trial.
    """

    bases: Path
    scratch: Path

    def base(self, name: str) -> Path:
        """An undisturbed project, which no trial changes."""
        return self.bases / name

    def copy(self, name: str) -> Workflow:
        """A copy of an undisturbed project, with the times of its files."""
        folder = self.scratch / "project"
        shutil.copytree(self.base(name), folder, symlinks=True)
        return Workflow.opened(folder)


@dataclass(frozen=True)
class Campaign:
    """Trials of one kind.

    Attributes:
        about: what is done, for the table.
        trials: their names, in an order of which any beginning is a fair sample.
        run: carries one out.
        bases: the undisturbed projects that it needs.
        seconds: after which a trial counts as hanging; several times what it takes.
    """

    about: str
    trials: Sequence[str]
    run: Callable[[str, Place], Outcome]
    bases: tuple[str, ...] = ()
    seconds: float = 60


def shuffled(names: Iterable[str]) -> list[str]:
    """Put names into an order that is the same every time."""
    ordered = list(names)
    random.Random(0).shuffle(ordered)
    return ordered


def numbered(kind: str, count: int) -> list[str]:
    """Names of trials that differ in their seed alone."""
    return [f"{kind} {number}" for number in range(count)]


def seed_of(trial: str) -> int:
    """The seed that a name ends with."""
    return int(trial.rpartition(" ")[2])
