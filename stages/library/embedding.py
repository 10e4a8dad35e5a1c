"""Embed images in memory at every layer of any network: of a library, by its name, or a module in the hand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ..embed.embedder import layer_embeddings, pooled_layers, stored, to_arrays
from ..embed.folding import FoldedNorms
from ..embed.params import Pooling, TapsParams
from ..embed.taps.find import find_taps
from ..embed.taps.libraries import LIBRARIES, Library
from ..embed.taps.tap import Trace, is_layer, tensors
from ..prepare.decode import decode_many
from ..shared.images.image_store import Pixels, filled
from ..shared.networks.device import choose_device
from ..shared.networks.network import Network, build_network
from ..shared.networks.params import NetworkParams, WeightsParams
from ..shared.networks.transforms import Transform
from ..shared.runtime.errors import UserError
from ..shared.runtime.progress import progress
from .checks import Layers

Images = Sequence[str | Path] | Pixels
"""Paths of files, or (N, H, W, 3) uint8, RGB."""


class Children:
    """Layers of a module of no known library: its children that run once; of a Sequential child, those inside."""

    @staticmethod
    def default_layers(module: nn.Module, trace: Trace) -> dict[str, int | None]:
        """Return the paths of the layers, each with None: the first of its tensors is taken."""
        paths = list[str]()
        for name, child in module.named_children():
            inside = [f"{name}.{path}" for path, _ in child.named_children()]
            paths += inside if isinstance(child, nn.Sequential | nn.ModuleList) and inside else [name]
        once = [path for path in paths if trace.runs.get(path) == 1]
        return dict.fromkeys(path for path in once if any(is_layer(each) for _, each in tensors(trace.outputs[path])))

    @staticmethod
    def channels_last(module: nn.Module) -> bool:
        """Return whether maps are (B, H, W, C) where their shape does not tell."""
        return False


def embed_named(params: NetworkParams, images: Images, taps: TapsParams, pooling: Pooling, batch_size: int) -> Layers:
    """Embed images by a library's network as the workflow does: made square, and normalized as its weights want.

    Args:
        params: the network.
        images: paths, or (N, S, S, 3) uint8.
        taps: which layers.
        pooling: how an output becomes a vector.
        batch_size: images per forward pass.

    Returns:
        Layer -> (N, D) float32, from input to output.

    Raises:
        UserError: an image cannot be decoded, or the network cannot be built.
    """
    check_images(images, square=True)
    network, device = build_network(params, 1, seed=0), choose_device().device
    network.move(device)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            pixels = part if isinstance(part, np.ndarray) else _decoded(part, params.image_size)
            yield network.transform.evaluation(torch.from_numpy(filled(pixels, batch_size)).to(device))

    return _embedded(network, params, LIBRARIES[params.library], taps, pooling, batches(), len(images), batch_size)


def embed_module(
    module: nn.Module,
    images: Images,
    taps: TapsParams,
    transform: Callable[[Image.Image], Tensor],
    pooling: Pooling,
    batch_size: int,
) -> Layers:
    """Embed images by a module, on the device where it is, in evaluation mode.

    Args:
        module: takes (B, 3, H, W); its own output is not used.
        images: paths, or (N, H, W, 3) uint8.
        taps: which layers.
        transform: from an RGB image to the module's input (3, H, H), float.
        pooling: how an output becomes a vector.
        batch_size: images per forward pass.

    Returns:
        Layer -> (N, D) float32, from input to output.

    Raises:
        UserError: `transform` gives something else, or a layer is none.
    """
    check_images(images)
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(images), batch_size):
            read = (_read(image) for image in images[start : start + batch_size])
            yield torch.stack([_checked(transform(image)) for image in read]).to(device)

    size = _checked(transform(_read(images[0]))).shape[-1]
    params = NetworkParams(library="torchvision", name="module", weights=WeightsParams(source="none"), image_size=size)
    library = LIBRARIES.get(type(module).__module__.partition(".")[0], Children)
    network = Network(module, (), Transform(size, (0, 0, 0), (1, 1, 1), channels_last=False))
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        return _embedded(network, params, library, taps, pooling, batches(), len(images), batch_size)
    finally:
        for child, mode in training.items():
            child.training = mode


def _embedded(
    network: Network,
    params: NetworkParams,
    library: Library,
    taps: TapsParams,
    pooling: Pooling,
    batches: Iterator[Tensor],
    count: int,
    batch_size: int,
) -> Layers:
    layers = pooled_layers(find_taps(network, params, taps, library), [pooling])
    found: dict[str, list[NDArray[np.float32]]] = {layer.layer.name: [] for layer in layers}
    with torch.inference_mode(), layer_embeddings(network, layers, logits=False) as embed:
        norms: FoldedNorms | None = None
        for batch in progress(batches, total=-(-count // batch_size), what="embed", unit="batch"):
            if network.head and norms is None:  # a library's network, as the workflow runs it
                blank = torch.zeros_like(batch[:1])
                norms = FoldedNorms(lambda blank=blank: embed(blank))  # type: ignore[misc]
            with norms or nullcontext():
                for name, values in to_arrays(embed(batch)).items():
                    found[name].append(values)
    arrays = {name: stored(np.concatenate(parts)[:count], name, 0, "float32") for name, parts in found.items()}
    return Layers(arrays, {layer.layer.name: layer.layer for layer in layers})


def check_images(images: Images, *, square: bool = False) -> None:
    """Check what is given for images.

    Raises:
        UserError: it is empty, or an array of another shape or type.
    """
    if isinstance(images, str | Path):
        raise UserError(f"images must be a list of paths, found {str(images)!r}")
    if not len(images):
        raise UserError("images must be at least one, found none")
    if not isinstance(images, np.ndarray):
        if wrong := [each for each in images if not isinstance(each, str | Path)]:
            raise UserError(
                f"images must be paths or a NumPy array (N, H, W, 3) uint8, found {type(wrong[0]).__name__}"
            )
        return
    height, width, channels = images.shape[1:] if images.ndim == 4 else (0, 0, 0)
    if images.dtype != np.uint8 or channels != 3 or (square and height != width):
        shape = "(N, S, S, 3)" if square else "(N, H, W, 3)"
        raise UserError(f"images must be paths or uint8 of shape {shape}, RGB, found {images.dtype} of {images.shape}")


def _decoded(paths: Sequence[str | Path], size: int) -> Pixels:
    """Decode files to squares as the prepare stage does by default, (B, S, S, 3)."""
    decoded = decode_many([Path(path).read_bytes for path in paths], size=size, fit="crop", fill=255)
    pixels = []
    for path, (_, image) in zip(paths, decoded, strict=True):
        if isinstance(image, str):
            raise UserError(f"{path}: {image}")
        pixels.append(image.pixels)
    return np.stack(pixels)


def _read(image: str | Path | Pixels) -> Image.Image:
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    try:
        with Image.open(image) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise UserError(f"{image}: must be an image, found {error}") from None


def _checked(image: Tensor) -> Tensor:
    if not isinstance(image, Tensor) or image.ndim != 3 or image.shape[1] != image.shape[2]:
        found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise UserError(f"transform must give a tensor (3, H, H) for each RGB image, found {found}")
    return image
