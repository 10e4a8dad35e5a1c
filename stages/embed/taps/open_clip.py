"""Layers of open_clip's visual towers: the stem, then every block or stage; of towers from timm, timm's layers."""

from typing import Any

from torch import nn

from . import timm
from .patterns import expand
from .tap import Trace

FORWARD: dict[str, Any] = {}

PATTERNS: dict[str, tuple[str, ...]] = {
    "ModifiedResNet": ("avgpool", "layer1", "layer2", "layer3", "layer4"),
    "VisionTransformer": ("ln_pre", "transformer.resblocks.*"),
}


def default_layers(module: nn.Module, trace: Trace) -> dict[str, int | None]:
    """Return the paths of a visual tower's layers, each with None, as the module returns one tensor."""
    prefix = "visual." if hasattr(module, "visual") else ""  # else the tower itself
    kind = type(_tower(module)).__name__
    if kind == "TimmModel":
        return timm.default_layers(module, trace, f"{prefix}trunk.")
    return dict.fromkeys(expand(module, PATTERNS.get(kind, ()), prefix))


def channels_last(module: nn.Module) -> bool:
    """Return whether maps are (B, H, W, C)."""
    return timm.channels_last(getattr(_tower(module), "trunk", module))


def _tower(module: nn.Module) -> nn.Module:
    tower: nn.Module = getattr(module, "visual", module)
    return tower
