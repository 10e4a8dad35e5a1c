"""How a layer's output becomes one vector per image, and which arrays of vectors an embedding store holds.

requested   on tokens (B, T, D)                         on maps (B, D, H, W) or (B, H, W, D)
auto        class token where there is one, else mean   mean
mean        mean over patch tokens                      mean over space
max         maximum over patch tokens                   maximum over space
token0      token 0: the class token, or a corner       the corner at row 0, column 0
paper       token 0                                     channels first: mean; channels last: the corner

`paper` is the authors' rule, which depends on the family of the network: token 0 for transformers (ViT, Swin, PVT), the
spatial mean for convolutional networks and hybrids with maps (ResNet, CvT, PoolFormer, ConvNeXtV2). With the
transformers library, the former put out tokens and the latter maps; channels-last maps are Swin's in other libraries.
Class and register tokens are not patch tokens. An output that is a vector already is unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stages.embed.params import Pooling
from stages.embed.taps.tap import Tap
from stages.shared.embeddings.embedding_store import BASELINE, Layer

PoolingKind = Literal["none", "class_token", "token0", "mean", "max"]
SPACE = {"nchw": (2, 3), "nhwc": (1, 2), "tokens": (1,)}
"""The dimensions of an output that are places in the image."""

ALL = slice(None)
FIRST: dict[str, tuple[slice | int, ...]] = {"nchw": (ALL, ALL, 0, 0), "nhwc": (ALL, 0, 0), "tokens": (ALL, 0)}
"""The index of token 0, or of the corner at row 0, column 0."""


def pooling_kind(tap: Tap, pooling: Pooling) -> PoolingKind:
    """Return what a requested pooling is for one layer; token 0 is called `class_token` where it is one."""
    if tap.layout == "vector":
        return "none"
    if pooling == "auto":
        return "class_token" if tap.class_token else "mean"
    if pooling == "paper":
        pooling = "mean" if tap.layout == "nchw" else "token0"
    if pooling == "token0":
        return "class_token" if tap.class_token else "token0"
    return pooling


def pool(output: Tensor, tap: Tap, pooling: PoolingKind) -> Tensor:
    """Reduce a layer's output to one vector per image.

    Args:
        output: a batch's output in the tap's layout.
        tap: the layer.
        pooling: as `pooling_kind` gave it.

    Returns:
        (B, D) float32 on the same device, sharing no memory with `output`, which a later module may overwrite.
    """
    if pooling == "none":
        return output.to(torch.float32, copy=True)
    if pooling in ("class_token", "token0"):
        return output[FIRST[tap.layout]].to(torch.float32, copy=True)
    patches = output[:, tap.prefix_tokens :] if tap.layout == "tokens" else output
    if pooling == "max":
        return patches.amax(SPACE[tap.layout]).to(torch.float32)
    return patches.mean(SPACE[tap.layout], dtype=torch.float32)


@dataclass(frozen=True)
class PooledLayer:
    """One module's output under one pooling, and the array it fills."""

    tap: Tap
    pooling: PoolingKind
    layer: Layer


def pooled_layers(taps: Sequence[Tap], poolings: Sequence[Pooling]) -> list[PooledLayer]:
    """List every layer under every pooling, in order of depth.

    The first pooling keeps the module's path as its name; a further one that differs from it is `<path>@<pooling>`.
    """
    pooled = []
    for tap in taps:
        for number, pooling in enumerate(dict.fromkeys(pooling_kind(tap, p) for p in poolings)):
            name = tap.path if number == 0 else f"{tap.path}@{pooling}"
            layer = Layer(name, tap.path, tap.depth, pooling, tap.width, tap.parameters, tap.operations)
            pooled.append(PooledLayer(tap, pooling, layer))
    return pooled


def baseline_layers(size: int) -> list[Layer]:
    """List the raw-pixel baseline, images reduced to size x size x 3, as the layer at depth -1; none if size is 0."""
    return [Layer(BASELINE, "", -1, "none", size * size * 3, 0, 0)] if size else []
