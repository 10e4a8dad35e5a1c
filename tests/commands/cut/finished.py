"""A finished cell of a tiny network: images, checkpoints and embeddings, as the stages leave them."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.cut.source import CellPaths
from stages.embed.cell import open_cell
from stages.embed.loading import checked_checkpoints
from stages.embed.params import EmbedParams, TapsParams
from stages.shared.images.image_store import open_images
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint
from stages.shared.workflow.params import Cell
from tests.packed import pack, write_fold_all

TINY = {"library": "timm", "name": "test_vit.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
EMBED = {
    "splits": ["test", "unseen"], "pooling": ["auto", "max"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 16, "train_per_class": 0,
}  # fmt: skip
STEPS = (0, 50)


def finish_cell(
    folder: Path, network: dict[str, Any] = TINY, *, fold: str = "0", frozen: bool = False, size: int = 32, **embed: Any
) -> tuple[Path, Cell, CellPaths]:
    """Write params, images, checkpoints and embeddings; return params, cell, and where all is."""
    entry, values = {**network, "frozen": frozen}, {**EMBED, **embed}
    if fold == "all":
        values["splits"] = ["test"]
    params: dict[str, Any] = {key: {} for key in ("prepare", "finetune", "measure", "aggregate")}
    params["run"] = {"datasets": ["trees"], "models": ["tiny"], "folds": [0], "seeds": [3]}
    params["datasets"] = {"trees": {"source": "folder", "image_size": size}}
    params["models"] = {"tiny": {"network": entry, "taps": {"layers": "default"}}}
    folder.mkdir(exist_ok=True, parents=True)
    YAML(typ="safe").dump({**params, "embed": values}, folder / "params.yaml")
    pack(folder / "prepared", size=size)
    if fold == "all":
        write_fold_all(folder / "prepared")
    paths = CellPaths(folder / "prepared", folder / "weights", folder / "embeddings", folder / "results")
    _embed(paths, NetworkParams.model_validate(entry), EmbedParams.model_validate(values), fold)
    return folder / "params.yaml", ("trees", "tiny", fold, 3), paths


def _embed(paths: CellPaths, network: NetworkParams, params: EmbedParams, fold: str) -> None:
    images = open_images(paths.prepared, fold)
    classes = () if network.frozen else images.seen
    steps = STEPS[:1] if network.frozen else STEPS
    for step in steps:
        info = CheckpointInfo(step, classes, network.model_dump(), {"degrees": 10.0, "padding": 20})
        built = build_network(network, max(1, len(classes)), seed=step)
        state = built.body_state() if network.frozen else built.module.state_dict()
        write_checkpoint(paths.weights, state, info)
    finish_checkpoints(paths.weights, ("trees", "tiny", fold, 3))
    cell = open_cell(images, checked_checkpoints(paths.weights, images), TapsParams(), params, seed=3)
    names = {"dataset": "trees", "model": "tiny", "fold": fold, "seed": 3, "frozen": network.frozen}
    cell.write(paths.embeddings, names)
