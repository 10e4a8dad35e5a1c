"""Layers of one checkpoint of a finished cell: which are meant, how scaled, its network, images and embeddings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...aggregate.facts import Recommendation, best_network
from ...aggregate.facts_file import FILE, read_facts
from ...aggregate.words.formatting import joined
from ...aggregate.words.recommendation import reason
from ...core.scores.probe import column_moments
from ...embed import cell as embed_stage
from ...embed.embedder import Embedder, PooledLayer
from ...embed.loading import checked_checkpoints, load_checkpoint
from ...embed.params import EmbedParams, TapsParams
from ...measure.checks import check_cell
from ...prepare.params import DatasetParams, read_dataset
from ...shared.embeddings.embedding_store import open_embeddings
from ...shared.embeddings.embeddings import Embeddings, Layer
from ...shared.embeddings.split_names import SEEN
from ...shared.images.image_store import PackedImages, Pixels, open_images
from ...shared.networks.params import NetworkParams
from ...shared.runtime.errors import UserError, check_known
from ...shared.tables.metric_table import Scaling
from ...shared.workflow.params import Cell, read_model_part, read_section
from ..dvc_project.workspace import stage_path
from ..grid import cell_name
from ..outdated import check_made_of
from .represented import Represented, fit_recommended, record_of

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Scaler:
    """How vectors are scaled.

    Attributes:
        scaling: `none`: as they are, `l2`: to length 1 (zeros stay), in each of several layers; `standard`: every
            feature less its mean, over its standard deviation.
        fitted: mean and deviation, (D,) each, of `standard`, by the names that they have in a program.
    """

    scaling: Scaling = "none"
    fitted: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def program(self) -> tuple[Any, Any]:
        """The function of vectors, its second argument, and after it come those in `fitted`, for a program."""
        return join, self.scaling

    def join(self, parts: Sequence[Float32]) -> Float32:
        """Scale the vectors of every layer, (B, D) each, and put them side by side."""
        return join([torch.from_numpy(part) for part in parts], self.scaling, *self.fitted.values()).numpy()


class Joiner(Protocol):
    """What makes one vector of those of several layers: a `Scaler`, or a representation's."""

    def join(self, parts: Sequence[Float32]) -> Float32:
        """Turn the vectors of every layer, (B, D) each, into one of each image, (B, width)."""

    @property
    def fitted(self) -> Mapping[str, Tensor]:
        """Tensors, by the names that they have in a program."""

    @property
    def program(self) -> tuple[Any, Any]:
        """The function of vectors, its second argument, and after it come those in `fitted`."""


@contextmanager
def embedding(embedder: Embedder, joiner: Joiner, batch_size: int) -> Iterator[Callable[[Pixels], Float32]]:
    """Embed images at an embedder's layers, scaled and joined: (B, S, S, 3) uint8, RGB -> (B, width)."""
    with embedder.running(batch_size) as embed_batch:

        def embed(pixels: Pixels) -> Float32:
            embedded = embed_batch(np.arange(len(pixels)), pixels)
            return joiner.join([embedded[pooled.layer.name] for pooled in embedder.layers])

        yield embed


def join(parts: Sequence[Tensor], scaling: Scaling, *fitted: Tensor) -> Tensor:
    """Scale the vectors of every layer, (B, D) each, by mean and deviation if these were fitted; put them together."""
    if scaling == "l2":
        lengths = [torch.linalg.vector_norm(part, dim=1, keepdim=True) for part in parts]
        pairs = zip(parts, lengths, strict=True)
        parts = [part / torch.where(length > 0, length, torch.ones_like(length)) for part, length in pairs]
    if fitted:
        mean, deviation = fitted
        parts = [(parts[0] - mean) / deviation]
    return torch.cat([*parts], dim=1) if len(parts) > 1 else parts[0]


def fit_scaler(store: Embeddings, layers: Sequence[Layer], step: int, scaling: Scaling) -> Scaler:
    """Fit a scaling: `standard` to the seen classes' test images, or to the unseen ones where there are no others.

    Raises:
        UserError: several layers are to be scaled in another way than to length 1.
    """
    if len(layers) > 1 and scaling != "l2":
        raise UserError(f"--scale: several layers are each L2-normalized (l2), found {scaling}; leave it out")
    if scaling != "standard":
        return Scaler(scaling)
    split = SEEN if SEEN in store.splits else store.splits[0]
    moments = column_moments(store.features(layers[0], step, split))
    mean, deviation = (torch.from_numpy(moment.astype(np.float32)) for moment in moments)
    return Scaler(scaling, {"scale_mean": mean, "scale_deviation": deviation})


