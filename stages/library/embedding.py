"""Embed images at every layer of any network: of a library, by its name, or a module in the hand."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..core.representations.representation import Origin
from ..embed.embedder import layer_embeddings, pooled_layers, pooling_kind, send, stored, to_device
from ..embed.folding import FoldedNorms
from ..embed.params import Pooling, TapsParams
from ..embed.taps.find import REMEDY, find_taps
from ..embed.taps.libraries import LIBRARIES, Library
from ..embed.taps.tap import BATCH, Tap, Trace, input_kind, is_layer, tensors
from ..prepare.bits import FULL, BadImageError, Bits
from ..prepare.decode import damage_named, decode_alike, decode_many
from ..prepare.raw_files import read_file
from ..shared.images.image_store import Pixels, filled
from ..shared.networks.device import Compute, choose_device
from ..shared.networks.hub import YOUR_OWN
from ..shared.networks.network import Network, build_network
from ..shared.networks.params import NetworkParams, WeightsParams
from ..shared.networks.transforms import Transform
from ..shared.runtime.bound import DECODING, tell_bound
from ..shared.runtime.errors import UserError, explain_system_error
from ..shared.runtime.progress import progress
from .checks import Layers

Listed = Sequence[str | os.PathLike[str] | Image.Image]
Images = Iterable[str | os.PathLike[str] | Image.Image] | Pixels
"""Paths of files, Pillow images, or (N, H, W, 3) uint8, RGB."""


BATCH_SIZE = 128


class Children:
    """Layers of a module of no known library: its children that run once; of a Sequential child, those inside."""

    FORWARD: Mapping[str, Any] = {}

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


class Unwrapped:
    """Layers of a module, or of the one network that it wraps: those that its library names, else its children."""

    FORWARD: Mapping[str, Any] = {}
    """Of the wrapping module; the network is given its own by a hook."""

    def __init__(self, module: nn.Module) -> None:
        names, library = list[str](), _library(module)
        while library is None and len(children := dict(module.named_children())) == 1:
            [(name, module)] = children.items()
            names, library = [*names, name], _library(module)
        self.path, self.network, self.library = ".".join(names), module, library or Children

    def default_layers(self, module: nn.Module, trace: Trace) -> dict[str, int | None]:
        """Return the paths of the layers below the wrapping module.

        Raises:
            UserError: there are fewer than two.
        """
        inside = trace.below(self.path)
        layers = self.library.default_layers(self.network, inside) or Children.default_layers(self.network, inside)
        if len(layers) < 2:
            found = ", ".join(layers) or "none"
            raise UserError(
                f"{type(module).__name__} must have two layers or more to choose from, found {found}; {REMEDY}"
            )
        return {f"{self.path}.{path}".removeprefix("."): item for path, item in layers.items()}

    def channels_last(self, module: nn.Module) -> bool:
        """Return whether maps are (B, H, W, C) where their shape does not tell."""
        return self.library.channels_last(self.network)

    def find_taps(self, network: Network, size: int, taps: TapsParams) -> list[Tap]:
        """Find the layers of the wrapping module.

        Args:
            network: it.
            size: height and width of its input.
            taps: which layers.

        Raises:
            UserError: there are none, or the module does not run on a batch of images.
        """
        name = type(network.module).__name__
        params = NetworkParams(library="torchvision", name=name, weights=WeightsParams(source="none"), image_size=size)

        def ask(_module: nn.Module, args: Any, options: dict[str, Any]) -> Any:
            return args, {**options, **self.library.FORWARD}

        hook = self.network.register_forward_pre_hook(ask, with_kwargs=True)
        try:
            return find_taps(network, params, taps, self)
        except UserError as error:
            said = str(error).replace("taps.layers", "layers").replace(REMEDY, "list them: layers=[module paths]")
            raise UserError(said) from None
        except Exception as error:  # of any kind, by the module
            if explain_system_error(error):
                raise
            raise UserError(
                f"{name} must run on an image batch only, {input_kind(network.module)[1]} with shape ({BATCH}, 3, "
                f"{size}, {size}) as transform gives them, found {type(error).__name__}: {error}; wrap a module "
                "that needs more in one whose forward(self, images) calls it"
            ) from error
        finally:
            hook.remove()


def _library(module: nn.Module) -> Library | None:
    """Return the library of a module's class, or of the first class that it extends of one."""
    packages = (kind.__module__.partition(".")[0] for kind in type(module).__mro__)
    return next((LIBRARIES[name] for name in packages if name in LIBRARIES), None)


