"""Layers of transformers' image classifiers: every entry of `hidden_states`, at the module that returns it.

A hidden state and some module's output are one tensor: the traced pass finds which by identity. Swin's are after
downsampling; PVT's start after the first block and end after the final norm; CvT's stages return (map, class token), of
which the map is the hidden state.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ...shared.runtime.errors import UserError
from .tap import Trace, tensors

FORWARD: dict[str, Any] = {"output_hidden_states": True}


def default_layers(module: nn.Module, trace: Trace) -> dict[str, int | None]:
    """Find the module of each hidden state: its path, and the tensor's index if the module returns several.

    Raises:
        UserError: the network gives no hidden states, or one that no module returns.
    """
    hidden_states = getattr(trace.result, "hidden_states", None)
    if hidden_states is None:
        raise UserError(f"{type(module).__name__} gives no hidden_states; list its layers: taps: {{layers: [...]}}")
    return dict(_source(trace, state, f"hidden state {i}") for i, state in enumerate(hidden_states))


def _source(trace: Trace, state: Tensor, name: str) -> tuple[str, int | None]:
    """Return the module that returned a tensor first, or the outermost module around it that returns it, too.

    The whole encoder and network also return the last one, in a mapping: they are no layers.
    """
    sources: dict[str, int | None] = {}
    for path, output in trace.outputs.items():
        places = [index for index, tensor in tensors(output) if tensor is state and not isinstance(output, Mapping)]
        if places:
            sources[path] = places[0]
    if not sources:
        raise UserError(f"no module returns {name}; list the layers: taps: {{layers: [...]}}")
    first = next(iter(sources))
    path = min((path for path in sources if path == first or first.startswith(f"{path}.")), key=len)
    return path, sources[path]


def channels_last(module: nn.Module) -> bool:
    """Return whether maps are (B, H, W, C)."""
    return False
