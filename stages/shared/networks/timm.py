"""Networks of timm (PyTorch Image Models)."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import timm
from torch import Tensor, nn

from ..runtime.errors import UserError, check_known, did_you_mean
from .hub import check_torch_cache, hub_file, safe_names
from .params import NetworkParams
from .weights import LibraryModel, fits


def build(params: NetworkParams, classes: int) -> LibraryModel:
    """Build a timm network; `config` holds further arguments of `timm.create_model`."""
    name = _full_name(params)
    size = {"img_size": params.image_size} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    arguments = {**size, **(params.config or {}), "num_classes": classes}
    module = timm.create_model(name, pretrained=False, **arguments)
    cfg = cast(dict[str, Any], module.pretrained_cfg)
    if not cfg["classifier"]:
        found = f"network.name: timm's {params.name} must have a classifier, found none"
        raise UserError(f"{found}; choose another network")
    head = (cfg["classifier"],) if isinstance(cfg["classifier"], str) else tuple(cfg["classifier"])
    return LibraryModel(
        module,
        head,
        mean=cfg["mean"],
        std=cfg["std"],
        hub=f"timm's {params.name} {params.weights.name or ''}".rstrip(),
        download=lambda: _downloaded(name, cfg, arguments),
        convert=lambda state: convert_state(state, module, head),
    )


def trained_size(params: NetworkParams) -> int:
    """Return the input size of the weights' configuration, in pixels."""
    return int(timm.get_pretrained_cfg(_full_name(params)).input_size[-1])


def _full_name(params: NetworkParams) -> str:
    """Join architecture and tag as timm does, `resnet18.a1_in1k`; both must exist."""
    architecture, _, tag = params.name.partition(".")
    if not timm.is_model(architecture):
        raise UserError(f"network.name: timm has no {architecture!r}: {did_you_mean(architecture, timm.list_models())}")
    hub = params.weights.source == "hub"
    tag = (params.weights.name if hub else None) or tag
    names = [name.partition(".") for name in timm.list_pretrained(f"{architecture}*")]
    tags = [known_tag for name_, _, known_tag in names if name_ == architecture]
    if tag:
        check_known(tag, tags, f"weights.name: timm has no weights {tag!r} of {architecture}")
    if hub and not tags:
        raise UserError(f"weights: timm has no weights of {architecture}; use source: file or none")
    return f"{architecture}.{tag}" if tag else architecture


def _downloaded(name: str, cfg: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Let timm load its own weights, from a file that was compared with its hash."""
    overlay: dict[str, Any] = {}
    if cfg.get("hf_hub_id"):
        path = hub_file(cfg["hf_hub_id"], safe_names(cfg.get("hf_hub_filename") or "pytorch_model.bin"))
        overlay = {"file": str(path), "custom_load": path.suffix == ".npz"}
    else:
        check_torch_cache(cfg["url"])
        timm.models.set_pretrained_check_hash(True)
    return dict(timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments).state_dict())


def convert_state(state: dict[str, Tensor], module: nn.Module, head: Sequence[str]) -> dict[str, Tensor]:
    """Convert a file's weights as timm converts its own: older names, and position embeddings of another image size.

    The rules are the `checkpoint_filter_fn` beside each architecture. What fits already is unchanged, and so is
    what timm cannot convert, which `load_state` then describes.
    """
    convert = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if convert is not None and not fits(state, module, head):
        with suppress(AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError):
            return dict(convert(dict(state), module))
    return state