@dataclass(frozen=True)
class Reading:
    """How files become pixels.

    Attributes:
        max_pixels: of an image.
        bits: how many bits images of 16 bits a sample use; None: the fewest into which all fit, with a warning.
        workers: threads that decode; None: one per processor, at most `MAX_THREADS`.
    """

    max_pixels: int
    bits: Bits | None
    workers: int | None = None

    def pixels(self, images: Listed | Pixels, size: int | None = None) -> Iterator[Pixels]:
        """Read images in order: (H, W, 3) uint8, or made square as the prepare stage does by default.

        Raises:
            UserError: naming one that is none.
        """
        if isinstance(images, np.ndarray):
            yield from images
            return
        names = [f"images[{i}]" if isinstance(each, Image.Image) else str(each) for i, each in enumerate(images)]
        contents = [
            partial(self._loaded, each, name) if isinstance(each, Image.Image) else partial(read_file, Path(each))
            for each, name in zip(images, names, strict=True)
        ]
        how: dict[str, Any] = {"max_pixels": self.max_pixels, "size": size, "workers": self.workers}
        if self.bits:
            decoded = decode_many(contents, bits=self.bits, **how)
        else:
            decoded = decode_alike(contents, tell=_warn, **how)
        for name, (_, image) in zip(names, decoded, strict=True):
            if isinstance(image, str):
                raise UserError(f"{name}: must be an image, found: {image}")
            yield image.pixels

    def _loaded(self, image: Image.Image, name: str) -> Image.Image:
        """Read the file of a Pillow image before threads do: one image may be there several times."""
        try:
            with damage_named(self.max_pixels):
                image.load()
        except BadImageError as error:
            raise UserError(f"{name}: must be an image, found: {error}") from None
        return image


def _warn(bits: Bits) -> None:
    warn(
        f"{FULL}-bit images use {bits} bits, so {2**bits - 1} is taken for white; say so by bits={bits}, or "
        f"bits={FULL} if they are to be as dark as that",
        stacklevel=2,
    )


def embed_named(
    params: NetworkParams,
    pixels: Iterable[Pixels],
    count: int,
    taps: TapsParams,
    poolings: Sequence[Pooling],
    batch_size: int = BATCH_SIZE,
    *,
    name: str = "",
) -> dict[Pooling, Layers]:
    """Embed images by a library's network as the workflow does, normalized as its weights want.

    Args:
        params: the network.
        pixels: of each image, (S, S, 3) uint8, at the network's size; no more than a batch is held.
        count: number of images, N.
        taps: which layers.
        poolings: how an output becomes a vector; all in one pass.
        batch_size: images per forward pass.
        name: by which `named_network` finds the network.

    Returns:
        For each pooling layer -> (N, D) float32, from input to output.

    Raises:
        UserError: the network cannot be built.
    """
    try:
        network, compute = build_network(params, 1, seed=0), choose_device()
    except UserError as error:
        entry = f"by a model's name in params.yaml that has {YOUR_OWN}; efficientnet_lite0 needs no network"
        raise UserError(str(error).replace(YOUR_OWN, entry)) from error
    device = compute.device
    network.move(device)
    stream = tell_bound(pixels, total=count, what="embed", by=DECODING)

    def batches() -> Iterator[Tensor]:
        while part := list(islice(stream, batch_size)):
            batch = torch.from_numpy(filled(np.stack(part), batch_size))
            yield network.transform.evaluation(to_device(batch, device))

    found = _embedded(network, find_taps(network, params, taps), poolings, batches(), count, batch_size, compute)
    for pooling, layers in found.items():
        layers.origin = Origin(name, params.image_size, pooling)
    return found


def embed_module(
    module: nn.Module,
    images: Images,
    taps: TapsParams,
    transform: Callable[[Image.Image], Tensor],
    pooling: Pooling,
    batch_size: int,
    reading: Reading,
) -> Layers:
    """Embed images by a module, on the device where it is, in evaluation mode.

    Args:
        module: takes (B, 3, H, W); its own output is not used.
        images: paths, Pillow images, or (N, H, W, 3) uint8.
        taps: which layers.
        transform: from an RGB image to the module's input (3, H, H), float.
        pooling: how an output becomes a vector.
        batch_size: images per forward pass.
        reading: how files become pixels.

    Returns:
        Layer -> (N, D) float32, from input to output.

    Raises:
        UserError: `transform` gives something else, or a layer is none.
    """
    images = check_images(images)
    device, dtype = input_kind(module)
    pixels = tell_bound(reading.pixels(images), total=len(images), what="embed", by=DECODING)
    inputs = _transformed(pixels, transform)
    first = next(inputs)
    inputs, size = chain([first], inputs), first.shape[-1]

    def batches() -> Iterator[Tensor]:
        while part := list(islice(inputs, batch_size)):
            yield to_device(torch.stack(part), device).to(dtype)

    network = Network(module, (), Transform(size, (0, 0, 0), (1, 1, 1), channels_last=False))
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        found = Unwrapped(module).find_taps(network, size, taps)
        return _embedded(network, found, [pooling], batches(), len(images), batch_size)[pooling]
    finally:
        for child, mode in training.items():
            child.training = mode


