"""A finished cell of a folder of images: prepared, with two checkpoints of random weights, and embedded."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from stages.commands.cut.folder import CARD, FORMAT, PREPROCESS, PROGRAM, write_json
from stages.commands.cut.source import CellPaths
from stages.embed.__main__ import main as embed
from stages.prepare.packing import prepare_dataset
from stages.prepare.params import read_dataset
from stages.shared.images.image_store import open_images
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint
from stages.shared.workflow.digests import file_sha256

TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
EMBED = {
    "splits": ["test", "unseen"], "pooling": ["auto", "max"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 5, "train_per_class": 0,
}  # fmt: skip
DATASET = {"source": "folder", "image_size": 32, "fit": "pad", "fill": 200, "test_fraction": 0.5, "unseen_count": 2}
CELL = "trees/tiny/0/3"
STEPS = (0, 50)


def write_images(folder: Path, per_class: int = 6) -> None:
    """Images of several formats and shapes, in a folder per class."""
    random = np.random.default_rng(0)
    for number, label in enumerate(("ash", "birch", "cedar", "date", "elm")):
        (folder / label).mkdir(parents=True)
        colour = random.integers(40, 216, 3)
        for index in range(per_class):
            shape = (40 + 7 * index, 64 - 5 * number, 3)
            pixels = (colour + random.normal(0, 25, shape)).clip(0, 255).astype(np.uint8)
            ending = (".png", ".jpg", ".bmp")[index % 3]
            Image.fromarray(pixels).save(folder / label / f"{index:02}{ending}")


def finish_cell(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    """Write a cell's artifacts below a folder, which also has params.yaml and `raw`; commands find them there."""
    params: dict[str, Any] = {"prepare": {"seed": 0}, "measure": {}, "aggregate": {}}
    params["run"] = {"datasets": ["trees"], "models": ["tiny"], "folds": [0], "seeds": [3]}
    params["embed"] = {**EMBED, **changes}
    params["finetune"] = {"steps": list(STEPS), "keep": "all"}
    params["datasets"] = {"trees": DATASET}
    params["models"] = {"tiny": {"network": TINY, "taps": {"layers": "default"}}}
    YAML(typ="safe").dump(params, folder / "params.yaml")
    write_images(folder / "raw")
    entry = read_dataset(folder / "params.yaml", "trees")
    prepare_dataset(folder / "raw", folder / "prepared", entry, 0, "trees", 10**6)
    network, seen = NetworkParams.model_validate(TINY), open_images(folder / "prepared", "0").seen
    for step in STEPS:
        info = CheckpointInfo(step, seen, network.model_dump(), {"degrees": 10.0, "padding": 20})
        write_checkpoint(folder / "weights", build_network(network, len(seen), seed=step).module.state_dict(), info)
    finish_checkpoints(folder / "weights", ("trees", "tiny", "0", 3))
    cell = ["--dataset", "trees", "--model", "tiny", "--fold", "0", "--seed", "3"]
    cell += ["--params", str(folder / "params.yaml")]
    for option, name in {"prepared": "prepared", "weights": "weights", "out": "embeddings"}.items():
        cell += [f"--{option}", str(folder / name)]
    with monkeypatch.context() as patch, ExitStack():
        patch.setattr(sys, "argv", ["embed", *cell])
        embed()
    paths = CellPaths(*(folder / name for name in ("prepared", "weights", "embeddings", "results")))
    monkeypatch.setattr(CellPaths, "of", lambda cell: paths)
    return folder


class Tiny(torch.nn.Module):
    """A network of one convolution, cut after it."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem = torch.nn.Conv2d(3, 6, 5)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.stem(pixels.to(torch.float32) / 255).mean((2, 3))


def write_cut(folder: Path, seed: int = 0, **decode: Any) -> Path:
    """Write the folder of a cut network, as `whichlayer cut` lays it out."""
    folder.mkdir()
    cell = {"dataset": "trees", "model": "tiny", "fold": "all", "seed": 3, "step": 50}
    layer = {"name": "stem", "pooling": "mean", "width": 6, "scale": "none"}
    content = {"image_size": 16, "fit": "squash", "fill": 9, "bits": 16, **decode}
    write_json(folder / PREPROCESS, {"format": FORMAT, "decode": content})
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    program = torch.export.export(Tiny(seed).eval(), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, folder / PROGRAM)
    files = {PROGRAM: {"sha256": file_sha256(folder / PROGRAM)}}
    write_json(folder / CARD, {"format": FORMAT, "cell": cell, "layer": layer, "files": files})
    return folder
