"""Campaign: files of a finished project are damaged; `dvc repro`, after `verify --remove` or not, makes them again.

DVC goes by size and time, and trusts its cache: rot (one bit, the time kept) and damaged objects of the cache are what
`whichlayer verify` is for.
"""

import hashlib
from pathlib import Path

from tests.commands.verify.made import damage as rot
from tests.faults.campaign import Campaign, Place, shuffled
from tests.faults.damage import ARTIFACTS, DAMAGES, Artifact
from tests.faults.kills import artifacts
from tests.faults.outcomes import ERROR, Outcome, failure, same_or_failure, sentence
from tests.workflow import Workflow

NAMES = {
    "dataset": "mine", "model": "net", "fold": "0", "seed": "0", "step": "000002", "layer": "layer1",
    "other_dataset": "other", "other_fold": "all", "other_seed": "1", "other_step": "000000", "other_layer": "layer2",
}  # fmt: skip
OTHERS = [
    Artifact("", "results/summary.csv", "results/steps.csv"),
    Artifact("", "results/report.html", "results/summary.md"),
    Artifact("", "results/digests.json", "results/findings.json"),
    Artifact("", "results/metrics.json", "results/findings.json"),
    Artifact("", "durations.jsonl", "results/metrics.json"),
    Artifact("", "../dvc.lock", "../dvc.yaml"),
]
"""What no stage reads."""

FILES = {each.file: each for each in [*reversed(ARTIFACTS), *OTHERS]}
"""By path: of several siblings, the first."""

CACHED = [
    "prepared/{dataset}/manifest.csv",
    "prepared/{dataset}/images.zarr/pixels/c/0/0/0/0",
    "checkpoints/{dataset}/{model}/{fold}/{seed}/weights/step_{step}.safetensors",
    "training/{dataset}/{model}/{fold}/{seed}/training.csv",
    "embeddings/{dataset}/{model}/{fold}/{seed}/{layer}/c/0/0/0",
    "measures/{dataset}/{model}/{fold}/{seed}/layers.csv",
    "results/summary.csv",
]
"""Of which the object in DVC's cache is damaged, too."""

UNTOUCHED = ("durations.jsonl",)
"""A log that nothing depends on."""


OF_DVC = ("ERROR: ", ERROR, "'./dvc.lock' validation failed")
"""With what an error begins that `dvc repro` prints."""


def names() -> list[str]:
    """`flip PATH`, `rot PATH`, `cache-flip PATH`."""
    plain = [f"{way} {file}" for way in DAMAGES for file in FILES if (way, file) != ("swap", "../dvc.lock")]
    rotten = [f"rot {file}" for file in FILES if file not in UNTOUCHED]
    return shuffled([*plain, *rotten, *(f"cache-{way} {file}" for way in DAMAGES for file in CACHED)])


def run(trial: str, place: Place) -> Outcome:
    """Damage one file, or its object in the cache, and mend it."""
    way, _, file = trial.partition(" ")
    project, expected = place.copy("grid"), artifacts(place.base("grid"))
    path, sibling = FILES[file].paths(project.folder / "data", NAMES)
    if way == "rot":
        return _rot(project, path.resolve(), expected)
    if way.startswith("cache-"):
        return _damage_cache(project, way.removeprefix("cache-"), path, sibling, expected)
    DAMAGES[way](path, sibling)
    return _repro(project, path.resolve(), expected)


def _repro(project: Workflow, path: Path, expected: dict[str, bytes]) -> Outcome:
    """Run `dvc repro`: everything is as it was, or DVC names the file, which git has."""
    done = project.run("dvc", "repro", ok=False)
    if done.returncode == 0:
        return same_or_failure(artifacts(project.folder), expected, done.stdout)
    said = sentence(_first_line(done.stderr), [path.name], marks=OF_DVC)
    project.run("git", "checkout", "-q", path.name, ok=False)
    mended = project.run("dvc", "repro", ok=False)
    different = same_or_failure(artifacts(project.folder), expected)
    return said if mended.returncode == 0 and different.kind != "failure" else failure("not mended", done.stderr)


def _first_line(said: str) -> str:
    """The error of DVC, whose further lines show the place in the file."""
    return said if "Traceback" in said else "\n".join(said.strip().splitlines()[:1])


def _rot(project: Workflow, path: Path, expected: dict[str, bytes]) -> Outcome:
    """Change a bit and no time: DVC sees nothing, verify does."""
    project.run("dvc", "status")  # it remembers sizes and times from now on
    rot(path)
    project.run("dvc", "repro", ok=False)
    return _verify(project, path, expected)


def _damage_cache(project: Workflow, way: str, path: Path, sibling: Path, expected: dict[str, bytes]) -> Outcome:
    """Damage an object of the cache and lose the file: DVC hands the damaged object on, verify finds it."""
    project.run("dvc", "status")
    cached, other = (_object(project, each) for each in (path, sibling))
    for each in (cached, other):
        each.chmod(0o644)
    DAMAGES[way](cached, other)
    for each in filter(Path.exists, (cached, other)):
        each.chmod(0o444)  # by which DVC knows its own objects, which it trusts
    path.unlink()
    done = project.run("dvc", "repro", ok=False)
    if "Traceback" in done.stderr:
        return failure("a traceback", done.stderr)
    return _verify(project, cached, expected)


def _object(project: Workflow, path: Path) -> Path:
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return project.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def _verify(project: Workflow, path: Path, expected: dict[str, bytes]) -> Outcome:
    """Verify must name and remove the file, unless DVC has mended it already, and DVC make it again."""
    done = project.run("whichlayer", "verify", "--remove", ok=False)
    if done.returncode and path.name == "dvc.lock":  # DVC cannot read it; git has it
        return sentence(done.stderr, [path.name])
    again = project.run("dvc", "repro", ok=False)
    if done.returncode or again.returncode:
        return failure("verify --remove or dvc repro fails", done.stdout + done.stderr + again.stderr)
    outcome = same_or_failure(artifacts(project.folder), expected, done.stdout, "by `whichlayer verify --remove`")
    named = str(path.relative_to(project.folder)) in done.stdout
    whole = "all are as they were written" in done.stdout.splitlines()[0]
    return outcome if named or whole else failure("verify does not name the file", done.stdout)


CAMPAIGN = Campaign("finished files damaged, then dvc repro or verify --remove", names(), run, ("grid",), seconds=400)