RECOMMENDED, LAST, REPRESENTATION = "recommended", "last", "representation"
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        layers: `recommended`, `last` (in its main pooling) or the name of a layer in the embedding store each; none:
            the recommended one; or only `representation`, the recommended one of a frozen network.
        step: of the checkpoint; None: the one that is recommended for the first layer, else for its network, else the
            last.
        use: what features are for; None: that of the study.
        scale: how vectors are scaled; None: to length 1 in each of several layers, else as the rows are of which the
            use's score is, else not at all.
        dimensions: of a representation; None: all.

    Raises:
        UserError: something is named that a representation settles itself, or dimensions without one.
    """

    layers: Sequence[str] = ()
    step: int | None = None
    use: str | None = None
    scale: Scaling | None = None
    dimensions: int | None = None

    def __post_init__(self) -> None:
        if not self.is_representation and self.dimensions is not None:
            raise UserError(f"--dimensions: only a representation has fewer; add --layer {REPRESENTATION}")
        use = None if self.use == "retrieval" else self.use
        given = {"step": self.step, "use": use, "scale": self.scale, "layer": self.layers[1:] or None}
        wrong = [name for name, value in given.items() if value is not None]
        if self.is_representation and wrong:
            raise UserError(
                f"--{wrong[0]}: --layer {REPRESENTATION} is for retrieval, with its own layers, step and scale; "
                "leave one out"
            )

    @property
    def is_representation(self) -> bool:
        """Whether the study's representation is asked for."""
        return REPRESENTATION in self.layers


def named_cell(origin: str | None, wanted: Wanted) -> Cell:
    """Read the cell that `--from` names, `<dataset>/<model>/<fold>/<seed>`, which may be the end of a longer path.

    Args:
        origin: what it names; None: the cell of the best network for the use, or of the best representation.
        wanted: what features are for; None: that of the study.

    Raises:
        UserError: it is no cell, or the results leave open which network is the best.
    """
    origin = origin or recommended_cell(stage_path("aggregate", "--out"), wanted)
    found = re.fullmatch(r"(?:.*/)?([^/]+)/([^/]+)/([^/]+)/([0-9]+)/*", origin)
    if not found:
        raise UserError(
            "--from must be a cell, dataset/model/fold/seed, for example handwriting/efficientnet_lite0/0/0, or for "
            f"new images a cut's folder; found {origin!r}"
        )
    return found[1], found[2], found[3], int(found[4])


def recommended_cell(results: Path, wanted: Wanted) -> str:
    """Return the cell of the best network for a use, or of the best representation, `<dataset>/<model>/<fold>/<seed>`.

    Args:
        results: the folder that the aggregate stage wrote.
        wanted: what features are for; None: that of the study.

    Raises:
        UserError: the results leave open which network that is.
    """
    facts = read_facts(results)
    if wanted.is_representation:
        record = record_of(facts)
        return f"{record.dataset}/{record.model}/{facts.cell}"
    found = facts.of_use(wanted.use)
    uses = dict.fromkeys(each.use for each in found)
    of_datasets = {each.dataset for each in found}
    best = [best_network([each for each in found if each.use == own]) for own in uses]
    models = {each.model for each in best if each is not None}
    if len(of_datasets) > 1 or len(models) != 1:
        named = f"{len(of_datasets)} datasets" if len(of_datasets) > 1 else f"{len(models)} best networks, by use"
        raise UserError(f"--from: must be a cell (dataset/model/fold/seed), since the results have {named}")
    return f"{found[0].dataset}/{models.pop()}/{facts.cell}"


def choose(store: Embeddings, results: Path, wanted: Wanted) -> tuple[list[Layer], int, Scaling]:
    """Find layers of an embedding store, the step of the checkpoint, and how their vectors are scaled.

    Args:
        store: of the cell.
        results: the folder that the aggregate stage wrote, or would; read where something is not given.
        wanted: what is.

    Raises:
        UserError: there is no such layer or step, a layer is named twice, or the results leave open which is meant.
    """
    names = wanted.layers or [RECOMMENDED]
    asked = RECOMMENDED in names or (None in (wanted.step, wanted.scale) and (results / FILE).is_file())
    found = read_facts(results).of_use(wanted.use) if asked else []
    found = [each for each in found if (each.dataset, each.model) == store.cell[:2]]
    useful = [each for each in found if each.recommended is not None]
    layers = [_recommended(store, found, useful) if name == RECOMMENDED else _named(store, name) for name in names]
    if len({layer.name for layer in layers}) < len(layers):
        raise UserError(
            f"--layer: several layers must differ, found {', '.join(layer.name for layer in layers)}; list each once"
        )
    of_layer = [each for each in useful if each.best.layer == layers[0].module]
    step = wanted.step
    if step is None:
        step = _agreed("step", {each.use: each.best.step for each in of_layer or useful})
    step = store.steps[-1] if step is None else step
    if step not in store.steps:
        raise UserError(
            f"--step: {cell_name(store.cell)} has embeddings at the steps {', '.join(map(str, store.steps))}, not "
            f"{step}; put it into finetune.steps, with finetune.keep: all; a frozen network has step 0 alone"
        )
    scale: Scaling | None = wanted.scale or ("l2" if len(layers) > 1 else None)
    return layers, step, scale or _agreed("scale", {each.use: each.normalize for each in found}) or "none"


