"""Undisturbed tiny projects: each is made once, trials work on copies."""

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

from tests.workflow import Workflow, tiny_images, tiny_params

LEARNING_RATE = {"finetune.learning_rate": 0.002}
"""Another parameter: what a run that was killed before this edit left must not be taken over."""

DURATION = "undisturbed_seconds"

WRITTEN = "written"
"""The folder to which commands write in a project."""

IMAGES = "images.zip"

COMMANDS = {
    "experiment": ("dvc", "exp", "run", "-S", "finetune.learning_rate=0.002"),
    "fleet": ("whichlayer", "fleet", "--workers", "1"),
    "features": ("whichlayer", "features", IMAGES, "--from", "mine/net/0/0", "--out", f"{WRITTEN}/vectors.parquet"),
    "cut": ("whichlayer", "cut", "--from", "mine/net/0/0", "--out", f"{WRITTEN}/network"),
}
"""Commands beside `dvc repro` that take long; the names are also those of projects in which each has run."""


def start_short(folder: Path) -> Workflow:
    """One cell whose training and embedding take some seconds, before its first run."""
    project = _start(folder, ["mine"])
    project.edit_params({"finetune.steps": [0, 40, 80, 120], "finetune.schedule_steps": 120, "embed.batch_size": 4})
    project.start_repository()
    return project


def make_grid(folder: Path) -> None:
    """Two datasets and two seeds, run: every file of a cell has a sibling."""
    project = _start(folder, ["mine", "other"])
    project.edit_params({"run.seeds": [0, 1], "embed.train_per_class": 2})
    project.start_repository()
    _run(project)


def make_unstarted(folder: Path) -> None:
    """The short project, not run."""
    start_short(folder)


def make_short(folder: Path) -> None:
    """The short project, run."""
    _run(start_short(folder))


def make_changed(folder: Path) -> None:
    """The short project with another parameter, run."""
    project = start_short(folder)
    project.edit_params(LEARNING_RATE)
    _run(project)


def make_commanded(name: str, folder: Path) -> None:
    """The short project, and what one of `COMMANDS` made of it; of a finished one, where that needs it."""
    project = start_short(folder)
    if name in ("features", "cut"):
        _run(project)
        with zipfile.ZipFile(folder / IMAGES, "w") as archive:
            for copy, path in product(range(30), sorted((folder / "data" / "raw").rglob("*.png"))):
                archive.write(path, f"{copy}/{path.parent.name}/{path.name}")
    _run(project, *COMMANDS[name])


BASES: dict[str, Callable[[Path], None]] = {
    "grid": make_grid,
    "unstarted": make_unstarted,
    "short": make_short,
    "changed": make_changed,
    **{name: partial(make_commanded, name) for name in COMMANDS},
}


def make_base(bases: Path, name: str) -> None:
    """Make an undisturbed project, if it is not there: whole or not at all."""
    if (bases / name).exists():
        return
    unfinished = bases / f"{name}.partial"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    BASES[name](unfinished)
    unfinished.rename(bases / name)


def duration(base: Path) -> float:
    """How many seconds the run of an undisturbed project took."""
    return float(json.loads((base / DURATION).read_text()))


def _start(folder: Path, datasets: list[str]) -> Workflow:
    project = Workflow(folder)
    tiny_params(project, datasets, ["net"])
    for seed, dataset in enumerate(datasets):
        tiny_images(folder / "data" / "raw" / dataset, seed=seed)
    return project


def _run(project: Workflow, *command: str) -> None:
    began = time.monotonic()
    project.run(*(command or ("dvc", "repro")))
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "Run", "--allow-empty")
    (project.folder / DURATION).write_text(json.dumps(time.monotonic() - began))
