"""Layers of one checkpoint of a finished cell: its network, and the images and embeddings that belong to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stages.commands.cut.scaling import Scaler, fit_scaler
from stages.commands.cut.which_layer import Wanted, choose
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.grid import cell_name
from stages.commands.outdated import check_made_of
from stages.embed import cell as embed_stage
from stages.embed.loading import load_checkpoint
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.pooling import PooledLayer
from stages.measure.checks import check_cell
from stages.prepare.params import DatasetParams, read_dataset
from stages.shared.embeddings.embedding_store import Embeddings, Layer, open_embeddings
from stages.shared.images.image_store import open_images
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import ALL, Cell, read_model_part, read_run, read_section


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
        item = dict(zip(("dataset", "model", "fold", "seed"), map(str, cell), strict=True))
        prepared, weights, embeddings = (
            stage_path("embed", f"--{name}", **item) for name in ("prepared", "weights", "out")
        )
        return cls(prepared, weights, embeddings, stage_path("aggregate", "--out"))


@dataclass(frozen=True)
class Source:
    """Layers of one checkpoint.

    Attributes:
        paths: where the cell is.
        store: its embeddings.
        step: the checkpoint's.
        layers: the layers, as the store has them, and where they are in the network.
        scaler: how their vectors are scaled and joined.
        dataset: the dataset's entry.
        network_params: the network's entry.
        cell: the images, the `embed` section, and the network with the checkpoint's weights, on the CPU.
    """

    paths: CellPaths
    store: Embeddings
    step: int
    layers: Sequence[PooledLayer]
    dataset: DatasetParams
    network_params: NetworkParams
    cell: embed_stage.Cell
    scaler: Scaler

    @property
    def layer(self) -> Layer:
        """The layer; of several what they are together."""
        layers = [pooled.layer for pooled in self.layers]
        if len(layers) == 1:
            return layers[0]
        return Layer(
            name="+".join(layer.name for layer in layers),
            module="+".join(layer.module for layer in layers),
            depth=max(layer.depth for layer in layers),
            pooling="+".join(layer.pooling for layer in layers),
            width=sum(layer.width for layer in layers),
            parameters=max(layer.parameters for layer in layers),
            operations=max(layer.operations for layer in layers),
        )

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.cell.checkpoints[self.step]


def choose_cell(params: Path, dataset: str, model: str, fold: str | None, seed: int | None) -> Cell:
    """Fill in the fold, `all` if the grid has it, else its first, and the first seed."""
    run = read_run(params)
    default = ALL if ALL in run.folds else run.folds[0]
    return dataset, model, fold or default, run.seeds[0] if seed is None else seed


def open_source(params: Path, cell: Cell, paths: CellPaths, wanted: Wanted) -> Source:
    """Find layers of a finished cell, and build its network with the weights of one checkpoint.

    Args:
        params: the params file.
        cell: which.
        paths: where it is.
        wanted: which layers, at which checkpoint, how scaled.

    Raises:
        UserError: the cell is not finished, has no such step or layer, a layer twice, or is not of the entries in
            params.yaml, or its embeddings are not of its network.
    """
    dataset, model, fold, seed = cell
    check_made_of(params, cell, paths.results)
    network = read_model_part(params, model, "network", NetworkParams)
    taps = read_model_part(params, model, "taps", TapsParams)
    embed = read_section(params, "embed", EmbedParams)
    store = _open_store(paths.embeddings, cell)
    layers, step, scale = choose(store, paths.results, wanted)
    scaler = fit_scaler(store, layers, step, scale)
    opened = embed_stage.open_cell(
        open_images(paths.prepared, fold, dataset=dataset), network, taps, embed, weights=paths.weights,
        steps=store.steps, seed=seed, of=cell,
    )  # fmt: skip
    load_checkpoint(opened.embedder.network, opened.checkpoints[step])
    opened.embedder.network.move(torch.device("cpu"))
    pooled = [_pooled(opened.embedder.layers, layer, cell) for layer in layers]
    return Source(paths, store, step, pooled, read_dataset(params, dataset), network, opened, scaler)


def _open_store(path: Path, cell: Cell) -> Embeddings:
    if not path.exists():
        raise UserError(
            f"{path}: must hold the embeddings of {cell_name(cell)}, found none; with this cell in the grid of "
            f"params.yaml, run `dvc repro embed@{cell_name(cell)}`"
        )
    store = open_embeddings(path)
    check_cell(store, cell, f"{path}:")
    return store


def _pooled(layers: Sequence[PooledLayer], layer: Layer, cell: Cell) -> PooledLayer:
    for pooled in layers:
        if (pooled.tap.path, pooled.pooling) == (layer.module, layer.pooling):
            return replace(pooled, layer=layer)
    raise UserError(
        f"layer {layer.name!r} is in the embedding store, but not among the layers that params.yaml gives the network; "
        f"run `dvc repro embed@{cell_name(cell)}`"
    )
