"""How a batch of packed images becomes every layer's embedding: input, one forward pass, pooling, transfer to memory.

A layer's output becomes one vector per image by the pooling that is asked for:

requested   on tokens (B, T, D)                         on maps (B, D, H, W) or (B, H, W, D)
auto        class token where there is one, else mean   mean
mean        mean over patch tokens                      mean over space
max         maximum over patch tokens                   maximum over space
token0      token 0: the class token, or a corner       the corner at row 0, column 0
gem         generalized mean over patch tokens           generalized mean over space
cls+mean    class token beside the mean, where it is     mean
paper       token 0                                     channels first: mean; channels last: the corner

`paper` is the authors' rule, which depends on the family of the network: token 0 for transformers (ViT, Swin, PVT), the
spatial mean for convolutional networks and hybrids with maps (ResNet, CvT, PoolFormer, ConvNeXtV2). With the
transformers library, the former put out tokens and the latter maps; channels-last maps are Swin's in other libraries.
The generalized mean is the cubic one of positive values (Radenovic, Tolias and Chum, arXiv 1711.02512). Class and
register tokens are not patch tokens. An output that is a vector already is unchanged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..shared.embeddings.embeddings import BASELINE, LOGITS, Layer
from ..shared.images.image_store import SPLITS, PackedImages, Pixels, Rows, filled
from ..shared.networks.device import Compute, choose_device
from ..shared.networks.network import Network, build_network
from ..shared.networks.params import NetworkParams
from ..shared.networks.transforms import draw_angles, resize
from ..shared.runtime.errors import UserError
from ..shared.workflow.seeding import child_seed
from .folding import FoldedNorms
from .params import EmbedParams, Pooling, TapsParams
from .taps.find import find_taps
from .taps.tap import Tap

PoolingKind = Literal["none", "class_token", "token0", "mean", "max", "gem", "cls_mean"]
GEM_POWER, GEM_LEAST = 3.0, 1e-6
"""Of the generalized mean, and the least value that it takes."""

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
    if pooling == "cls+mean":
        return "cls_mean" if tap.class_token else "mean"
    return pooling


def pool(output: Tensor, tap: Tap, pooling: PoolingKind) -> Tensor:
    """Reduce a layer's output to one vector per image.

    Args:
        output: a batch's output in the tap's layout.
        tap: the layer.
        pooling: as `pooling_kind` gave it.

    Returns:
        (B, D) float32, of `cls_mean` (B, 2 D), on the same device, sharing no memory with `output`, which a later
        module may overwrite.
    """
    if pooling == "none":
        return output.to(torch.float32, copy=True)
    if pooling in ("class_token", "token0"):
        return output[FIRST[tap.layout]].to(torch.float32, copy=True)
    patches = output[:, tap.prefix_tokens :] if tap.layout == "tokens" else output
    if pooling == "max":
        return patches.amax(SPACE[tap.layout]).to(torch.float32)
    if pooling == "gem":
        positive = patches.to(torch.float32).clamp(min=GEM_LEAST)
        return positive.pow(GEM_POWER).mean(SPACE[tap.layout]).pow(1 / GEM_POWER)
    mean = patches.mean(SPACE[tap.layout], dtype=torch.float32)
    return torch.cat([output[:, 0].to(torch.float32), mean], dim=1) if pooling == "cls_mean" else mean


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
            width = tap.width * (1 + (pooling == "cls_mean"))
            layer = Layer(name, tap.path, tap.depth, pooling, width, tap.parameters, tap.operations)
            pooled.append(PooledLayer(tap, pooling, layer))
    return pooled


def baseline_layers(size: int) -> list[Layer]:
    """List the raw-pixel baseline, images reduced to size x size x 3, as the layer at depth -1; none if size is 0."""
    return [Layer(BASELINE, "", -1, "none", size * size * 3, 0, 0)] if size else []


@contextmanager
def layer_embeddings(
    network: Network, layers: Sequence[PooledLayer], *, logits: bool = True
) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
    """Pool every layer's output while the network runs; its hooks exist inside the `with` block only.

    Pooling happens inside the hook, on the device: no unpooled output outlives its module, and none is changed by an
    in-place activation before it is read. The hook returns nothing: the network computes what it would without it.

    Yields:
        A function that runs the network on a batch, (B, 3, H, W) float, normalized, and returns every layer's name with
        its (B, D), in order, then `logits` with (B, K), if asked for; float32, on the device.
    """
    pooled: dict[str, Tensor] = {}
    by_path: dict[str, list[PooledLayer]] = {}
    for layer in layers:
        by_path.setdefault(layer.tap.path, []).append(layer)

    def keep(path: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        for layer in by_path[path]:
            if layer.layer.name in pooled:
                raise UserError(
                    f"module {path!r} must run once in a forward pass, runs again; choose another in `taps.layers`"
                )
            tensor = output if layer.tap.item is None else output[layer.tap.item]
            pooled[layer.layer.name] = pool(tensor, layer.tap, layer.pooling)

    def embed(inputs: Tensor) -> dict[str, Tensor]:
        pooled.clear()
        if logits:
            pooled[LOGITS] = network.logits(inputs).float()
        else:
            network.module(inputs)
        return {name: pooled[name] for name in [*(layer.layer.name for layer in layers), *([LOGITS] if logits else [])]}

    with ExitStack() as hooks:
        for path in by_path:
            hooks.callback(network.module.get_submodule(path).register_forward_hook(partial(keep, path)).remove)
        yield embed


EmbedBatch = Callable[[Rows, Pixels], dict[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Rotation:
    """The training transform of every image of a dataset.

    Attributes:
        angles: (all images,) in degrees; 0 where the fold does not use the image.
        padding: width of the border in pixels at 224 px.
        fill: the border's grey level, 0 to 255.
    """

    angles: Tensor
    padding: int
    fill: int


@dataclass(frozen=True)
class Embedder:
    """A network on its device, and what is taken from it.

    Attributes:
        network: in evaluation mode; each checkpoint is loaded into it in turn.
        layers: the layers under their poolings.
        logits: whether the head's logits are taken too.
        rotation: with `embed.augment`; None: the evaluation transform.
        compute: device and precision.
    """

    network: Network
    layers: Sequence[PooledLayer]
    logits: bool
    rotation: Rotation | None
    compute: Compute

    def inputs(self, rows: Rows, pixels: Pixels) -> Tensor:
        """Transform one batch: (B, S, S, 3) uint8 -> (B, 3, size, size) float32 on the device."""
        batch = to_device(torch.from_numpy(pixels), self.compute.device)
        if self.rotation is None:
            return self.network.transform.evaluation(batch)
        turned = self.rotation
        return self.network.transform.training(batch, turned.angles[rows], padding=turned.padding, fill=turned.fill)

    @contextmanager
    def running(self, batch_size: int = 1) -> Iterator[EmbedBatch]:
        """Hook the layers of the network as it is; give what embeds a batch: rows and pixels -> {name: (B, D)}.

        A batch passes as `batch_size` images at least, so that an image's embedding does not depend on how many it has.
        """
        with torch.inference_mode(), layer_embeddings(self.network, self.layers, logits=self.logits) as embed:
            blank = torch.zeros(1, 3, *[self.network.transform.size] * 2, device=self.compute.device)
            norms = FoldedNorms(lambda: embed(blank))

            def embed_batch(rows: Rows, pixels: Pixels) -> dict[str, NDArray[np.float32]]:
                inputs = self.inputs(filled(rows, batch_size), filled(pixels, batch_size))
                with self.compute.autocast(), norms or nullcontext():
                    return {name: values[: len(pixels)] for name, values in to_arrays(embed(inputs)).items()}

            yield embed_batch


def open_embedder(
    network_params: NetworkParams,
    taps_params: TapsParams,
    params: EmbedParams,
    images: PackedImages,
    *,
    classes: int,
    augment: Mapping[str, Any],
    seed: int,
) -> Embedder:
    """Build a cell's network on the device, and find its layers.

    Args:
        network_params, taps_params: the model's entry.
        params: the `embed` section.
        images: the dataset.
        classes: number of the head's outputs; 0 of a frozen network, which has no head.
        augment: `degrees` and `padding` of the training transform, for `embed.augment`.
        seed: of the cell; rotations are drawn from it.

    Raises:
        UserError: a module path is not in the network.
    """
    network = build_network(network_params, max(1, classes), seed=seed, load_weights=False)
    taps = find_taps(network, network_params, taps_params)
    compute = choose_device()
    network.move(compute.device)
    return Embedder(
        network=network,
        layers=pooled_layers(taps, params.pooling),
        logits=not network_params.frozen,
        rotation=draw_rotation(images, augment, seed) if params.augment else None,
        compute=compute,
    )


def draw_rotation(images: PackedImages, augment: Mapping[str, Any], seed: int) -> Rotation:
    """Draw one rotation per image of a fold, split after split, the same at every checkpoint.

    Args:
        images: the dataset.
        augment: `degrees` and `padding` of the training transform.
        seed: of the cell.
    """
    generator = torch.Generator().manual_seed(child_seed(seed, "embed", "rotation"))
    rows = images.rows(*SPLITS)
    angles = torch.zeros(len(images.manifest))
    angles[rows] = draw_angles(len(rows), augment["degrees"], generator)
    return Rotation(angles, augment["padding"], images.fill)


def raw_pixels(pixels: Pixels, size: int) -> NDArray[np.float32]:
    """Reduce images: (B, S, S, 3) uint8 -> (B, size * size * 3) float32 in [0, 1], row by row, RGB last."""
    few = 16  # at a time: as floats a whole batch is far larger than a cache
    parts = [resize(torch.from_numpy(pixels[i : i + few]), size) for i in range(0, len(pixels), few)]
    return torch.cat(parts).permute(0, 2, 3, 1).flatten(1).numpy()


def to_device(batch: Tensor, device: torch.device) -> Tensor:
    """Move a batch from memory to a device; to a CUDA device by pinned memory, while the processor goes on."""
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.to(device)


def send(embeddings: Mapping[str, Tensor]) -> Callable[[], dict[str, NDArray[np.float32]]]:
    """Begin to move a batch's embeddings {name: (B, D)} to memory in one transfer.

    Returns:
        A function that waits for them; a CUDA device may have been given the next batch meanwhile.
    """
    widths = [tensor.shape[1] for tensor in embeddings.values()]
    joined = torch.cat(list(embeddings.values()), dim=1)
    received = joined.to("cpu", non_blocking=joined.is_cuda)  # then pinned
    end = torch.cuda.current_stream(joined.device).record_event() if joined.is_cuda else None

    def wait() -> dict[str, NDArray[np.float32]]:
        if end:
            end.synchronize()
        return dict(zip(embeddings, np.split(received.numpy(), np.cumsum(widths)[:-1], axis=1), strict=True))

    return wait


def to_arrays(embeddings: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Move a batch's embeddings {name: (B, D)} to memory, and wait for them."""
    return send(embeddings)()


def stored(values: NDArray[np.float32], name: str, step: int, dtype: str) -> NDArray[Any]:
    """Turn a batch of one array (B, D) into the type in which it is stored; logits stay float32.

    Raises:
        UserError: a value is NaN or infinite, also by the conversion.
    """
    with np.errstate(over="ignore"):  # what overflows is reported below
        converted = values if name == LOGITS else values.astype(dtype, copy=False)
    if np.isfinite(converted).all():
        return converted
    bad = int((~np.isfinite(converted)).any(axis=1).sum())
    raise UserError(
        f"layer {name!r} at step {step} must be finite, found NaN or infinity in {bad} of {len(converted)} images of "
        "a batch. Values above 65504 overflow with embed.dtype float16 (use float32) and with "
        "WHICHLAYER_PRECISION=fp16 (use bf16, or no); else training diverged: lower finetune.learning_rate"
    )
