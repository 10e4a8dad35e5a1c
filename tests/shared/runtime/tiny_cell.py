"""Run a tiny cell from raw images to measures, in one process.

    python -m tests.shared.runtime.tiny_cell FOLDER [bare]

With `bare`, all that the stages take from stages/shared/runtime is replaced by stubs.
"""

import contextlib
import importlib
import re
import runpy
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
RUNTIME = ROOT / "stages" / "shared" / "runtime"
OUTPUTS = ("prepared", "thumbnails", "weights", "training", "embeddings", "measures")


class Silent:
    """A stopwatch or watch that does nothing."""

    def __init__(self, stage: str = "", cell: str = "", *args: Any) -> None:
        self.cell = cell

    def __getattr__(self, name: str) -> Any:
        return nothing


def nothing(*args: Any, **options: Any) -> None:
    """Do nothing."""


def unwatched(items: Iterable[Any], **options: Any) -> Iterator[Any]:
    yield from items


STUBS: dict[str, Any] = {
    "CONTROL": re.compile("(?!)"),
    "MAX_NAMES": 0,
    "DVC": Silent(),
    "STARTED_BY_DVC": "NEVER_SET",
    "Stopwatch": Silent,
    "causes": lambda error: iter([error]),
    "check_known": nothing,
    "describe_wrong_value": lambda *_: "",
    "did_you_mean": lambda name, known: "",
    "explain_system_error": nothing,
    "irregular": nothing,
    "is_empty_folder": lambda path: False,
    "keep_freed_memory": nothing,
    "leftovers": lambda output: [],
    "listed": lambda names, most=0: "",
    "partial_path": lambda output: output.with_name(f"{output.name}-unfinished"),
    "prefix_errors": lambda what: contextlib.nullcontext(),
    "printable": lambda text: "",
    "progress": unwatched,
    "remove": nothing,
    "remove_leftovers": nothing,
    "run_main": lambda main: main(),
    "short_repr": lambda value: "",
    "worker_count": lambda flag: 1,
    "with_command": lambda remedy, command, path: remedy,
}
"""For each thing that a stage imports from stages/shared/runtime: what says, checks and removes nothing."""


def replace_runtime() -> None:
    """Replace these things, before a module of a stage imports them."""
    for path in RUNTIME.glob("[a-z]*.py"):
        module = importlib.import_module(f"stages.shared.runtime.{path.stem}")
        for name, stub in STUBS.items():
            if hasattr(module, name):
                setattr(module, name, stub)


def write_raw(folder: Path) -> None:
    """Write five classes of eight images of noise around a colour of their own."""
    random = np.random.default_rng(0)
    for number, label in enumerate("abcde"):
        (folder / label).mkdir(parents=True)
        for image in range(8):
            pixels = random.normal(40 + 40 * number, 30, (24, 20, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{image}.png")


def write_params(path: Path) -> None:
    """Write the default parameters, with a tiny network, few images and few fits."""
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(ROOT / "params.yaml")
    network = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
    params["models"] = {"net": {"network": network, "taps": {"layers": "default"}}}
    dataset = {"source": "folder", "image_size": 32, "test_fraction": 0.5, "unseen_classes": ["d", "e"]}
    params["datasets"] = {"mine": dataset}
    params["run"] = {"datasets": ["mine"], "models": ["net"], "folds": [0], "seeds": [0]}
    params["finetune"] |= {"steps": [0, 3], "schedule_steps": 9, "batch_size": 5}
    params["embed"] |= {"batch_size": 5, "train_per_class": 2, "baseline_size": 4}
    measure = params["measure"]
    measure |= {"metrics": ["nmi", "knn_purity", "accuracy"], "analyses": ["ood"]}
    measure["extra"]["metrics"] = ["silhouette"]
    measure["kmeans"] |= {"starts": 2, "polished": 1}
    measure["refits"] |= {"metrics": ["nmi", "knn_purity"], "halves": 2, "starts": 2, "polished": 1}
    yaml.dump(params, path)


def run_stage(stage: str, cell: dict[str, str], **paths: Path) -> None:
    """Run the entry point of a stage as `python -m` does."""
    options = {**cell, **{name: str(path) for name, path in paths.items()}}
    sys.argv = [stage, *(part for name, value in options.items() for part in (f"--{name}", value))]
    sys.modules.pop(f"stages.{stage}.__main__", None)  # that other tests imported
    try:
        runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise


def main() -> None:
    """Make the cell in a folder."""
    folder = Path(sys.argv[1])
    if "bare" in sys.argv[2:]:
        replace_runtime()
    raw, params = folder / "raw", folder / "params.yaml"
    write_raw(raw)
    write_params(params)
    prepared, thumbnails, weights, training, embeddings, measures = (folder / "out" / name for name in OUTPUTS)
    prepared.parent.mkdir()
    cell = {"dataset": "mine", "model": "net", "fold": "0", "seed": "0"}
    run_stage("prepare", {"dataset": "mine"}, params=params, raw=raw, out=prepared, thumbnails=thumbnails)
    history = training / "training.csv"
    run_stage("finetune", cell, params=params, prepared=prepared, weights=weights, history=history)
    run_stage("embed", cell, params=params, prepared=prepared, weights=weights, out=embeddings)
    one = {**cell, "workers": "1"}  # others would import the modules that are replaced here
    run_stage("measure", one, params=params, embeddings=embeddings, thumbnails=thumbnails, out=measures)


if __name__ == "__main__":
    main()
