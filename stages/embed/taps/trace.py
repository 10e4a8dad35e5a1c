"""One traced forward pass: which modules run, in which order, what each returns, and what it took to get there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

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
        operations: multiply-adds of one image from the network's input to the end of its first run.
    """

    result: Any = None
    began: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    clock: int = 0


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

    def begin(path: str, *_: Any) -> None:
        trace.clock += 1
        trace.began.setdefault(path, trace.clock)

    def end(path: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        trace.clock += 1
        trace.ended.setdefault(path, trace.clock)
        trace.outputs.setdefault(path, output)
        trace.operations.setdefault(path, operations())
        trace.runs[path] = trace.runs.get(path, 0) + 1

    with _evaluation(module), _counting() as operations, ExitStack() as hooks, torch.inference_mode():
        for path, child in module.named_modules():
            hooks.callback(child.register_forward_pre_hook(partial(begin, path)).remove)
            hooks.callback(child.register_forward_hook(partial(end, path)).remove)
        trace.result = module(images, **arguments)
    return trace


@contextmanager
def _counting() -> Iterator[Callable[[], int]]:
    """Count one image's multiply-adds in convolutions, linear layers and attention; give the count so far.

    The counter, which takes a multiply-add for two operations, knows matrix products and convolutions. Attention is
    computed from those here: fused kernels, of which a CPU has some that the counter does not know, are switched off.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, fused)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        counter = stack.enter_context(FlopCounterMode(display=False))
        yield lambda: counter.get_total_flops() // (2 * BATCH)


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, its parameters without gradients: the counter would follow those."""
    modes = {child: child.training for child in module.modules()}
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval().requires_grad_(False)
    try:
        yield
    finally:
        for child, mode in modes.items():
            child.training = mode
        for parameter in trained:
            parameter.requires_grad_()


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
