"""A whole cell against a straightforward script of one process that does the same (`tests.bench.plain_cell`).

EfficientNet-Lite0 at 64 px on handwriting, six checkpoints, the paper's scores, one start of k-means. The cell's five
stages run as `dvc repro` starts them, each in a process of its own. Seconds are of the processor and of the clock; what
a process takes to start and import is told apart. The ratio is also given against the script with the memory settings
that stages give themselves (`stages/shared/runtime/startup.py`), which a plain script has not.

    python -m tests.bench.whole_cell --rounds 3
    python -m tests.bench.whole_cell --steps 50 --images 60 40 100
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from ruamel.yaml import YAML

from stages.prepare.sources.handwriting import find_fonts, read_fonts_file, render_word
from tests.workflow import ROOT, Workflow

SIZE, UNSEEN_CLASSES = 64, 5
CELL = "--dataset mine --model net --fold 0 --seed 0"
IMPORTS = {
    "prepare": "stages.prepare.__main__",
    "finetune": "stages.finetune.__main__, stages.finetune.cell, stages.shared.networks.timm",
    "embed": "stages.embed.__main__, stages.shared.networks.timm",
    "measure": "stages.measure.__main__",
    "aggregate": "stages.aggregate.__main__",
    "script": "tests.bench.plain_cell",
}
"""What is imported for each stage, and for the script."""

NETWORK = {"library": "timm", "name": "tf_efficientnet_lite0", "weights": {"source": "none"}, "image_size": SIZE}
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1"}


@dataclass(frozen=True)
class Seconds:
    """What processes took: of the processor, and of the clock."""

    cpu: float
    wall: float

    def __add__(self, other: Self) -> "Seconds":
        return Seconds(self.cpu + other.cpu, self.wall + other.wall)

    def __sub__(self, other: Self) -> "Seconds":
        return Seconds(self.cpu - other.cpu, self.wall - other.wall)

    def __str__(self) -> str:
        return f"{self.cpu:7.1f} {self.wall:7.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--images", type=int, nargs=3, default=[600, 166, 500], help="of a class: train, test, unseen")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workflow = make_project(Path(folder), args.steps, args.images)
        imports = {name: f"python -c 'import {modules}'" for name, modules in IMPORTS.items()}
        for command in imports.values():
            run(workflow, command)  # compiles what is imported
        starts = {name: run(workflow, command) for name, command in imports.items()}
        rounds = [ratios(workflow, starts, args.steps) for _ in range(args.rounds)]
    for name in rounds[0]:
        print(f"{name}: {statistics.median(each[name] for each in rounds):.3f}")


def make_project(folder: Path, steps: int, images: list[int]) -> Workflow:
    """Copy the project, with one cell of the paper's scores and its raw images."""
    workflow = Workflow(folder / "project")
    workflow.edit_params(
        {
            "run": {"datasets": ["mine"], "models": ["net"], "folds": [0], "seeds": [0]},
            "datasets": {"mine": {"source": "folder", "image_size": SIZE, "folds": 1, "on_duplicate": "keep"}},
            "models": {"net": {"network": dict(NETWORK), "taps": {"layers": "default"}}},
            "finetune.steps": [steps * i // 5 for i in range(6)],
            "finetune.schedule_steps": steps,
            "embed.train_per_class": 0,
            "measure.metrics": ["nmi", "knn_purity", "accuracy"],
            "measure.extra.metrics": [],
            "measure.analyses": [],
            "measure.refits.metrics": [],
            "measure.kmeans": {"starts": 1, "polished": 1, "seed": 42},
            "measure.knn_k": "paper",
        }
    )
    counts = dict(zip(("train", "test", "unseen"), images, strict=True))
    write_raw(workflow.folder / "data" / "raw" / "mine", counts)
    return workflow


def write_raw(folder: Path, counts: dict[str, int]) -> None:
    """Draw handwriting, `<split>/<class>/<number>.png`: so many images of each class of a split."""
    raw = ROOT / "data" / "raw" / "handwriting"
    source = read_fonts_file(raw)
    random = np.random.default_rng(0)
    for number, (label, font) in enumerate(find_fonts(source, raw).items()):
        for split in ["unseen"] if number < UNSEEN_CLASSES else ["train", "test"]:
            (folder / split / label).mkdir(parents=True)
            for index in range(counts[split]):
                word = source.words[random.integers(len(source.words))]
                image = render_word(word, str(font), SIZE, 255, int(random.integers(2**32)))
                image.convert("RGB").save(folder / split / label / f"{index:05}.png")


def ratios(workflow: Workflow, starts: dict[str, Seconds], steps: int) -> dict[str, float]:
    """Run the cell and the script, print what each took, and compare them."""
    print("                     cpu s  wall s, of which start")
    stages = YAML(typ="safe").load(workflow.text("dvc.yaml"))["stages"]
    taken = {}
    for stage in stages:
        command = stages[stage]["cmd"].replace("${item}", CELL if stage != "prepare" else "--dataset mine")
        taken[stage] = run(workflow, command)
        print(f"{stage:17}  {taken[stage]} {starts[stage]}", flush=True)
    for folder in ("prepared", "thumbnails", "checkpoints", "training", "embeddings", "measures", "results"):
        shutil.rmtree(workflow.folder / "data" / folder)
    cell, start = (sum(seconds.values(), Seconds(0, 0)) for seconds in (taken, {s: starts[s] for s in stages}))
    print(f"the cell           {cell} {start}")
    compared = {}
    for name, settings in {"script": {}, "script, its memory kept": KEPT_MEMORY}.items():
        script = run(
            workflow, f"python -m tests.bench.plain_cell data/raw/mine data/script --steps {steps}", **settings
        )
        shutil.rmtree(workflow.folder / "data" / "script")
        print(f"{name:17}  {script} {starts['script']}", flush=True)
        beyond, of_script = cell - start, script - starts["script"]
        compared |= {
            f"cell / {name}, cpu": cell.cpu / script.cpu,
            f"cell / {name}, wall": cell.wall / script.wall,
            f"cell / {name}, beyond the start, cpu": beyond.cpu / of_script.cpu,
            f"cell / {name}, beyond the start, wall": beyond.wall / of_script.wall,
        }
    return compared


def run(workflow: Workflow, command: str, **settings: str) -> Seconds:
    """Run a command in the project, and time it with all processes that it starts."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": f".{os.pathsep}{ROOT}", **settings}
    began = time.perf_counter()
    process = subprocess.Popen(command, shell=True, cwd=workflow.folder, env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {command}")
    return Seconds(usage.ru_utime + usage.ru_stime, time.perf_counter() - began)


if __name__ == "__main__":
    main()
