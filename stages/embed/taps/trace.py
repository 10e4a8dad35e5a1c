"""One traced forward pass: which modules run, in which order, and what each returns."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

BATCH = 2
"""Images in the traced pass: a layer's output has one row per image."""


@dataclass
class Trace:
    """What one forward pass did, by module path.

    Attributes:
        result: what the network returned.
        began, ended: when a module's first run began and ended, on one clock.
        outputs: what its first run returned.
        runs: how often it ran.
    """

    result: Any = None
    began: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    clock: int = 0

    def begin(self, path: str) -> None:
        """Note that a module starts to run."""
        self.clock += 1
        self.began.setdefault(path, self.clock)

    def end(self, path: str, output: Any) -> None:
        """Note what a module returns."""
        self.clock += 1
        self.ended.setdefault(path, self.clock)
        self.outputs.setdefault(path, output)
        self.runs[path] = self.runs.get(path, 0) + 1


def trace_forward(module: nn.Module, image_size: int, **arguments: Any) -> Trace:
    """Pass a batch of `BATCH` black images through a network in evaluation mode; it is left as it was.

    Args:
        module: the network, on any device (also the meta device, where nothing is computed).
        image_size: height and width in pixels.
        arguments: further arguments of its forward pass.
    """
    trace = Trace()
    device = next(module.parameters()).device
    images = torch.zeros(BATCH, 3, image_size, image_size, device=device)
    with _evaluation(module), _hooked(module, trace), torch.inference_mode():
        trace.result = module(images, **arguments)
    return trace


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes.items():
            child.training = mode


@contextmanager
def _hooked(module: nn.Module, trace: Trace) -> Iterator[None]:
    handles: list[RemovableHandle] = []
    for path, child in module.named_modules():
        handles.append(child.register_forward_pre_hook(lambda _module, _inputs, path=path: trace.begin(path)))
        handles.append(child.register_forward_hook(lambda _module, _inputs, output, path=path: trace.end(path, output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def tensors(output: Any) -> Iterator[tuple[int | None, Tensor]]:
    """List the tensors a module returned: (None, tensor), or index and tensor of a tuple's or mapping's items."""
    if isinstance(output, Tensor):
        yield None, output
        return
    items = list(output.values()) if isinstance(output, Mapping) else output
    if isinstance(items, (tuple, list)):
        yield from ((index, item) for index, item in enumerate(items) if isinstance(item, Tensor))


def count_parameters(module: nn.Module, trace: Trace, path: str) -> int:
    """Count the parameters that are used up to and including one layer.

    A module's own parameters count once its run has begun. Those of a module that never runs by itself (PyTorch's
    attention uses its projection so, and auxiliary heads rest) count once the nearest ancestor's that does has ended.
    Shared parameters count once.
    """
    used: dict[int, int] = {}
    for name, child in module.named_modules():
        owner = name
        while owner not in trace.began:
            owner = owner.rpartition(".")[0]
        used_at = trace.began[owner] if owner == name else trace.ended[owner]
        if used_at <= trace.ended[path]:
            used |= {id(parameter): parameter.numel() for parameter in child.parameters(recurse=False)}
    return sum(used.values())