def _agreed(option: str, by_use: Mapping[str, T]) -> T | None:
    """Return what all uses have in common; None if there are none."""
    if len(set(by_use.values())) > 1:
        named = joined([f"{use} {value}" for use, value in by_use.items()])
        raise UserError(f"--{option}: must be given, or what features are for (--use), since the results have {named}")
    return next(iter(by_use.values()), None)


def _recommended(store: Embeddings, found: Sequence[Recommendation], useful: Sequence[Recommendation]) -> Layer:
    """Find the recommended layer by its module and the poolings of its curve, which may be joined.

    Args:
        store: of the cell.
        found: what the results say of its network, for each use.
        useful: those that recommend a layer.
    """
    network = f"{store.dataset}, {store.model}"
    if not found:
        raise UserError(f"{FILE} must have a layer for {network}: run `dvc repro` with both, or name --layer")
    if not useful:
        raise UserError(f"{network} has no recommended layer: {reason(found[0])}; choose one (--layer)")
    _agreed("layer", {each.use: f"{each.best.layer} ({each.best.pooling})" for each in useful})
    best = useful[0].best
    of_module = [layer for layer in store.layers if layer.module == best.layer]
    if not of_module:
        raise UserError(f"layer {best.layer!r}, which the results name, is not in the embedding store; run `dvc repro`")
    return next((layer for layer in of_module if layer.pooling in best.pooling.split("+")), of_module[0])


def _named(store: Embeddings, name: str) -> Layer:
    layers = {layer.name: layer for layer in store.layers if layer.module}  # not the raw pixels
    if name == LAST and name not in layers:
        return max(layers.values(), key=lambda layer: layer.depth)
    choices = f"{RECOMMENDED}, {LAST}, {REPRESENTATION} or a layer of {store.dataset}, {store.model}"
    check_known(name, layers, f"--layer: {name!r} must be {choices}")
    return layers[name]


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
        prepared, weights, out = (stage_path("embed", f"--{name}", cell) for name in ("prepared", "weights", "out"))
        return cls(prepared, weights, out, stage_path("aggregate", "--out"))


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
    scaler: Scaler | Represented

    @property
    def layer(self) -> Layer:
        """The layer; of several what they are together."""
        layers = [pooled.layer for pooled in self.layers]
        whole: dict[str, Any] = {
            name: "+".join(getattr(x, name) for x in layers) for name in ("name", "module", "pooling")
        }
        whole |= {name: max(getattr(x, name) for x in layers) for name in ("depth", "parameters", "operations")}
        width = sum(layer.width for layer in layers)
        made = self.scaler.representation if isinstance(self.scaler, Represented) else None
        return Layer(**whole, width=made.n_features_out_ if made else width)

    @property
    def has_images(self) -> bool:
        """Whether the dataset's packed images are still there."""
        return len(self.cell.images.manifest) > 0

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.cell.checkpoints[self.step]


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
    taps = read_model_part(params, model, "taps", TapsParams)
    embed = read_section(params, "embed", EmbedParams)
    store = open_embeddings(paths.embeddings)
    check_cell(store, cell, f"{paths.embeddings}:")
    layers, step, scaler = _chosen(store, paths.results, wanted)
    entry = read_dataset(params, dataset)
    gone = not paths.prepared.is_dir()
    images = without_images(store, entry) if gone else open_images(paths.prepared, fold, dataset=dataset)
    checkpoints = checked_checkpoints(paths.weights, images, cell)
    opened = embed_stage.open_cell(images, checkpoints, taps, embed, seed=seed)
    load_checkpoint(opened.embedder.network, opened.checkpoints[step])
    opened.embedder.network.move(torch.device("cpu"))
    places: dict[tuple[str, str], PooledLayer] = {
        (each.tap.path, each.pooling): each for each in opened.embedder.layers
    }
    for layer in layers:
        if (layer.module, layer.pooling) not in places:
            raise UserError(
                f"layer {layer.name!r} is in the embedding store, but not among the layers that params.yaml gives the "
                f"network; run `dvc repro embed@{cell_name(cell)}`"
            )
    pooled = [replace(places[layer.module, layer.pooling], layer=layer) for layer in layers]
    return Source(paths, store, step, pooled, entry, checkpoints.network, opened, scaler)


def _chosen(store: Embeddings, results: Path, wanted: Wanted) -> tuple[list[Layer], int, Scaler | Represented]:
    """Find the layers and the step, and fit what is done with their vectors."""
    if wanted.is_representation:
        represented = fit_recommended(store, record_of(read_facts(results), store.cell[:2]), wanted.dimensions)
        return [_named(store, name) for name in represented.representation.layers], store.steps[-1], represented
    layers, step, scale = choose(store, results, wanted)
    return layers, step, fit_scaler(store, layers, step, scale)


def without_images(store: Embeddings, entry: DatasetParams) -> PackedImages:
    """Return a dataset whose packed images are gone: how new ones are decoded, and the classes of the head."""
    manifest = store.samples.iloc[:0]
    pixels = np.empty((0, entry.image_size, entry.image_size, 3), np.uint8)
    return PackedImages(manifest, entry.image_size, entry.fill, store.classes, (), pixels)
