"""Networks of torchvision."""

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torchvision.models as library
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from ..runtime.errors import UserError, check_known
from .hub import check_torch_cache
from .params import IMAGENET_MEAN, IMAGENET_STD, NetworkParams, check_overrides
from .weights import LibraryModel

INCEPTION = ("googlenet", "inception_v3")
"""Their builders renormalize the input where they load weights, and warn where `init_weights` is not given."""

MOBILENET_V3 = ("width_mult", "reduced_tail", "dilated")
"""Arguments that its builders take and its class does not name."""


def build(params: NetworkParams, classes: int) -> LibraryModel:
    """Build a torchvision network; `config` holds further arguments of its builder function."""
    names = library.list_models(module=library)
    check_known(params.name, names, f"network.name: torchvision has no {params.name!r}")
    published = _weights(params)
    module = library.get_model(params.name, num_classes=classes, **_arguments(params))
    arguments = {*inspect.signature(type(module)).parameters, *MOBILENET_V3}
    check_overrides(params, arguments, f"torchvision's {params.name}")  # its `**kwargs` would be ignored
    transform = published.transforms() if published is not None else None
    return LibraryModel(
        module,
        _head(module, classes),
        mean=getattr(transform, "mean", IMAGENET_MEAN),
        std=getattr(transform, "std", IMAGENET_STD),
        hub=f"torchvision's {published}",
        download=lambda: _downloaded(params.name, published),
        convert=lambda state: resized(state, module, params),
    )


def trained_size(params: NetworkParams) -> int:
    """Return the input size of the weights' transform, in pixels; of unpublished weights that of the entry."""
    check_known(params.name, library.list_models(module=library), f"network.name: torchvision has no {params.name!r}")
    published = _weights(params)
    return params.image_size if published is None else int(published.transforms().crop_size[0])


def _downloaded(name: str, published: Any) -> dict[str, Tensor]:
    check_torch_cache(published.url)
    return dict(library.get_model(name, weights=published, progress=False).state_dict())


def _weights(params: NetworkParams) -> Any:
    """Look up the weights by their tag; by default torchvision's best. None where it has none."""
    tags = library.get_model_weights(params.name).__members__
    tag = params.weights.name or "DEFAULT"
    if params.weights.name or tags:
        check_known(tag, tags, f"weights.name: torchvision has no weights {tag!r} of {params.name}")
    if params.weights.source == "hub" and not tags:
        raise UserError(f"weights: torchvision has no weights of {params.name}; use source: file or none")
    return tags.get(tag)


def _arguments(params: NetworkParams) -> dict[str, Any]:
    """Add the image size where the architecture is built for one size, and what the Inceptions need."""
    arguments: dict[str, Any] = {}
    if params.name.startswith("vit_"):
        arguments["image_size"] = params.image_size
    if params.name.startswith("maxvit_"):
        arguments["input_size"] = (params.image_size, params.image_size)
    if params.name in INCEPTION:
        arguments |= {"init_weights": True, "transform_input": params.weights.source == "hub"}
    return {**arguments, **(params.config or {})}


def _head(module: nn.Module, classes: int) -> tuple[str, ...]:
    """Find the last layer with one output per class, and those of auxiliary classifiers."""
    outputs = [
        name
        for name, layer in module.named_modules()
        if classes in (getattr(layer, "out_features", None), getattr(layer, "out_channels", None))
    ]
    return tuple(name for name in outputs if name == outputs[-1] or name.lower().startswith("aux"))


def resized(state: Mapping[str, Tensor], module: nn.Module, params: NetworkParams) -> dict[str, Tensor]:
    """Resize a ViT's position embeddings to this image size, as torchvision does."""
    if params.name.startswith("vit_") and "encoder.pos_embedding" in state:
        with suppress(ValueError):  # not a square: `load_state` says what does not fit
            return dict(interpolate_embeddings(params.image_size, module.patch_size, OrderedDict(state)))
    return dict(state)
