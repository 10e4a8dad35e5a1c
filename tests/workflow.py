"""A tiny copy of the project in a scratch folder, driven by the real `git` and `dvc` commands."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
COPIED = (
    "stages",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
    ".gitignore",
    ".dvcignore",
    ".dvc/config",
    ".dvc/plots",
)
yaml = YAML()

TINY_CLASSES = ("blobs", "crosses", "dots", "rings", "stripes", "waves")
TINY_NETWORK = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}


class Workflow:
    """A scratch project: edit its files, run DVC in it, and see which stages were computed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            elif source.exists():
                shutil.copy(source, target)
        self._seen = 0

    @classmethod
    def opened(cls, folder: Path) -> "Workflow":
        """A project that is there already, as a copy of another."""
        workflow = cls.__new__(cls)
        workflow.folder, workflow._seen = folder, 0
        workflow.computed()
        return workflow

    def start_repository(self) -> None:
        self.run("git", "init", "-q")
        self.run("dvc", "init", "-q", "-f")
        shutil.copy(ROOT / ".dvc" / "config", self.folder / ".dvc" / "config")
        shutil.copytree(
            ROOT / ".dvc" / "plots", self.folder / ".dvc" / "plots", dirs_exist_ok=True
        )  # init -f clears .dvc
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "Start")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the project."""
        environment = dict(
            os.environ,
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            DVC_NO_ANALYTICS="1",
            WHICHLAYER_TRUST="1",
            OMP_NUM_THREADS="1",
            GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@t", GIT_COMMITTER_NAME="t", GIT_COMMITTER_EMAIL="t@t",
        )  # fmt: skip
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        done = subprocess.CompletedProcess(command, -1, *process.communicate())
        done.returncode = process.returncode
        if ok:
            assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def repro(self) -> set[str]:
        """Run `dvc repro`; return the stages that were computed, as `measure@tiny-a-0-0`."""
        self.run("dvc", "repro")
        return self.computed()

    def changed(self) -> set[str]:
        """Stages whose own code, parameters or inputs changed; not those that would follow."""
        return set(re.findall(r"(?m)^Running stage '(.+?)'", self.run("dvc", "repro", "--dry").stdout))

    def computed(self) -> set[str]:
        """Stages that ran since the last call, by their own log: a stage restored from the cache writes no line."""
        log = self.folder / "data" / "durations.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        fresh, self._seen = lines[self._seen :], len(lines)
        rows = [json.loads(line) for line in fresh]
        return {f"{row['stage']}@{row['cell']}" if row["cell"] else row["stage"] for row in rows}

    def edit_params(self, changes: dict[str, Any]) -> None:
        """Set dotted keys of params.yaml; None removes a key."""
        path = self.folder / "params.yaml"
        params = yaml.load(path)
        for dotted, value in changes.items():
            *parents, last = dotted.split(".")
            node = params
            for part in parents:
                node = node[part]
            if value is None:
                del node[last]
            else:
                node[last] = value
        yaml.dump(params, path)

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


def tiny_params(workflow: Workflow, datasets: Iterable[str], models: Iterable[str]) -> None:
    """Reduce params.yaml to a grid that runs in seconds."""
    dataset = {
        "source": "folder", "image_size": 32, "train": 12, "test": 8, "unseen": 10,
        "test_fraction": 0.4, "unseen_classes": ["rings", "waves"],
    }  # fmt: skip
    workflow.edit_params(
        {
            "run.datasets": list(datasets),
            "run.models": list(models),
            "run.folds": [0],
            "run.seeds": [0],
            "datasets": {name: dict(dataset) for name in datasets},
            "models": {name: {"network": dict(TINY_NETWORK), "taps": {"layers": "default"}} for name in models},
            "finetune.steps": [0, 2],
            "finetune.batch_size": 24,
            "finetune.learning_rate": 0.001,
            "measure.kmeans.starts": 2,
            "measure.kmeans.polished": 1,
            "measure.refits.starts": 2,
            "measure.refits.polished": 1,
            "measure.refits.halves": 4,
            "measure.probe.folds": 2,
            "measure.extra.metrics": [],  # and few figures: aggregate runs in nearly every test
            "measure.analyses": ["k_sensitivity"],
            "embed.train_per_class": 0,
        }
    )


def tiny_images(folder: Path, *, seed: int, per_class: int = 24, size: int = 32) -> None:
    """Write a small folder of textures, `<class>/<number>.png`: each class has a frequency and an orientation."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    for number, name in enumerate(TINY_CLASSES):
        angle, frequency = np.pi * number / len(TINY_CLASSES), 2 + number
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + random.uniform(0, 6))
            image = 127 + 80 * wave[..., None] * random.uniform(0.6, 1, 3) + random.normal(0, 12, (size, size, 3))
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{index:03}.png")
