"""Campaign: a stage is run directly on damaged files of the stage before it, and a command on damaged results."""

from functools import partial
from pathlib import Path

from tests.faults.campaign import Campaign, Place, shuffled
from tests.faults.damage import ARTIFACTS, DAMAGES, Artifact, blamed
from tests.faults.damaged_outputs import NAMES
from tests.faults.outcomes import Outcome, failure, same_or_failure, sentence
from tests.faults.stage_commands import files_of, finish, run_stage, start

RESULTS = [
    Artifact(command, f"results/{file}", f"results/{sibling}")
    for command, file, sibling in (
        ("verdict", "summary.csv", "steps.csv"),
        ("verdict", "layers.csv", "summary.csv"),
        ("verdict", "facts.json", "recommendation.json"),
        ("verdict", "digests.json", "facts.json"),
        ("recommend", "facts.json", "findings.json"),
        ("recommend", "regret.csv", "steps.csv"),
    )
]
"""Results, and the command that reads them."""

READ = {f"{each.stage} {each.file} {each.sibling}": each for each in [*ARTIFACTS, *RESULTS]}


def names() -> list[str]:
    """`flip STAGE FILE SIBLING`."""
    return shuffled(f"{damage} {name}" for damage in DAMAGES for name in READ)


def run(trial: str, place: Place) -> Outcome:
    """Damage one file and run what reads it."""
    damage, _, name = trial.partition(" ")
    artifact, project = READ[name], place.copy("grid").folder
    path, sibling = artifact.paths(project / "data", NAMES)
    read = partial(_run_command if artifact in RESULTS else _run_stage, project, artifact.stage)
    _, expected, _ = read() if artifact in RESULTS else (0, files_of(place.base("grid"), artifact.stage), "")
    DAMAGES[damage](path, sibling)
    status, found, errors = read()
    if status == 0:
        return same_or_failure(found, expected, errors)
    if found and artifact not in RESULTS:
        return failure(f"it fails and leaves {', '.join(found)}", errors)
    return sentence(errors, [str(each.relative_to(project)) for each in blamed(path, sibling, damage)])


def _run_stage(project: Path, stage: str) -> tuple[int, dict[str, bytes], str]:
    status, _, errors = run_stage(project, stage)
    return status, files_of(project, stage), errors


def _run_command(project: Path, command: str) -> tuple[int, dict[str, bytes], str]:
    status, printed, errors = finish(start(project, ["whichlayer", command]))
    return status, {"it prints": printed.encode()}, errors


CAMPAIGN = Campaign("inputs damaged, then the stage that reads them", names(), run, ("grid",), seconds=200)
