"""Layers of torchvision's networks: the stem, then every stage or block."""

from typing import Any

from torch import nn

from .patterns import expand
from .tap import Trace

STAGES = ("features.0", "features.1", "features.3", "features.5", "features.7")

FORWARD: dict[str, Any] = {}

PATTERNS: dict[str, tuple[str, ...]] = {
    "AlexNet": ("features.*:MaxPool2d",),
    "ConvNeXt": STAGES,
    "DenseNet": ("features.pool0", "features.*:_DenseBlock", "features.norm5"),
    "EfficientNet": ("features.*",),
    "GoogLeNet": ("maxpool1", "maxpool2", "maxpool3", "maxpool4", "inception5b"),
    "Inception3": ("maxpool1", "maxpool2", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
    "MNASNet": ("layers.7", "layers.*:Sequential", "layers.16"),
    "MaxVit": ("stem", "blocks.*"),
    "MobileNetV2": ("features.*",),
    "MobileNetV3": ("features.*",),
    "RegNet": ("stem", "trunk_output.*"),
    "ResNet": ("relu", "layer1", "layer2", "layer3", "layer4"),
    "ShuffleNetV2": ("maxpool", "stage2", "stage3", "stage4", "conv5"),
    "SqueezeNet": ("features.2", "features.*:Fire"),
    "SwinTransformer": STAGES,
    "VGG": ("features.*:MaxPool2d",),
    "VisionTransformer": ("encoder.dropout", "encoder.layers.*"),
}
"""Every architecture of torchvision's classification models, by class."""


def default_layers(module: nn.Module, trace: Trace) -> dict[str, int | None]:
    """Return the paths of a torchvision network's layers, each with None, as the module returns one tensor."""
    return dict.fromkeys(expand(module, PATTERNS.get(type(module).__name__, ())))


def channels_last(module: nn.Module) -> bool:
    """Return whether maps are (B, H, W, C)."""
    return type(module).__name__ == "SwinTransformer"
