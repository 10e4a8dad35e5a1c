"""What is known of one tapped layer, and how its output is laid out: from its shape and the network's parameters."""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from stages.embed.taps.trace import BATCH
from stages.shared.runtime.errors import UserError

Layout = Literal["vector", "nchw", "nhwc", "tokens"]


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
