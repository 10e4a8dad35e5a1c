"""Networks of torchvision."""

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from typing import Any

import torchvision.models as library
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from stages.shared.networks.hub import hub_access, require_torch_file
from stages.shared.networks.network import IMAGENET_MEAN, IMAGENET_STD, Network, assemble, refresh_head
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import load_state, read_file
from stages.shared.runtime.errors import UserError, did_you_mean

INCEPTION = ("googlenet", "inception_v3")
"""Their builders renormalize the input where they load weights, and warn where `init_weights` is not given."""

MOBILENET_V3 = ("width_mult", "reduced_tail", "dilated")
"""Arguments that its builders take and its class does not name."""


def build(params: NetworkParams, classes: int, *, load_weights: bool) -> Network:
    """Build a torchvision network; `config` holds further arguments of its builder function."""
    if params.name not in library.list_models(module=library):
        names = library.list_models(module=library)
        raise UserError(f"network.name: torchvision has no {params.name!r}: {did_you_mean(params.name, names)}")
    if params.weights.source == "package":
        raise UserError("weights.source: no package carries torchvision's weights; use hub, file or none")
    hub = params.weights.source == "hub"
    weights = _weights(params)
    module = library.get_model(params.name, num_classes=classes, **_arguments(params, hub))
    _check_overrides(module, params)
    head = _head(module, classes)
    refresh_head(module, head)
    if load_weights and hub:
        state = _downloaded(module, params, weights)
        load_state(module, state, head=head, keep_head=False, where=f"torchvision's {weights}")
    elif load_weights and params.weights.source == "file":
        state = resized(read_file(params.weights), module, params)
        load_state(module, state, head=head, keep_head=True, where=f"weights.path: {params.weights.path}")
    transform = weights.transforms() if weights is not None else None
    mean, std = getattr(transform, "mean", IMAGENET_MEAN), getattr(transform, "std", IMAGENET_STD)
    return assemble(module, params, mean=mean, std=std, head=head)


def _weights(params: NetworkParams) -> Any:
    """Look up the weights by their tag; by default torchvision's best. None where it has none."""
    weights: type[Enum] = library.get_model_weights(params.name)
    tag = params.weights.name or "DEFAULT"
    if tag not in weights.__members__ and (params.weights.name or len(weights)):
        tags = weights.__members__
        raise UserError(f"weights.name: torchvision has no weights {tag!r} of {params.name}: {did_you_mean(tag, tags)}")
    if params.weights.source == "hub" and not len(weights):
        raise UserError(f"weights: torchvision has no weights of {params.name}; use source: file or none")
    return weights.__members__.get(tag)


def _arguments(params: NetworkParams, hub: bool) -> dict[str, Any]:
    """Add the image size where the architecture is built for one size, and what the Inceptions need."""
    arguments: dict[str, Any] = {}
    if params.name.startswith("vit_"):
        arguments["image_size"] = params.image_size
    if params.name.startswith("maxvit_"):
        arguments["input_size"] = (params.image_size, params.image_size)
    if params.name in INCEPTION:
        arguments |= {"init_weights": True, "transform_input": hub}
    return {**arguments, **(params.config or {})}


def _check_overrides(module: nn.Module, params: NetworkParams) -> None:
    """Refuse what a builder would swallow in its `**kwargs` and ignore."""
    arguments = {*inspect.signature(type(module)).parameters, *MOBILENET_V3}
    for name in params.config or {}:
        if name not in arguments:
            raise UserError(
                f"network.config: torchvision's {params.name} has no {name!r}: {did_you_mean(name, arguments)}"
            )


def _head(module: nn.Module, classes: int) -> tuple[str, ...]:
    """Find the last layer with one output per class, and those of auxiliary classifiers."""
    outputs = [
        name
        for name, layer in module.named_modules()
        if classes in (getattr(layer, "out_features", None), getattr(layer, "out_channels", None))
    ]
    return tuple(name for name in outputs if name == outputs[-1] or name.lower().startswith("aux"))


def _downloaded(module: nn.Module, params: NetworkParams, weights: Any) -> dict[str, Tensor]:
    """Let torchvision load its weights into its own model, and fit a ViT's position embeddings to this image size."""
    where = f"torchvision's {weights}"
    with hub_access(where, require_torch_file(where, weights.url)):
        state = library.get_model(params.name, weights=weights, progress=False).state_dict()
    return resized(state, module, params)


def resized(state: Mapping[str, Tensor], module: nn.Module, params: NetworkParams) -> dict[str, Tensor]:
    """Resize a ViT's position embeddings to this image size, as torchvision does."""
    if not params.name.startswith("vit_") or "encoder.pos_embedding" not in state:
        return dict(state)
    try:
        return dict(interpolate_embeddings(params.image_size, module.patch_size, OrderedDict(state)))
    except ValueError:  # not a square: `load_state` says what does not fit
        return dict(state)
