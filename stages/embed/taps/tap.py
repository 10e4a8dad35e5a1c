"""One tapped layer, and how its output is laid out: from its shape, the parameters and one traced forward pass.

The pass tells which modules run, in which order, what each returns, and what it took to get there.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...shared.runtime.errors import UserError

Layout = Literal["vector", "nchw", "nhwc", "tokens"]
T = TypeVar("T")


@dataclass(frozen=True)
class Tap:
    """One module whose output is a layer.

    Attributes:
        path: the module's path in the network's tree.
        depth: 0 at the input side, in order of execution.
        layout: `vector` (B, D), `nchw` (B, D, H, W), `nhwc` (B, H, W, D) or `tokens` (B, T, D).
        class_token: whether token 0 is a class token here.
        prefix_tokens: class and register tokens before the patch tokens.
        width: number of features D.
        parameters: parameters of the network used up to and including this layer.
        operations: multiply-adds of one image up to and including this layer.
        item: where the module returns a tuple or mapping, the index of the layer's tensor in it.
    """

    path: str
    depth: int
    layout: Layout
    class_token: bool
    prefix_tokens: int
    width: int
    parameters: int
    operations: int
    item: int | None = None


CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
OTHER_TOKENS = ("dist_token", "distillation_token", "reg_token", "register_tokens")
"""Names of the parameters that the four libraries put before the patch tokens: the class token first."""


def is_layer(output: Tensor) -> bool:
    """Return whether an output has one row per image of the traced pass and an embedding's number of dimensions."""
    return output.ndim in (2, 3, 4) and output.shape[0] == BATCH and output.is_floating_point()


def find_layout(output: Tensor, *, channels_last: bool) -> Layout:
    """Find the layout of an output for square images.

    A map's two equal sides are its height and width; only where all three sides are equal does `channels_last`, what is
    known of the network, decide.
    """
    if output.ndim == 2:
        return "vector"
    if output.ndim == 3:
        return "tokens"
    _, first, second, third = output.shape
    if first == second and second != third:
        return "nhwc"
    if second == third and first != second:
        return "nchw"
    return "nhwc" if channels_last else "nchw"


def known_prefix(module: nn.Module) -> int:
    """Count a network's class, distillation and register tokens."""
    names = (*CLASS_TOKENS, *OTHER_TOKENS)
    tokens = [p for name, p in module.named_parameters() if name.rpartition(".")[2] in names]
    return sum(token.shape[1] if token.ndim == 3 else 1 for token in tokens)


def has_class_token(module: nn.Module) -> bool:
    """Return whether a network has a class token, at whatever layer it enters."""
    return any(name.rpartition(".")[2] in CLASS_TOKENS for name, _ in module.named_parameters())


def prefix_at(tokens: int, known: int) -> int:
    """Count the tokens before the patch tokens at one layer: `known`, unless all its tokens are a square grid.

    A network may add its class token late (PVT at its last stage, CaiT after its blocks): square images have a square
    number of patches, so that 50 tokens are 1 + 7 x 7, and 49 are 7 x 7.

    Raises:
        UserError: they are no square grid and none is known by its name: a mean would take a class token in.
    """
    if not known and not _is_square(tokens):
        raise UserError(
            f"its {tokens} tokens must be a square grid of patches, or have before it a token of a name that is known "
            f"({', '.join((*CLASS_TOKENS, *OTHER_TOKENS))}); choose another module"
        )
    return known if _is_square(tokens - known) or not _is_square(tokens) else 0


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


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

    def below(self, path: str) -> "Trace":
        """Return what one module did, by paths below it."""

        def inside(of: dict[str, T]) -> dict[str, T]:
            names = (name for name in of if f"{name}.".startswith(f"{path}."))
            return {name.removeprefix(path).removeprefix("."): of[name] for name in names}

        if not path:
            return self
        parts: dict[str, Any] = {
            name: inside(getattr(self, name)) for name in ("began", "ended", "outputs", "runs", "operations")
        }
        return replace(self, result=self.outputs.get(path), **parts)


def trace_forward(module: nn.Module, image_size: int, **arguments: Any) -> Trace:
    """Pass a batch of `BATCH` black images through a network in evaluation mode; it is left as it was.

    Args:
        module: the network, on any device (also the meta device, where nothing is computed).
        image_size: height and width in pixels.
        arguments: further arguments of its forward pass.
    """
    trace = Trace()
    device, dtype = input_kind(module)
    images = torch.zeros(BATCH, 3, image_size, image_size, device=device, dtype=dtype)

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


def input_kind(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return where a network's input must be, and of which type: those of its first floating-point parameter."""
    parameters = (parameter for parameter in module.parameters() if parameter.is_floating_point())
    first = next(parameters, torch.empty(0))
    return first.device, first.dtype


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