def _transformed(images: Iterator[Pixels], transform: Callable[[Image.Image], Tensor]) -> Iterator[Tensor]:
    """Turn images into inputs of one shape (3, H, H), float.

    Raises:
        UserError: `transform` gives something else.
    """
    first: Any = None
    for image in images:
        tensor = transform(Image.fromarray(image))
        known = isinstance(tensor, Tensor)
        first = tuple(tensor.shape) if first is None and known else first
        if not known or len(first) != 3 or first != (3, first[1], first[1]) or not tensor.is_floating_point():
            found = f"{tensor.dtype} of {tuple(tensor.shape)}" if known else type(tensor).__name__
            raise UserError(f"transform must give a tensor (3, H, H), float, for each RGB image, found {found}")
        if tensor.shape != first:
            raise UserError(
                f"transform must give tensors with one shape, found {first} and {tuple(tensor.shape)}; let it resize "
                "to a square, or resize and cut one out"
            )
        yield tensor


def _embedded(
    network: Network,
    taps: list[Tap],
    poolings: Sequence[Pooling],
    batches: Iterator[Tensor],
    count: int,
    batch_size: int,
    compute: Compute | None = None,
) -> dict[Pooling, Layers]:
    """Embed batches into arrays that exist once; in the precision of `compute`, of a module in its own."""
    layers = pooled_layers(taps, poolings)
    arrays, done = dict[str, NDArray[np.float32]](), 0
    counted = progress(batches, total=-(-count // batch_size), what="embed", unit="batch")
    with torch.inference_mode(), layer_embeddings(network, layers, logits=False) as embed:
        begun = chain(_passed(network, embed, counted, compute), [dict])
        for wait, _ in pairwise(begun):  # which begins with the next before it gives one
            for name, values in wait().items():
                if name not in arrays:
                    arrays[name] = np.empty((count, values.shape[1]), np.float32)
                arrays[name][done : done + len(values)] = stored(values[: count - done], name, 0, "float32")
            done += batch_size
    of = {(layer.tap.path, layer.pooling): layer.layer for layer in layers}
    by_pooling = dict[Pooling, Layers]()
    for pooling in poolings:
        own = {tap.path: of[tap.path, pooling_kind(tap, pooling)] for tap in taps}
        by_pooling[pooling] = Layers({path: arrays[layer.name] for path, layer in own.items()}, own)
    return by_pooling


def _passed(
    network: Network, embed: Callable[[Tensor], dict[str, Tensor]], batches: Iterator[Tensor], compute: Compute | None
) -> Iterator[Callable[[], dict[str, NDArray[np.float32]]]]:
    """Pass batches through the network; yield what waits for the embeddings of each."""
    norms: FoldedNorms | None = None
    for batch in batches:
        if network.head and norms is None:  # a library's network, as the workflow runs it
            blank = torch.zeros_like(batch[:1])
            norms = FoldedNorms(lambda blank=blank: embed(blank))  # type: ignore[misc]
        with compute.autocast() if compute else nullcontext(), norms or nullcontext():
            waiting = send(embed(batch))
        yield waiting


TAKEN = "paths or Pillow images, or a NumPy array uint8 with shape {}, RGB"


def check_images(images: Any, *, square: bool = False) -> Listed | Pixels:
    """Return what is given for images as a list or an array.

    Raises:
        UserError: it is empty or something else, has no order, or is an array of another shape or type.
    """
    taken = TAKEN.format("(N, S, S, 3)" if square else "(N, H, W, 3)")
    if isinstance(images, str | os.PathLike):
        raise UserError(f"images must be a list of paths, found {str(images)!r}")
    if isinstance(images, Set | Mapping):
        raise UserError(f"images must have an order, as their labels have, found a {type(images).__name__}; sort them")
    if isinstance(images, np.ndarray) and not (images.ndim == 1 and images.dtype.kind in "UO"):
        height, width, channels = images.shape[1:] if images.ndim == 4 else (0, 0, 0)
        if images.dtype != np.uint8 or channels != 3 or (square and height != width):
            raise UserError(f"images must be {taken}, found {images.dtype} with shape {images.shape}")
        listed: Listed | Pixels = images
    elif isinstance(images, Tensor | DataLoader | Dataset | pd.DataFrame) or not isinstance(images, Iterable):
        raise UserError(f"images must be {taken}, found {type(images).__name__}")
    else:
        listed = [_checked(each, taken) for each in images]
    if not len(listed):
        raise UserError("images must be at least one, found none")
    return listed


def _checked(image: Any, taken: str) -> str | os.PathLike[str] | Image.Image:
    if isinstance(image, str | os.PathLike | Image.Image):
        return image
    raise UserError(f"images must be {taken}, found {type(image).__name__} among them")
