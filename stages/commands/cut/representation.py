"""A saved representation as a network of its own: named layers of a network by name, and what is done with their rows.

Nothing of a study is needed: `whichlayer quick --out` or `Representation.save` wrote the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from ...core.representations.representation import Origin, Representation
from ...embed.embedder import Embedder, PooledLayer, pooled_layers
from ...embed.params import Pooling, TapsParams
from ...embed.taps.find import find_taps
from ...prepare.bits import FULL
from ...shared.networks.device import FULL as NOT_MIXED
from ...shared.networks.device import Compute
from ...shared.networks.network import Network, build_network
from ...shared.networks.params import NetworkParams, named_network
from ...shared.runtime.errors import UserError, check_known
from ...shared.runtime.package import PARAMS
from ...shared.workflow.params import load
from . import export
from .card import REPRESENTATION_HEAD, network_facts, size_facts
from .folder import ONNX, PROGRAM, Reference, write_folder
from .represented import Represented
from .source import embedding

DECODE: dict[str, Any] = {"fit": "crop", "fill": 255, "bits": FULL}
"""How images are decoded, beside their size: as `quick` and `embed` do."""

TRIED = 16
"""Images of a kind with which a cut is tried."""

TOLERANCES = {PROGRAM: 1e-4, ONNX: 1e-2}
"""Largest distance by default, relative to the length of a vector. onnxruntime computes in another order, which
moves a layer's row by 4e-7 of its length. Whitening the first layers of strokes makes 1% of that, as strokes vary so
little along their last axes. MAP@R moves by less than 0.001."""


@dataclass(frozen=True)
class Opened:
    """A representation and its network.

    Attributes:
        origin: what the file says of the network.
        params: the network's entry.
        network: in evaluation mode.
        layers: those that are joined.
        scaler: what is done with their rows.
    """

    origin: Origin
    params: NetworkParams
    network: Network
    layers: Sequence[PooledLayer]
    scaler: Represented

    def embedder(self, compute: Compute) -> Embedder:
        """Move the network to the device, and return what embeds batches at the layers."""
        self.network.move(compute.device)
        return Embedder(self.network, self.layers, logits=False, rotation=None, compute=compute)

    @property
    def about(self) -> dict[str, Any]:
        """What its vectors are of."""
        of = self.scaler.representation
        named = {"network": self.origin.network, "step": 0, "layer": "+".join(of.layers)}
        return named | {"pooling": self.origin.pooling, "scale": of.recipe}


def open_representation(path: Path) -> Opened:
    """Load a representation, and build its network.

    Raises:
        UserError: it is another file, does not name a network, or the network has other layers.
    """
    of = Representation.load(path)
    if of.origin is None:
        raise UserError(
            f"{path}: must give its layers' network, found none: they came as arrays; fit it to layers that "
            "`whichlayer.embed` made with a network's name, or use `whichlayer quick --out`"
        )
    params = named_network(load(PARAMS)["models"], of.origin.network, of.origin.image_size)
    network = build_network(params, 1, seed=0)
    check_known(of.origin.pooling, get_args(Pooling), f"{path}: pooling must be known, found {of.origin.pooling!r}")
    pooling: Any = of.origin.pooling
    pooled = {each.tap.path: each for each in pooled_layers(find_taps(network, params, TapsParams()), [pooling])}
    for name, width in zip(of.layers, of.widths_, strict=True):
        check_known(name, pooled, f"{path}: {of.origin.network} must have the layer {name!r}")
        if pooled[name].layer.width != width:
            found = pooled[name].layer.width
            raise UserError(
                f"{path}: layer {name!r} must have {width} features, found {found}: it belongs to another network"
            )
    return Opened(of.origin, params, network, [pooled[name] for name in of.layers], Represented(of))


def take_images(opened: Opened) -> Reference:
    """Make images of noise and of strokes on white, which whitening takes furthest apart, with the library's vectors.

    The library runs on the CPU, as the files do here: a GPU differs by more than an export may.
    """
    size, random = opened.params.image_size, np.random.default_rng(0)
    coarse = random.integers(0, 256, (TRIED, 3, 4, 4)).repeat(-(-size // 4), axis=2).repeat(-(-size // 4), axis=3)
    noise = coarse[:, :, :size, :size] + random.normal(0, 20, (TRIED, 3, size, size))
    strokes = np.full((TRIED, 3, size, size), 255)
    for image in strokes:
        for place, ink, start, end in random.integers(0, (size, 120, size // 2, size), (6, 4)).tolist():
            image[:, place : place + 2, start // 2 : end] = ink
            image[:, start : start + end // 2, size - place : size - place + 2] = ink
    pixels = np.concatenate([noise, strokes]).clip(0, 255).astype(np.uint8)
    embedder = opened.embedder(Compute(torch.device("cpu"), NOT_MIXED))
    with embedding(embedder, opened.scaler, len(pixels)) as embed:
        expected = embed(pixels.transpose(0, 2, 3, 1))
    return Reference("noise and strokes", "the library", pixels, expected)


def cut_representation(
    out: Path, path: Path, *, onnx: bool, tolerance: float | None, licence: str | None
) -> dict[str, Any]:
    """Write a representation and its network as files that load without this project, with a short card.

    Args:
        out: the folder.
        path: the representation's file.
        onnx: whether to write model.onnx.
        tolerance: how far a file may be from the library, relative to the length of a vector; None: `TOLERANCES`.
        licence: of the pre-trained weights, where the user says it.

    Returns:
        The content of card.json.

    Raises:
        UserError: the network cannot be exported, or a file does not agree.
    """
    opened = open_representation(path)
    reference = take_images(opened)
    most = {file: tolerance or default for file, default in TOLERANCES.items()}
    network, of = opened.network, opened.scaler.representation
    program, tensors = export.export_layer(network, opened.layers, opened.params.image_size, opened.scaler)
    layer = {"name": opened.about["layer"], "pooling": opened.origin.pooling, "width": of.n_features_out_}
    operations = max(each.layer.operations for each in opened.layers)
    facts = {
        "cell": {"network": opened.origin.network, "step": 0},
        "layer": layer | {"scale": of.recipe},
        "representation": opened.scaler.about,
        "network": network_facts(opened.params, network.module, licence),
        "size": size_facts(network, tensors, operations),
    }
    decode = {"image_size": opened.params.image_size, **DECODE}
    return write_folder(out, program, tensors, facts, decode, reference, most, onnx=onnx, head=REPRESENTATION_HEAD)
