"""Campaigns: `dvc repro` or another command is killed at some moment, run again, and compared with no such run."""

import random
import shutil
import signal
import time
from collections.abc import Sequence

from tests.faults.bases import COMMANDS, LEARNING_RATE, WRITTEN, duration
from tests.faults.campaign import Campaign, Place, seed_of, shuffled
from tests.faults.kills import KILLERS, artifacts, kill_when, leftovers, send_to_all, written
from tests.faults.outcomes import Outcome, failure, same_or_failure
from tests.workflow import Workflow

KILLS, STOPS, KILLS_OF_COMMAND = 40, 8, 5
STOPPERS = {name: send_to_all(signal.Signals[name]) for name in ("SIGINT", "SIGTERM")}
"""Who asks a whole `dvc repro` to end: Ctrl-C in a terminal, the end of a job."""

EDITS = {"": {}, "then-edit": LEARNING_RATE}
LOCKED = ("rwlock", "Unable to acquire lock", "JSON structure is corrupted")
"""What DVC says of a lock that its killed process left: here alone a second run, without the lock, is allowed."""

REPRO = ("dvc", "repro")


def names() -> list[str]:
    """`group then-edit 7`: who is killed, whether the learning rate is edited after that, and a seed; `SIGINT 60`."""
    kinds = [" ".join(filter(None, (killer, edit))) for killer in KILLERS for edit in EDITS]
    kills = shuffled(f"{kinds[number % len(kinds)]} {number}" for number in range(KILLS))
    return kills + [f"{name} {KILLS + number}" for number in range(STOPS // len(STOPPERS)) for name in STOPPERS]


def run(trial: str, place: Place) -> Outcome:
    """Kill one run, edit the parameters or not, run again, compare."""
    killer, edited = trial.split()[0], "then-edit" in trial
    project, base = place.copy("unstarted"), place.base("changed" if edited else "short")
    ends = time.monotonic() + random.Random(seed_of(trial)).uniform(0.5, duration(place.base("short")))
    killed, said = kill_when(project, (KILLERS | STOPPERS)[killer], lambda: time.monotonic() > ends, *REPRO)
    if "Traceback" in said:
        return failure("a traceback of the run that was killed", said)
    project.edit_params(EDITS["then-edit" if edited else ""])
    return after_kill(project, artifacts(base), said if killed else "ended before it was killed", REPRO)


def names_of_commands() -> list[str]:
    """`fleet group 7`: which command is killed, whether with all that it started, and a seed."""
    kinds = [f"{command} {killer}" for killer in ("group", "dvc") for command in COMMANDS]
    return [f"{kinds[number % len(kinds)]} {number}" for number in range(KILLS_OF_COMMAND * len(COMMANDS))]


def run_command(trial: str, place: Place) -> Outcome:
    """Kill one command, run it again, compare the project with that of `dvc repro`, and what the command wrote."""
    name, killer, _ = trial.split()
    of_repro, undisturbed = place.base("changed" if name == "experiment" else "short"), place.base(name)
    project = place.copy(name if written(undisturbed) else "unstarted")
    shutil.rmtree(project.folder / WRITTEN, ignore_errors=True)
    ends = time.monotonic() + random.Random(seed_of(trial)).uniform(0.5, duration(undisturbed))
    killed, said = kill_when(project, KILLERS[killer], lambda: time.monotonic() > ends, *COMMANDS[name])
    expected = artifacts(of_repro) | written(undisturbed)
    stands, whole = written(project.folder), written(undisturbed)
    if not killed or (whole and stands.keys() == whole.keys()):  # it had ended, or written all, which is in its way
        return same_or_failure(artifacts(project.folder) | stands, expected, said)
    return after_kill(project, expected, said, COMMANDS[name])


def after_kill(project: Workflow, expected: dict[str, bytes], before: str, command: Sequence[str]) -> Outcome:
    """Run again and compare; where DVC stands before a lock of the killed one, remove that first."""
    again, how = project.run(*command, ok=False), ""
    if again.returncode and any(word in again.stderr for word in LOCKED):
        (project.folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
        again = project.run(*command, ok=False)
        how = "after `rm .dvc/tmp/rwlock`"
    if again.returncode:
        return failure("the next run fails", f"{before}\n{again.stdout}\n{again.stderr}")
    if leftovers(project):
        return failure(f"scratch is left: {', '.join(leftovers(project))}")
    found = artifacts(project.folder) | written(project.folder)
    return same_or_failure(found, expected, f"{before}\n{again.stdout}", how)


BASES = ("unstarted", "short", "changed")
CAMPAIGN = Campaign("dvc repro killed or stopped at some moment, run again", names(), run, BASES, seconds=900)
OF_COMMANDS = Campaign(
    "other commands killed at some moment, run again",
    names_of_commands(),
    run_command,
    ("unstarted", "short", "changed", *COMMANDS),
    seconds=900,
)
