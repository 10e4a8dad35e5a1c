"""Libraries of networks: one file each, one line each in `LIBRARIES`."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from . import open_clip, timm, torchvision, transformers
from .tap import Trace


class Library(Protocol):
    """What a module beside this one knows of one library's networks."""

    @property
    def FORWARD(self) -> Mapping[str, Any]:  # noqa: N802
        """Further arguments of a network's forward pass with which its layers show."""

    def default_layers(self, module: nn.Module, trace: Trace, /) -> Mapping[str, int | None]:
        """Return the default layers' paths, each with the index of its tensor where its module returns several."""

    def channels_last(self, module: nn.Module, /) -> bool:
        """Return whether maps are (B, H, W, C)."""


LIBRARIES: dict[str, Library] = {
    "timm": timm,
    "torchvision": torchvision,
    "open_clip": open_clip,
    "transformers": transformers,
}
