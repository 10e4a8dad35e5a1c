"""Layers of timm's networks: its own `feature_info`, with the stem before it.

ResNet `act1`, `layer1` to `layer4`; ConvNeXt `stem`, `stages.i`; Swin `patch_embed`, `layers.i` (channels last; before
the next stage's downsampling); ViT, DeiT, DINOv2 `norm_pre` (embedded tokens), `blocks.i`; EfficientNet `bn1`,
`blocks.i`, `bn2`.
"""

from typing import Any

from torch import nn

from .patterns import expand
from .tap import Trace

FORWARD: dict[str, Any] = {}

PATTERNS = {
    "EfficientNet": ("bn1", "blocks.*", "bn2"),
    "MobileNetV3": ("bn1", "blocks.*", "act2"),
}
"""Architectures whose `feature_info` leaves out layers, by class."""

STEMS = ("norm_pre", "pos_drop", "stem", "patch_embed")
"""Where the input's embedding ends, from the last module to the first; the first that an architecture has counts."""


def default_layers(module: nn.Module, trace: Trace, prefix: str = "") -> dict[str, int | None]:
    """Return the paths of a timm network's layers.

    Args:
        module: the whole network.
        trace: its traced forward pass.
        prefix: path of the timm network in it, with a dot at its end.

    Returns:
        Paths, each with None: the module returns one tensor.
    """
    network = module.get_submodule(prefix.removesuffix("."))
    patterns = PATTERNS.get(type(network).__name__)
    if patterns is not None:
        return dict.fromkeys(expand(module, patterns, prefix))
    info = getattr(network, "feature_info", [])
    features = [prefix + entry["module"] for entry in getattr(info, "info", info) if entry["module"]]
    first = min((trace.began[name] for name in features if name in trace.began), default=0)
    stems = [prefix + name for name in STEMS if trace.ended.get(prefix + name, first) < first]
    return dict.fromkeys([*stems[:1], *features])


def channels_last(module: nn.Module) -> bool:
    """Return whether maps are (B, H, W, C)."""
    return getattr(module, "output_fmt", "NCHW") == "NHWC"
