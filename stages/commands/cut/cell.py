"""What is cut: one layer of one checkpoint, with the images and embeddings that it must agree with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from stages.commands.cut.which_layer import choose_layer
from stages.commands.project import stage_path
from stages.embed.layers import PooledLayer
from stages.embed.loading import checked_checkpoints, load_checkpoint
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.pooling import Resolved
from stages.embed.taps.find import find_taps
from stages.embed.taps.tap import Tap
from stages.measure.checks import check_cell
from stages.prepare.params import DatasetParams, read_dataset
from stages.shared.checkpoints.checkpoints import CheckpointInfo
from stages.shared.embeddings.embedding_store import Embeddings, Layer, open_embeddings
from stages.shared.images.image_store import PackedImages, open_images
from stages.shared.networks.build import build_network
from stages.shared.networks.network import Network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import ALL, Cell, RunParams, read_entry, read_run, read_section


@dataclass(frozen=True)
class CellPaths:
    """Where the workflow keeps what belongs to one cell, as dvc.yaml says."""

    prepared: Path
    weights: Path
    embeddings: Path
    results: Path

    @classmethod
    def of(cls, cell: Cell) -> "CellPaths":
        """Look them up."""
        dataset, model, fold, seed = cell
        item = {"dataset": dataset, "model": model, "fold": fold, "seed": str(seed)}
        return cls(
            prepared=stage_path("embed", "--prepared", **item),
            weights=stage_path("embed", "--weights", **item),
            embeddings=stage_path("embed", "--out", **item),
            results=stage_path("aggregate", "--out"),
        )


@dataclass(frozen=True)
class Source:
    """One layer of one checkpoint.

    Attributes:
        store: the cell's embeddings.
        step: the checkpoint's.
        layer: the layer, as the store has it.
        n_layers: number of the network's layers.
        images: the dataset in the cell's fold.
        dataset: the dataset's entry.
        network_params: the network's entry.
        embed: the `embed` section, with which the store was made.
        checkpoint: the file.
        info: what it says of itself.
        network: with its weights, on the CPU.
        tapped: where it is cut.
    """

    store: Embeddings
    step: int
    layer: Layer
    n_layers: int
    images: PackedImages
    dataset: DatasetParams
    network_params: NetworkParams
    embed: EmbedParams
    checkpoint: Path
    info: CheckpointInfo
    network: Network
    tapped: PooledLayer


def choose_cell(params: Path, dataset: str, model: str, fold: str | None, seed: int | None) -> Cell:
    """Fill in what was not said: fold `all` if the grid has it, else its first; the first seed."""
    run = read_run(params)
    return dataset, model, fold or _default_fold(run), run.seeds[0] if seed is None else seed


def _default_fold(run: RunParams) -> str:
    return ALL if ALL in run.folds else run.folds[0]


def open_source(params: Path, cell: Cell, paths: CellPaths, *, step: int | None, layer: str) -> Source:
    """Find a finished cell's layer, and build its network with the weights of one checkpoint.

    Args:
        params: the params file.
        cell: which.
        paths: where it is.
        step: of the checkpoint; None: the recommended one with `recommended`, else the last.
        layer: `recommended`, `best`, `last` or a name.

    Raises:
        UserError: the cell is not finished, has no such step or layer, or is not of the entries in params.yaml.
    """
    dataset, model, fold, seed = cell
    network_params = read_entry(params, "models", model, NetworkParams, part="network")
    taps_params = read_entry(params, "models", model, TapsParams, part="taps")
    dataset_params = read_dataset(params, dataset)
    embed = read_section(params, "embed", EmbedParams)
    store = _open_store(paths.embeddings, cell)
    chosen, chosen_step = choose_layer(store, layer, paths.results)
    step = _choose_step(store, chosen_step if step is None else step)
    images = open_images(paths.prepared, fold, dataset=dataset)
    checkpoints, info = checked_checkpoints(paths.weights, store.steps, images, network_params, cell=cell)
    network = build_network(network_params, max(1, len(info.classes)), seed=seed, load_weights=False)
    load_checkpoint(network, checkpoints[step])
    taps = find_taps(network, network_params, taps_params)
    network.move(torch.device("cpu"))  # into the memory format that embed computes in
    tapped = PooledLayer(_find_tap(taps, chosen, cell), cast(Resolved, chosen.pooling), chosen)
    return Source(
        store=store,
        step=step,
        layer=chosen,
        n_layers=len(taps),
        images=images,
        dataset=dataset_params,
        network_params=network_params,
        embed=embed,
        checkpoint=checkpoints[step],
        info=info,
        network=network,
        tapped=tapped,
    )


def name_of(cell: Cell) -> str:
    """Name a cell as DVC does."""
    return "-".join(map(str, cell))


def _open_store(path: Path, cell: Cell) -> Embeddings:
    if not path.exists():
        raise UserError(
            f"{path}: must hold the embeddings of {name_of(cell)}, found none; with this cell in the grid of "
            f"params.yaml, run `dvc repro embed@{name_of(cell)}`"
        )
    store = open_embeddings(path)
    check_cell(store, cell, f"{path}:")
    return store


def _choose_step(store: Embeddings, step: int | None) -> int:
    if step is None:
        return store.steps[-1]
    if step in store.steps:
        return step
    name, known = name_of(store.cell), ", ".join(map(str, store.steps))
    remedy = (
        "a frozen network has step 0 alone"
        if store.frozen
        else f"put it into finetune.steps, with finetune.keep: all, and run `dvc repro embed@{name}`"
    )
    raise UserError(f"--step: the embeddings of {name} have the steps {known}, not {step}; {remedy}")


def _find_tap(taps: Sequence[Tap], layer: Layer, cell: Cell) -> Tap:
    for tap in taps:
        if tap.path == layer.module:
            return tap
    raise UserError(
        f"layer {layer.module!r} is in the embedding store, but not among the layers that params.yaml gives the "
        f"network; run `dvc repro embed@{name_of(cell)}`"
    )
